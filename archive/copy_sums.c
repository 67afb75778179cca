#include "archive/copy_sums.h"

#include "archive/proof_read.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "drive/argument.h"
#include "drive/drive.h"
#include "drive/target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- what is known ---- */

static int check_size(const struct copy_sums *sums, struct error *err)
{
	uint64_t size = parent_drive_size(&sums->known, 0);

	if (size == sums->size_bytes)
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: is of a drive of %" PRIu64 " bytes, and the drive has %" PRIu64
		    "; --rollback compares",
		    sums->path, size, sums->size_bytes);
}

int copy_sums_find(struct copy_sums *sums, const char *text, uint64_t size_bytes,
		   const struct watcher *watcher, struct error *err)
{
	struct drive_argument argument;
	const char *name, *path;

	TRY(drive_argument_parse(text, &argument, err));
	sums->text = argument.copy;
	sums->size_bytes = size_bytes;
	sums->path = path = argument.path;
	name = argument.name;
	TRY(parent_open_drive(&sums->known, &(struct strings){.items = &path, .n = 1}, name,
			      watcher, err));
	TRY(check_size(sums, err));
	sums->state = calloc(1, sums->known.sums.state_size);
	return sums->state == NULL ? fail_memory(err) : 0;
}

static int get(struct copy_sums *sums, uint64_t cluster, const uint8_t **sum, uint64_t *n,
	       struct error *err)
{
	const struct parent_sums *known = &sums->known.sums;

	return known->get(known->context, sums->state, 0, cluster, sum, n, err);
}

int copy_sums_have(struct copy_sums *sums, uint64_t cluster, const uint8_t *bytes, uint64_t *n,
		   bool *have, struct error *err)
{
	const uint8_t *sum;
	uint64_t n_same;

	TRY(get(sums, cluster, &sum, &n_same, err));
	*have = sum != NULL && proof_is_as_before(sum, bytes);
	*n = least(*n, n_same);
	return 0;
}

/* ---- samples ---- */

struct picks {
	uint64_t n_seen;
	uint64_t clusters[COPY_SAMPLES];
};

/* Each has the same chance. */
static int offer(struct picks *picks, uint64_t cluster, struct error *err)
{
	uint64_t i = picks->n_seen++;

	if (i >= COPY_SAMPLES) {
		uint64_t chance;
		if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
			return fail_system(err, errno, "random numbers");
		i = chance % picks->n_seen;
	}
	if (i < COPY_SAMPLES)
		picks->clusters[i] = cluster;
	return 0;
}

/* Of runs of zeros the first: to look into each of them is as good. */
static int pick(struct copy_sums *sums, const struct cluster_set *except, struct picks *data,
		struct picks *zeros, struct error *err)
{
	uint64_t n_all = clusters_of(sums->size_bytes), n;
	const uint8_t *sum;

	for (uint64_t at = 0; at < n_all; at += n) {
		bool left_out = false;

		TRY(get(sums, at, &sum, &n, err));
		if (except != NULL)
			n = cluster_set_run(except, at, n, &left_out);
		if (!left_out)
			TRY(offer(all_zero(sum, CHECKSUM_SIZE) ? zeros : data, at, err));
	}
	return 0;
}

struct sampled {
	const struct target *target;
	struct drive *source; /* NULL: the target is read */
	const char *name;
};

static int read_sample(const struct copy_sums *sums, const struct sampled *of, uint64_t cluster,
		       uint8_t *bytes, struct error *err)
{
	uint64_t offset = cluster * CLUSTER_SIZE,
		 n = least(CLUSTER_SIZE, sums->size_bytes - offset);
	int sys;

	if (of->source != NULL)
		return drive_read_clusters(of->source, cluster, 1, bytes, err);
	memset(bytes + n, 0, CLUSTER_SIZE - n);
	sys = target_read(of->target, offset, bytes, n);
	return sys == 0 ? 0 : fail_system(err, sys, "%s: reading", of->name);
}

