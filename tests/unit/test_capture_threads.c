/*
 * The capture under load: guests on threads of their own write to two drives in a way that depends
 * on the order, while backups are taken one after the other with several threads and slow writers.
 *
 * Each guest has its own part of both drives, in units that are smaller than clusters and lie among
 * those of the others. Its operation n goes to drive A, and after the reply to drive B. So what a
 * backup holds of a guest's part of A must be the replay of its operations 1 to NA, of B 1 to NB,
 * with NA - NB 0 or 1. Sectors hold the number of the operation that wrote them.
 */
#include "cow/capture.h"
#include "drive/kind.h"
#include "tests/unit/scratch.h"
#include "tests/unit/slow_drive.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_GUESTS     3u
#define SECTOR	     512u
#define UNIT	     24576u /* bytes that belong to one guest */
#define UNIT_SECTORS (UNIT / SECTOR)
#define N_UNITS	     (3u * 200u) /* more than the memory of a buffer of 4 chunks */
#define SIZE	     ((uint64_t)N_UNITS * UNIT - 3 * SECTOR)
#define N_SECTORS    (SIZE / SECTOR)
#define N_BACKUPS    10u  /* two in each way */
#define BACKUPS_LONG 100u /* with VMABAK_LONG=1 */
#define OPS_MAX	     200000u

/* ---- operations ---- */

enum what { WRITE, ZERO, TRIM };

struct operation {
	enum what what;
	uint32_t sector, n; /* within one unit of the guest */
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185u;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44du;
	return x ^ x >> 33;
}

/* Operation n, from 1, of a guest: always the same. */
static struct operation operation(uint32_t guest, uint32_t n)
{
	uint64_t x = mix((uint64_t)guest << 32 | n);
	uint32_t unit = (uint32_t)(x % (N_UNITS / N_GUESTS)) * N_GUESTS + guest;
	uint32_t first = (uint32_t)(x >> 20) % UNIT_SECTORS;
	struct operation op = {
		.what = x >> 40 & 7,
		.sector = unit * UNIT_SECTORS + first,
		.n = 1 + (uint32_t)(x >> 44) % (UNIT_SECTORS - first),
	};

	if (op.what > TRIM)
		op.what = WRITE;
	if (op.sector >= N_SECTORS)
		op.sector = N_SECTORS - 1;
	if (op.n > N_SECTORS - op.sector)
		op.n = N_SECTORS - op.sector;
	return op;
}

static void fill(uint8_t *bytes, uint32_t guest, uint32_t n, uint32_t n_sectors)
{
	uint64_t value = (uint64_t)(guest + 1) << 32 | n;

	for (size_t at = 0; at < (size_t)n_sectors * SECTOR; at += sizeof value)
		memcpy(bytes + at, &value, sizeof value);
}

/* ---- the machine ---- */

static struct slow_drive drives[2];
static struct volume *volumes[2];
static atomic_bool stopping;
static atomic_uint n_wrong;

static void wrong(const char *what)
{
	if (atomic_fetch_add(&n_wrong, 1) < 5)
		printf("\n%s\n", what);
}

static int do_operation(struct volume *volume, uint32_t guest, uint32_t n)
{
	struct operation op = operation(guest, n);
	uint64_t offset = (uint64_t)op.sector * SECTOR, length = (uint64_t)op.n * SECTOR;
	uint8_t bytes[UNIT];

	switch (op.what) {
	case ZERO:
		return volume_zero(volume, offset, length, n % 2 ? DRIVE_MAY_TRIM : 0);
	case TRIM:
		return volume_trim(volume, offset, length, 0);
	default:
		fill(bytes, guest, n, op.n);
		return volume_write(volume, offset, bytes, (uint32_t)length, 0);
	}
}

static void *run_guest(void *context)
{
	uint32_t guest = (uint32_t)(uintptr_t)context;

	for (uint32_t n = 1; n < OPS_MAX && !stopping; n++) {
		if (do_operation(volumes[0], guest, n) != 0 ||
		    do_operation(volumes[1], guest, n) != 0)
			wrong("a guest's request failed");
	}
	return NULL;
}

