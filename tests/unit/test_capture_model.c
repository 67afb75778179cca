/*
 * The capture against a model: guest requests, steps of the pass, a slow writer, beginnings and
 * ends in random order, on one thread. What comes out of the buffer must be what the drives held at
 * the instant, each cluster once; the drives must hold what the guest wrote.
 *
 * VMABAK_SEED=n runs one seed, VMABAK_SEEDS=n so many.
 */
#include "cow/capture.h"
#include "tests/unit/fake_drive.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVES_MAX 3u
#define HELD_MAX   6u
/* A sanitizer takes its time. */
#if defined(__SANITIZE_ADDRESS__)
#define N_SEEDS 150u
#else
#define N_SEEDS 700u
#endif
#define N_SEEDS_LONG 4000u /* with VMABAK_LONG=1 */

struct side {
	struct fake_drive fake;
	struct volume *volume;
	struct generation *map;
	uint8_t *live;	   /* what the guest wrote */
	uint8_t *then;	   /* at the instant */
	uint8_t *captured; /* what came out */
	uint32_t *n_came;
	bool *written; /* since the instant; clusters */
};

/* To see that all that can happen does. */
enum { COMPLETE, FAILED, ABORTED, AGAIN, SPILLED, LEFT_OUT, N_COUNTS };

struct model {
	uint64_t state; /* of the random numbers */
	struct side sides[DRIVES_MAX];
	uint32_t n;
	struct buffer *buffer;
	struct capture *capture;
	struct chunk *held[HELD_MAX];
	uint32_t n_held;
	const char *wrong; /* the first thing that was */
	uint64_t counts[N_COUNTS];
};

static uint64_t next_random(struct model *model)
{
	model->state ^= model->state << 13;
	model->state ^= model->state >> 7;
	model->state ^= model->state << 17;
	return model->state * 2685821657736338717u >> 16;
}

/* Bytes that are nowhere else, or hardly. */
static uint8_t pool[4u << 20];
#define BYTES_MAX (2u << 20)

static const uint8_t *random_bytes(struct model *model)
{
	return pool + next_random(model) % (sizeof pool - BYTES_MAX);
}

static uint64_t below(struct model *model, uint64_t n)
{
	return next_random(model) % n;
}

static void demand(struct model *model, bool condition, const char *what)
{
	if (!condition && !model->wrong)
		model->wrong = what;
}

/* ---- the beginning ---- */

static uint64_t random_size(struct model *model)
{
	static const uint64_t most[] = {1, 3, 8, 8, 8, 16, 16, 70};
	uint64_t n = 1 + below(model, most[below(model, 8)]);

	return n * CLUSTER_SIZE - (below(model, 2) ? below(model, CLUSTER_SIZE) : 0);
}

static void make_side(struct model *model, struct side *side)
{
	uint64_t size = random_size(model);
	struct error err;

	fake_make(&side->fake, size);
	for (uint64_t at = 0; at < size;) {
		uint64_t n = 1 + below(model, 3 * CLUSTER_SIZE);
		n = n < size - at ? n : size - at;
		if (below(model, 2))
			fake_fill(&side->fake, at, n, random_bytes(model));
		at += n;
	}
	side->fake.chop = 1 + below(model, 300000);
	side->fake.keeps_trimmed = below(model, 2);
	side->fake.refuses_fast = below(model, 2);
	side->live = malloc(size);
	memcpy(side->live, side->fake.bytes, size);
	side->then = malloc(size);
	side->captured = malloc(size);
	side->n_came = calloc(clusters_of(size), sizeof *side->n_came);
	side->written = calloc(clusters_of(size), sizeof *side->written);
	demand(model, generation_new(&side->map, size, &err) == 0, "no map");
	demand(model, volume_new(&side->volume, "v", &side->fake.drive, side->map, &err) == 0,
	       "no volume");
}

static void free_side(struct side *side)
{
	struct error err;

	volume_free(side->volume);
	generation_close(side->map, &err);
	fake_free(&side->fake);
	free(side->live);
	free(side->then);
	free(side->captured);
	free(side->n_came);
	free(side->written);
}

/* ---- the guest ---- */

struct range {
	uint64_t offset, n;
};

static struct range random_range(struct model *model, const struct side *side)
{
	static const uint64_t most[] = {1, 512, 4096, 65536, 200000, 1500000};
	uint64_t size = side->fake.drive.size_bytes;
	struct range range = {below(model, size), 0};

