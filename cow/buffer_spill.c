#include "cow/buffer_state.h"

#include "base/unnamed.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum state {
	RESERVED,
	GOOD,
	VOID, /* holds no cluster */
};

struct record {
	uint32_t drive;
	uint32_t state;
	uint64_t cluster;
	uint64_t checksum; /* set by the owner of the place, without the lock */
};

struct spill {
	int fd;
	char *folder; /* owned */
	uint64_t n_places;
	/* A ring: the record of place p, and its cluster in the file, are at p % n_places. Memory
	 * is touched only for places that were in use. */
	struct record *records;
	uint64_t first; /* the place to be read next */
	uint64_t next;	/* the place to be reserved next */
};

int spill_new(struct spill **out, const char *folder, uint64_t size_bytes, struct error *err)
{
	struct spill *spill = calloc(1, sizeof(*spill));

	if (spill == NULL)
		return fail_system(err, ENOMEM, "%s: a spill file", folder);
	spill->n_places = size_bytes / CLUSTER_SIZE;
	spill->records = calloc(spill->n_places, sizeof(*spill->records));
	spill->folder = strdup(folder);
	bool has_memory = spill->records != NULL && spill->folder != NULL;
	spill->fd = has_memory ? unnamed_open(folder) : -1;
	if (spill->fd < 0) {
		int code =
			fail_system(err, has_memory ? errno : ENOMEM, "%s: a spill file", folder);
		spill_free(spill);
		return code;
	}
	*out = spill;
	return 0;
}

void spill_free(struct spill *spill)
{
	if (spill == NULL)
		return;
	if (spill->fd >= 0)
		close(spill->fd);
	free(spill->folder);
	free(spill->records);
	free(spill);
}

static struct record *record_at(const struct spill *spill, uint64_t place)
{
	return &spill->records[place % spill->n_places];
}

bool spill_reserve(struct spill *spill, uint64_t *place)
{
	if (spill_used(spill) == spill->n_places)
		return false;
	*place = spill->next++;
	record_at(spill, *place)->state = RESERVED;
	return true;
}

const char *spill_folder(const struct spill *spill)
{
	return spill->folder;
}

int spill_write(struct spill *spill, uint64_t place, const uint8_t *bytes)
{
	uint64_t offset = place % spill->n_places * CLUSTER_SIZE;

	record_at(spill, place)->checksum = XXH3_64bits(bytes, CLUSTER_SIZE);
	return io_pwrite(spill->fd, bytes, CLUSTER_SIZE, offset, 0);
}

void spill_settle(struct spill *spill, uint64_t place, uint32_t drive, uint64_t cluster, bool good)
{
	struct record *record = record_at(spill, place);

	record->drive = drive;
	record->cluster = cluster;
	record->state = good ? GOOD : VOID;
}

uint32_t spill_ready(struct spill *spill, uint32_t max)
{
	uint32_t n = 0;

	while (spill->first < spill->next && record_at(spill, spill->first)->state == VOID)
		spill->first++;
	max = (uint32_t)least(max, spill->n_places - spill->first % spill->n_places);
	while (n < max && spill->first + n < spill->next &&
	       record_at(spill, spill->first + n)->state == GOOD)
		n++;
	return n;
}

/* A file system that could not write pages back returns zeros or older bytes for them, without an
 * error. */
static bool is_what_was_written(const struct spill *spill, uint32_t n, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		if (XXH3_64bits(bytes + (size_t)i * CLUSTER_SIZE, CLUSTER_SIZE) !=
		    record_at(spill, spill->first + i)->checksum)
			return false;
	}
	return true;
}

int spill_read(struct spill *spill, uint32_t n, uint8_t *bytes, struct error *err)
{
	uint64_t offset = spill->first % spill->n_places * CLUSTER_SIZE;
	size_t wanted = (size_t)n * CLUSTER_SIZE;
	int sys = io_pread(spill->fd, bytes, wanted, offset, NULL);

	if (sys != 0)
		return fail_system(err, sys, "the spill file in %s cannot be read", spill->folder);
	if (!is_what_was_written(spill, n, bytes))
		return fail(err, ERR_SYSTEM,
			    "data read from the spill file in %s is not what was written: its disk "
			    "loses data, or is full; --spill-dir names another folder",
			    spill->folder);
	/* Where holes cannot be punched the file keeps its disk space. */
	(void)!fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)wanted);
	return 0;
}

void spill_look(const struct spill *spill, uint32_t i, uint32_t *drive, uint64_t *cluster)
{
	const struct record *record = record_at(spill, spill->first + i);

	*drive = record->drive;
	*cluster = record->cluster;
}

void spill_forget(struct spill *spill, uint32_t n)
{
	spill->first += n;
	if (spill->first == spill->next)
		spill->first = spill->next = 0;
}

uint64_t spill_used(const struct spill *spill)
{
	return spill->next - spill->first;
}

uint64_t spill_places(const struct spill *spill)
{
	return spill->n_places;
}