static void make_machine(void)
{
	const struct drive_options options = {.format = "raw", .writable = true};
	struct error err;

	for (unsigned i = 0; i < 2; i++) {
		const char *path = scratch(i == 0 ? "a" : "b");
		uint8_t *bytes = calloc(1, SIZE);
		/* Half of it is there from the beginning, as operation 0. */
		memset(bytes, 0xff, N_SECTORS / 2 * SECTOR);
		scratch_write(path, bytes, N_SECTORS / 2 * SECTOR);
		free(bytes);
		CU_ASSERT_EQUAL_FATAL(truncate(path, SIZE), 0);
		CU_ASSERT_EQUAL_FATAL(drive_open(&drives[i].file, path, &options, &err), 0);
		drives[i].drive =
			(struct drive){.ops = &slow_ops, .size_bytes = SIZE, .writable = true};
		pthread_mutex_init(&drives[i].drive.asking, NULL);
		CU_ASSERT_EQUAL_FATAL(
			volume_new(&volumes[i], i == 0 ? "a" : "b", &drives[i].drive, NULL, &err),
			0);
	}
}

static void free_machine(void)
{
	for (unsigned i = 0; i < 2; i++) {
		volume_free(volumes[i]);
		pthread_mutex_destroy(&drives[i].drive.asking);
		drive_close(drives[i].file);
	}
}

/* ---- judging ---- */

#define FIRST UINT64_MAX /* what the sectors held at first */

struct sector {
	uint64_t value;
	bool maybe_zero; /* was trimmed, which is a hint */
};

static void replay(struct sector *sectors, uint32_t guest, uint32_t n)
{
	struct operation op = operation(guest, n);

	for (uint32_t i = op.sector; i < op.sector + op.n; i++) {
		if (op.what == TRIM)
			sectors[i].maybe_zero = true;
		else
			sectors[i] = (struct sector){
				op.what == ZERO ? 0 : (uint64_t)(guest + 1) << 32 | n, false};
	}
}

static bool is_guests(uint32_t guest, uint64_t sector)
{
	return sector / UNIT_SECTORS % N_GUESTS == guest;
}

/* The value of a sector of the image; something impossible if its parts differ. */
static uint64_t value_at(const uint8_t *image, uint64_t sector)
{
	const uint8_t *bytes = image + sector * SECTOR;
	uint64_t value;

	memcpy(&value, bytes, sizeof value);
	return memcmp(bytes, bytes + sizeof value, SECTOR - sizeof value) == 0 ? value : 7;
}

static bool matches(const struct sector *sectors, const uint8_t *image, uint32_t guest)
{
	for (uint64_t i = 0; i < N_SECTORS; i++) {
		uint64_t value = is_guests(guest, i) ? value_at(image, i) : 0;
		if (is_guests(guest, i) && value != sectors[i].value &&
		    !(sectors[i].maybe_zero && value == 0))
			return false;
	}
	return true;
}

/* How many operations of a guest the image holds. That of the last one that can be seen, or more:
 * those after it may have written nothing, or what zeros have covered since. */
struct answers {
	uint32_t last;
	uint64_t possible; /* bit i: last + i */
};

static struct answers count_operations(const uint8_t *image, uint32_t guest)
{
	struct sector *sectors = calloc(N_SECTORS, sizeof *sectors);
	struct answers answers = {0};

	for (uint64_t i = 0; i < N_SECTORS; i++) {
		uint64_t value = is_guests(guest, i) ? value_at(image, i) : 0;
		sectors[i].value = i < N_SECTORS / 2 ? FIRST : 0;
		if (value >> 32 == guest + 1 && (uint32_t)value > answers.last)
			answers.last = (uint32_t)value;
	}
	for (uint32_t n = 1; n <= answers.last; n++)
		replay(sectors, guest, n);
	for (uint32_t i = 0; i < 64; i++) {
		if (i > 0)
			replay(sectors, guest, answers.last + i);
		if (matches(sectors, image, guest))
			answers.possible |= (uint64_t)1 << i;
	}
	free(sectors);
	return answers;
}