	if (below(model, 2))
		range.offset -= range.offset % 4096;
	range.n = 1 + below(model, most[below(model, 6)]);
	if (range.n > size - range.offset)
		range.n = size - range.offset;
	return range;
}

static void note_written(struct side *side, const struct range *range)
{
	for (uint64_t c = range->offset / CLUSTER_SIZE; c < clusters_of(range->offset + range->n);
	     c++)
		side->written[c] = true;
}

static void guest_writes(struct model *model, struct side *side)
{
	struct range range = random_range(model, side);
	unsigned flags = below(model, 4) ? 0 : DRIVE_NOW;
	uint8_t *at = side->live + range.offset;
	const uint8_t *bytes = random_bytes(model);

	int rc = volume_write(side->volume, range.offset, bytes, (uint32_t)range.n, flags);
	if (rc == EAGAIN && flags != 0) {
		model->counts[AGAIN]++;
		demand(model, memcmp(side->fake.bytes + range.offset, at, range.n) == 0,
		       "EAGAIN, and something was done");
		rc = volume_write(side->volume, range.offset, bytes, (uint32_t)range.n, 0);
	}
	demand(model, rc == 0, "a write failed");
	memcpy(at, bytes, range.n);
	note_written(side, &range);
}

static void guest_zeroes(struct model *model, struct side *side)
{
	struct range range = random_range(model, side);
	unsigned flags = (unsigned)below(model, 16);
	int rc = volume_zero(side->volume, range.offset, range.n, flags);

	if ((rc == EAGAIN && (flags & DRIVE_NOW)) || (rc == ENOTSUP && (flags & DRIVE_FAST)))
		rc = volume_zero(side->volume, range.offset, range.n, flags & DRIVE_MAY_TRIM);
	demand(model, rc == 0, "zeroing failed");
	memset(side->live + range.offset, 0, range.n);
	note_written(side, &range);
}

/* What became of the range the drive decides, byte by byte if it likes. */
static void guest_trims(struct model *model, struct side *side)
{
	struct range range = random_range(model, side);
	int rc = volume_trim(side->volume, range.offset, range.n, 0);
	const uint8_t *now = side->fake.bytes + range.offset;
	uint8_t *before = side->live + range.offset;
	bool left = false;

	demand(model, rc == 0, "trimming failed");
	for (uint64_t i = 0; i < range.n; i++) {
		demand(model, now[i] == 0 || now[i] == before[i], "trimmed to neither");
		left = left || now[i] != 0;
		if (now[i] != before[i])
			side->written[(range.offset + i) / CLUSTER_SIZE] = true;
		before[i] = now[i];
	}
	model->counts[LEFT_OUT] += left && !side->fake.keeps_trimmed;
}

static void guest_reads(struct model *model, struct side *side)
{
	struct range range = random_range(model, side);
	unsigned flags = below(model, 2) ? DRIVE_NOW : 0;
	uint8_t *bytes = malloc(range.n);

	side->fake.counting = false;
	int rc = volume_read(side->volume, range.offset, bytes, (uint32_t)range.n, flags);
	side->fake.counting = true;
	demand(model, rc == 0 || (rc == EAGAIN && flags), "a read failed");
	if (rc == 0)
		demand(model, memcmp(bytes, side->live + range.offset, range.n) == 0,
		       "a guest read something else than it wrote");
	free(bytes);
}

static void guest_acts(struct model *model)
{
	struct side *side = &model->sides[below(model, model->n)];

	switch (below(model, 8)) {
	case 0:
		guest_zeroes(model, side);
		break;
	case 1:
		guest_trims(model, side);
		break;
	case 2:
		guest_reads(model, side);
		break;
	default:
		guest_writes(model, side);
	}
}

/* ---- the writer ---- */

static void came(struct model *model, struct side *side, uint64_t cluster, const uint8_t *bytes)
{
	uint64_t offset = cluster * CLUSTER_SIZE, size = side->fake.drive.size_bytes;

	demand(model, offset < size, "a cluster past the end");
	if (offset >= size)
		return;
	uint64_t n = size - offset < CLUSTER_SIZE ? size - offset : CLUSTER_SIZE;
	side->n_came[cluster]++;
	if (bytes) {
		memcpy(side->captured + offset, bytes, n);
		for (uint64_t i = n; i < CLUSTER_SIZE; i++)
			demand(model, bytes[i] == 0, "no zeros past the end");
	} else {
		memset(side->captured + offset, 0, n);
	}
}