static int try_picks(struct copy_sums *sums, const struct sampled *of, const struct picks *picks,
		     uint8_t *bytes, struct error *err)
{
	uint64_t n;
	bool have;

	for (unsigned i = 0; i < least(picks->n_seen, COPY_SAMPLES); i++) {
		uint64_t cluster = picks->clusters[i];

		TRY(read_sample(sums, of, cluster, bytes, err));
		TRY(copy_sums_have(sums, cluster, bytes, &n, &have, err));
		if (!have && of->source == NULL)
			return fail(err, ERR_DAMAGED,
				    "%s: is not what %s is of, at byte %" PRIu64
				    "; nothing was written; --rollback compares all",
				    of->name, sums->path, cluster * CLUSTER_SIZE);
		if (!have)
			return fail(err, ERR_DAMAGED,
				    "%s: does not say all that changed: not byte %" PRIu64
				    "; nothing was written",
				    of->name, cluster * CLUSTER_SIZE);
	}
	return 0;
}

static int try(struct copy_sums *sums, const struct sampled *of, const struct cluster_set *except,
	       struct error *err)
{
	struct picks *picks = calloc(2, sizeof(*picks));
	uint8_t *bytes = malloc(CLUSTER_SIZE);
	int code = picks == NULL || bytes == NULL ? fail_memory(err)
						  : pick(sums, except, &picks[0], &picks[1], err);

	for (unsigned i = 0; i < 2 && code == 0; i++)
		code = try_picks(sums, of, &picks[i], bytes, err);
	free(picks);
	free(bytes);
	return code;
}

int copy_sums_try_target(struct copy_sums *sums, const struct target *target, const char *name,
			 struct error *err)
{
	return try(sums, &(struct sampled){.target = target, .name = name}, NULL, err);
}

int copy_sums_try_list(struct copy_sums *sums, struct drive *source,
		       const struct cluster_set *listed, const char *name, struct error *err)
{
	return try(sums, &(struct sampled){.source = source, .name = name}, listed, err);
}

/* ---- what is made ---- */

int copy_sums_make(struct copy_sums *sums, const char *path, uint64_t size_bytes, struct error *err)
{
	static const char name[] = "drive";
	struct archive *archive = sums->archive = calloc(1, sizeof(*archive));

	if (archive == NULL)
		return fail_memory(err);
	sums->size_bytes = size_bytes;
	archive->format = FORMAT_VMAB;
	archive->created_ns = (int64_t)clock_real_ns();
	archive->n_drives = 1;
	archive->drives[0] = (struct archive_drive){
		.name = {(const uint8_t *)name, sizeof(name) - 1},
		.size_bytes = size_bytes,
	};
	if (getrandom(archive->uuid, UUID_SIZE, 0) != UUID_SIZE)
		return fail_system(err, errno, "random numbers");
	return sums_create_loose(&sums->made, path, archive, err);
}

int copy_sums_put(struct copy_sums *sums, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];

	if (sums->made == NULL || all_zero(bytes, CLUSTER_SIZE))
		return 0;
	checksum_cluster(CLUSTER_XXH3_128, bytes, sum);
	return sums_put_run(sums->made, 0, cluster, sum, 1, err);
}

int copy_sums_keep(struct copy_sums *sums, uint64_t cluster, uint64_t n, struct error *err)
{
	return sums->made == NULL ? 0
				  : parent_copy_sums(&sums->known, sums->made, 0, cluster, n, err);
}

int copy_sums_publish(struct copy_sums *sums, bool sync, struct error *err)
{
	if (sums->made == NULL)
		return 0;
	TRY(sums_finish(sums->made, sync, err));
	return sums_publish(sums->made, true, sync, err);
}

void copy_sums_close(struct copy_sums *sums)
{
	sums_writer_free(sums->made);
	free(sums->archive);
	parent_close(&sums->known);
	free(sums->state);
	free(sums->text);
}