static bool can_be(const struct answers *answers, uint64_t n)
{
	return n >= answers->last && n - answers->last < 64 &&
	       (answers->possible >> (n - answers->last) & 1);
}

static bool one_instant(const struct answers *a, const struct answers *b)
{
	for (uint32_t n = a->last; n < a->last + 64; n++) {
		if (can_be(a, n) && (can_be(b, n) || (n > 0 && can_be(b, n - 1))))
			return true;
	}
	return false;
}

static void judge(uint8_t *const images[2])
{
	for (uint32_t guest = 0; guest < N_GUESTS; guest++) {
		struct answers a = count_operations(images[0], guest),
			       b = count_operations(images[1], guest);
		if (a.possible == 0 || b.possible == 0)
			wrong("a drive is not what it was at any instant");
		else if (!one_instant(&a, &b))
			wrong("the drives are not of the same instant");
	}
}

/* ---- backups ---- */

struct writer {
	struct buffer *buffer;
	struct capture *capture;
	uint8_t *images[2];
	uint8_t *n_came[2]; /* of each cluster */
	long pause_us;
	pthread_mutex_t lock; /* n_came */
	int rc;
};

static void put(struct writer *writer, uint32_t drive, uint64_t cluster, const uint8_t *bytes)
{
	uint64_t offset = cluster * CLUSTER_SIZE;
	uint64_t n = SIZE - offset < CLUSTER_SIZE ? SIZE - offset : CLUSTER_SIZE;

	if (bytes)
		memcpy(writer->images[drive] + offset, bytes, n);
	else
		memset(writer->images[drive] + offset, 0, n);
	pthread_mutex_lock(&writer->lock);
	writer->n_came[drive][cluster]++;
	pthread_mutex_unlock(&writer->lock);
}

static void *run_writer(void *context)
{
	struct writer *writer = context;
	const struct timespec moment = {.tv_nsec = writer->pause_us * 1000};
	struct chunk *chunk;
	struct error err;
	int rc;

	while ((rc = capture_next(writer->capture, &chunk, &err)) == 1) {
		for (uint32_t i = 0; i < chunk->n_clusters; i++)
			put(writer, chunk->clusters[i].drive, chunk->clusters[i].cluster,
			    chunk->bytes + (size_t)i * CLUSTER_SIZE);
		for (uint32_t i = 0; i < chunk->n_zeros; i++) {
			for (uint64_t c = 0; c < chunk->zeros[i].n_clusters; c++)
				put(writer, chunk->zeros[i].drive, chunk->zeros[i].cluster + c,
				    NULL);
		}
		nanosleep(&moment, NULL);
		buffer_release(writer->buffer, chunk);
	}
	if (rc < 0) {
		pthread_mutex_lock(&writer->lock);
		writer->rc = rc;
		pthread_mutex_unlock(&writer->lock);
	}
	return NULL;
}

static const struct {
	struct buffer_options buffer;
	unsigned n_writers;
	long pause_us;
	long end_after_us; /* 0: it is let come to its end */
} ways[] = {
	{{.n_chunks = 8, .when_full = FULL_FAIL}, 3, 0, 0},
	{{.n_chunks = 4, .when_full = FULL_WAIT}, 1, 2000, 0},
	{{.n_chunks = 4, .spill_bytes = 16 << 20, .when_full = FULL_FAIL}, 1, 5000, 0},
	{{.n_chunks = 4, .spill_bytes = 1 << 20, .when_full = FULL_WAIT}, 3, 5000, 0},
	{{.n_chunks = 4, .when_full = FULL_WAIT}, 2, 20000, 20000},
};

static void check_all_came(const struct writer *writer)
{
	for (uint64_t c = 0; c < clusters_of(SIZE); c++) {
		if (writer->n_came[0][c] != 1 || writer->n_came[1][c] != 1)
			wrong("a cluster came not once");
	}
}