/* Whoever has a chunk may do what he likes with its bytes. */
static void unpack(struct model *model, const struct chunk *chunk)
{
	demand(model, chunk->n_clusters <= CHUNK_CLUSTERS && chunk->n_zeros <= CHUNK_ZEROS,
	       "too much in a chunk");
	demand(model, chunk->n_clusters + chunk->n_zeros > 0, "an empty chunk");
	for (uint32_t i = 0; i < chunk->n_clusters; i++)
		came(model, &model->sides[chunk->clusters[i].drive], chunk->clusters[i].cluster,
		     chunk->bytes + (size_t)i * CLUSTER_SIZE);
	for (uint32_t i = 0; i < chunk->n_zeros; i++) {
		const struct chunk_zeros *run = &chunk->zeros[i];
		demand(model, run->n_clusters > 0, "an empty run");
		for (uint64_t c = 0; c < run->n_clusters && !model->wrong; c++)
			came(model, &model->sides[run->drive], run->cluster + c, NULL);
	}
	memset(chunk->bytes, 0xee, (size_t)chunk->n_clusters * CLUSTER_SIZE);
}

static void release_one(struct model *model)
{
	if (model->n_held == 0)
		return;
	uint32_t i = (uint32_t)below(model, model->n_held);
	buffer_release(model->buffer, model->held[i]);
	model->held[i] = model->held[--model->n_held];
}

/* As buffer_next. Who holds nothing may ask in the way that waits, and need not wait. */
static int writer_acts(struct model *model)
{
	struct chunk *chunk;
	struct error err;

	if (below(model, 5) == 0) {
		release_one(model);
		return 1;
	}
	int rc = model->n_held == 0 && below(model, 2)
			 ? capture_next(model->capture, &chunk, &err)
			 : buffer_next(model->buffer, &chunk, BUFFER_NOW, &err);
	if (rc == 1) {
		model->held[model->n_held++] = chunk;
		unpack(model, chunk);
	}
	return rc;
}

/* ---- backups ---- */

static void begin(struct model *model)
{
	struct buffer_options options = {
		.n_chunks = 4 + (below(model, 4) == 0),
		.spill_bytes = below(model, 2) ? below(model, 8) * CLUSTER_SIZE : 0,
		.spill_dir = "/tmp",
		.when_full = FULL_FAIL,
	};
	struct capture_options how = {0};
	struct volume *volumes[DRIVES_MAX];
	struct error err;

	for (uint32_t i = 0; i < model->n; i++) {
		struct side *side = &model->sides[i];
		uint64_t size = side->fake.drive.size_bytes;
		volumes[i] = side->volume;
		memcpy(side->then, side->live, size);
		memset(side->n_came, 0, clusters_of(size) * sizeof *side->n_came);
		memset(side->written, 0, clusters_of(size) * sizeof *side->written);
		memset(side->fake.n_reads, 0, clusters_of(size) * sizeof(uint32_t));
		side->fake.counting = true;
	}
	demand(model, buffer_new(&model->buffer, &options, &err) == 0, "no buffer");
	demand(model,
	       capture_begin(&model->capture, volumes, model->n, model->buffer, &how, &err) == 0,
	       "no capture");
}

static void end(struct model *model)
{
	model->counts[SPILLED] += buffer_counts(model->buffer)->spilled_clusters;
	capture_end(model->capture);
	buffer_free(model->buffer);
	model->capture = NULL;
	model->buffer = NULL;
	model->n_held = 0;
}

/* What the map says of writes since the instant. */
static void check_map(struct model *model, struct side *side)
{
	uint16_t g = (uint16_t)(generation_current(side->map) - 1);
	uint64_t n;

	for (uint64_t c = 0; c < clusters_of(side->fake.drive.size_bytes); c++)
		demand(model, !side->written[c] || generation_changed(side->map, g, c, &n),
		       "written, but not marked");
}

static void check_complete(struct model *model)
{
	struct capture_status status;
	uint64_t n_reads = 0;

	capture_status(model->capture, &status);
	for (uint32_t i = 0; i < model->n; i++) {
		struct side *side = &model->sides[i];
		uint64_t size = side->fake.drive.size_bytes;
		demand(model, memcmp(side->captured, side->then, size) == 0,
		       "not what was there at the instant");
		for (uint64_t c = 0; c < clusters_of(size); c++) {
			demand(model, side->n_came[c] == 1, "a cluster came not once");
			demand(model, side->fake.n_reads[c] <= 1, "a cluster was read twice");
			n_reads += side->fake.n_reads[c];
		}
		check_map(model, side);
	}
	demand(model, n_reads == status.read_clusters, "reads are counted wrong");
	demand(model,
	       status.swept_clusters + status.saved_clusters == status.read_clusters &&
		       status.read_clusters + status.zero_clusters == status.n_clusters,
	       "counters do not add up");
	model->counts[COMPLETE]++;
	end(model);
}

static void backup_acts(struct model *model)
{
	struct capture_status status;
	struct error err;
	int rc;

	if (below(model, 2)) {
		rc = capture_step(model->capture, &err);
		capture_status(model->capture, &status);
		demand(model, rc != 0 || status.todo_clusters == 0,
		       "through, and clusters are left");
	} else {
		rc = writer_acts(model);
		if (rc == 0)
			check_complete(model);
	}
	if (rc < 0) {
		model->counts[FAILED]++;
		demand(model, buffer_has_failed(model->buffer), "failed for no reason");
		end(model);
	}
}

/* ---- all of it ---- */

static void act(struct model *model)
{
	uint64_t what = below(model, 200);

	if (what < 80) {
		guest_acts(model);
	} else if (!model->capture) {
		if (what < 100)
			begin(model);
	} else if (what == 199) {
		model->counts[ABORTED]++;
		end(model);
	} else {
		backup_acts(model);
	}
}

static void check_live(struct model *model)
{
	for (uint32_t i = 0; i < model->n; i++) {
		struct side *side = &model->sides[i];
		demand(model,
		       memcmp(side->live, side->fake.bytes, side->fake.drive.size_bytes) == 0,
		       "the drive does not hold what was written");
	}
}

static bool run_seed(uint64_t seed, struct model *totals)
{
	struct model model = {.state = (seed + 1) * 0x9e3779b97f4a7c15u};

	model.n = 1 + (uint32_t)below(&model, DRIVES_MAX);
	for (uint32_t i = 0; i < model.n; i++)
		make_side(&model, &model.sides[i]);
	uint64_t n_acts = 50 + below(&model, 150);
	for (uint64_t i = 0; i < n_acts && !model.wrong; i++)
		act(&model);
	/* Every backup that is left must come to an end. */
	for (uint64_t i = 0; i < 100000 && model.capture && !model.wrong; i++)
		backup_acts(&model);
	demand(&model, !model.capture, "it does not come to an end");
	check_live(&model);
	if (model.capture)
		end(&model);
	for (uint32_t i = 0; i < model.n; i++)
		free_side(&model.sides[i]);
	for (int i = 0; i < N_COUNTS; i++)
		totals->counts[i] += model.counts[i];
	if (model.wrong)
		printf("\nVMABAK_SEED=%llu: %s\n", (unsigned long long)seed, model.wrong);
	return !model.wrong;
}

static void captures_are_the_instant(void)
{
	const char *one = getenv("VMABAK_SEED"), *many = getenv("VMABAK_SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 0;
	uint64_t usual = getenv("VMABAK_LONG") != NULL ? N_SEEDS_LONG : N_SEEDS;
	uint64_t n = one ? 1 : many ? strtoull(many, NULL, 10) : usual;
	struct model totals = {0};
	unsigned n_wrong = 0;

#ifdef M_TRIM_THRESHOLD
	mallopt(M_TRIM_THRESHOLD, 64 << 20); /* or most of the time goes into page faults */
#endif
	scratch_fill(pool, sizeof pool, 1);
	for (uint64_t i = 0; i < n && n_wrong < 5; i++)
		n_wrong += !run_seed(first + i, &totals);
	CU_ASSERT_EQUAL(n_wrong, 0);
	/* None of these may be a rare thing. */
	for (int i = 0; i < N_COUNTS && !one; i++)
		CU_ASSERT(totals.counts[i] > n / 100);
}

void test_capture_model(void)
{
	CU_pSuite suite = CU_add_suite("capture against a model", NULL, NULL);

	CU_ADD_TEST(suite, captures_are_the_instant);
}