static void end_early(struct buffer *buffer, long after_us)
{
	const struct timespec moment = {.tv_nsec = after_us * 1000};
	struct error err;

	nanosleep(&moment, NULL);
	fail(&err, ERR_SYSTEM, "enough");
	buffer_fail(buffer, &err);
}

/* To see that guests did save something, and that some of it spilled. */
static uint64_t n_saved, n_spilled;

static void note_counts(const struct capture *capture, const struct buffer *buffer)
{
	struct capture_status status;

	capture_status(capture, &status);
	n_saved += status.saved_clusters;
	n_spilled += buffer_counts(buffer)->spilled_clusters;
}

/* Where there is a scratch file the writer begins late, so that it is used, however fast anybody
 * is. */
static void let_it_spill(const struct buffer *buffer)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	for (int i = 0; i < 300 && buffer_counts(buffer)->spilled_clusters == 0; i++)
		nanosleep(&moment, NULL);
}

/* Whether it was complete. */
static bool take_backup(unsigned way)
{
	struct buffer_options options = ways[way].buffer;
	const struct capture_options how = {0};
	struct writer writer = {.pause_us = ways[way].pause_us};
	pthread_t threads[3];
	struct error err;

	options.spill_dir = scratch(".");
	pthread_mutex_init(&writer.lock, NULL);
	for (unsigned i = 0; i < 2; i++) {
		writer.images[i] = malloc(SIZE);
		writer.n_came[i] = calloc(clusters_of(SIZE), 1);
	}
	CU_ASSERT_EQUAL_FATAL(buffer_new(&writer.buffer, &options, &err), 0);
	CU_ASSERT_EQUAL_FATAL(capture_begin(&writer.capture, volumes, 2, writer.buffer, &how, &err),
			      0);
	if (options.spill_bytes > 0)
		let_it_spill(writer.buffer);
	for (unsigned i = 0; i < ways[way].n_writers; i++)
		pthread_create(&threads[i], NULL, run_writer, &writer);
	if (ways[way].end_after_us > 0)
		end_early(writer.buffer, ways[way].end_after_us);
	for (unsigned i = 0; i < ways[way].n_writers; i++)
		pthread_join(threads[i], NULL);
	note_counts(writer.capture, writer.buffer);
	if (writer.rc == 0) {
		check_all_came(&writer);
		judge(writer.images);
	}
	capture_end(writer.capture);
	buffer_free(writer.buffer);
	for (unsigned i = 0; i < 2; i++) {
		free(writer.images[i]);
		free(writer.n_came[i]);
	}
	pthread_mutex_destroy(&writer.lock);
	return writer.rc == 0;
}

static void backups_under_load(void)
{
	const char *many = getenv("VMABAK_BACKUPS");
	unsigned usual = getenv("VMABAK_LONG") != NULL ? BACKUPS_LONG : N_BACKUPS;
	unsigned n = many ? (unsigned)strtoul(many, NULL, 10) : usual, n_complete = 0;
	pthread_t guests[N_GUESTS];

	make_machine();
	stopping = false;
	n_wrong = 0;
	n_saved = n_spilled = 0;
	for (uintptr_t i = 0; i < N_GUESTS; i++)
		pthread_create(&guests[i], NULL, run_guest, (void *)i);
	for (unsigned i = 0; i < n; i++)
		n_complete += take_backup(i % (sizeof ways / sizeof ways[0]));
	stopping = true;
	for (unsigned i = 0; i < N_GUESTS; i++)
		pthread_join(guests[i], NULL);
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT(n_complete >= n / 2);
	CU_ASSERT(n_saved > n);
	CU_ASSERT(n_spilled > 0);
	if (many)
		printf("\n%u complete, %llu clusters saved by guests, %llu spilled\n", n_complete,
		       (unsigned long long)n_saved, (unsigned long long)n_spilled);
	free_machine();
}

void test_capture_threads(void)
{
	CU_pSuite suite = CU_add_suite("capture under load", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, backups_under_load);
}
