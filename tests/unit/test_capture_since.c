/*
 * Captures of which only changes are wanted, against a model: a guest writes between backups,
 * between the look through the map and the instant, in the middle of either, and afterwards. What
 * comes is what was written since the generation asked for, each cluster once, as it was at the
 * instant.
 */
#define N_CLUSTERS 5000u /* three groups of the map */
#define N_ROUNDS   60u

#include "base/clusterset.h"
#include "tests/unit/one_capture.h"
#include "tests/unit/suites.h"

static struct generation *map;
static uint16_t marks[N_CLUSTERS];		     /* the generation of the last write */
static uint8_t values[N_CLUSTERS], then[N_CLUSTERS]; /* what was written there */
static uint32_t n_came[N_CLUSTERS];
static uint32_t state = 1;

static uint32_t below(uint32_t n)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % n;
}

static void write_some(unsigned n)
{
	while (n-- > 0) {
		uint32_t cluster = below(4) == 0 ? below(N_CLUSTERS) : 2040 + below(20);

		values[cluster] = (uint8_t)(1 + below(255));
		memset(bytes, values[cluster], 100);
		CU_ASSERT_EQUAL_FATAL(
			volume_write(volume, (uint64_t)cluster * CLUSTER_SIZE + 7, bytes, 100, 0),
			0);
		marks[cluster] = generation_current(map);
	}
}

static struct capture_since since;

static void prepare(void)
{
	const struct capture_options options = {.since = &since};

	CU_ASSERT_EQUAL_FATAL(capture_prepare(&capture, &volume, 1, buffer, &options, &err), 0);
}

/* In the middle of a write: its cluster is marked, and not changed yet. */
static void prepare_within(struct fake_drive *drive, uint64_t offset, uint64_t n)
{
	(void)offset;
	(void)n;
	drive->before_change = NULL;
	prepare();
}

static bool is_then(uint64_t cluster, const uint8_t *came)
{
	static uint8_t expected[CLUSTER_SIZE];

	memset(expected + 7, then[cluster], 100);
	return memcmp(came, expected, sizeof(expected)) == 0;
}

static void take_all(void)
{
	struct chunk *chunk;
	int code;

	while ((code = capture_next(capture, &chunk, &err)) == 1) {
		for (uint32_t i = 0; i < chunk->n_clusters; i++) {
			uint64_t cluster = chunk->clusters[i].cluster;
			n_came[cluster]++;
			CU_ASSERT(is_then(cluster, chunk->bytes + (size_t)i * CLUSTER_SIZE));
		}
		for (uint32_t i = 0; i < chunk->n_zeros; i++)
			for (uint64_t j = 0; j < chunk->zeros[i].n_clusters; j++)
				n_came[chunk->zeros[i].cluster + j]++;
		buffer_release(buffer, chunk);
		write_some(below(3));
	}
	CU_ASSERT_EQUAL(code, 0);
}

static void check(const uint16_t *marks_then)
{
	const struct cluster_set *wanted = capture_wanted(capture, 0);
	unsigned n_wrong = 0;

	CU_ASSERT_EQUAL_FATAL(wanted != NULL, since.some);
	for (uint32_t i = 0; i < N_CLUSTERS; i++) {
		bool is_wanted = !since.some || marks_then[i] > since.generation;
		n_wrong += n_came[i] != (is_wanted ? 1 : 0);
		n_wrong += wanted != NULL && cluster_set_has(wanted, i) != is_wanted;
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
}

static void round_of(unsigned number)
{
	const struct buffer_options options = {.n_chunks = 4,
					       .spill_bytes = 64u << 20,
					       .spill_dir = "/tmp",
					       .when_full = FULL_FAIL};
	static uint16_t marks_then[N_CLUSTERS];

	write_some(below(30));
	since.some = below(8) != 0;
	since.generation = (uint16_t)below(generation_current(map));
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	if (number % 2 == 0) {
		prepare();
	} else {
		fake.before_change = prepare_within;
		write_some(1);
	}
	write_some(below(30));
	memcpy(then, values, sizeof(then));
	memcpy(marks_then, marks, sizeof(marks));
	memset(n_came, 0, sizeof(n_came));
	CU_ASSERT_EQUAL_FATAL(capture_start(capture, &err), 0);
	write_some(below(10));
	take_all();
	check(marks_then);
	capture_end(capture);
	buffer_free(buffer);
}

static void make_mapped_volume(void)
{
	fake_make(&fake, N_CLUSTERS * (uint64_t)CLUSTER_SIZE);
	CU_ASSERT_EQUAL_FATAL(generation_new(&map, N_CLUSTERS * (uint64_t)CLUSTER_SIZE, &err), 0);
	CU_ASSERT_EQUAL_FATAL(volume_new(&volume, "v", &fake.drive, map, &err), 0);
	memset(marks, 0, sizeof(marks));
	memset(values, 0, sizeof(values));
}

static void free_mapped_volume(void)
{
	free_volume();
	CU_ASSERT_EQUAL(generation_close(map, &err), 0);
}

static void only_changes_come(void)
{
	make_mapped_volume();
	for (unsigned i = 0; i < N_ROUNDS; i++)
		round_of(i);
	free_mapped_volume();
}

/* No chunk comes at all. */
static void nothing_changed(void)
{
	const struct buffer_options options = {.n_chunks = 4, .spill_dir = "/tmp"};
	const struct capture_options how = {.since = &since};
	uint64_t n = 0;

	make_mapped_volume();
	since = (struct capture_since){.some = true};
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	CU_ASSERT_EQUAL_FATAL(capture_begin(&capture, &volume, 1, buffer, &how, &err), 0);
	CU_ASSERT_EQUAL(empty_buffer(&n), 0);
	CU_ASSERT_EQUAL(n, 0);
	capture_end(capture);
	buffer_free(buffer);
	free_mapped_volume();
}

/* The drive cannot be flushed between the look through the map and the instant: all of it comes. */
static void flush_fails_meanwhile(void)
{
	const struct buffer_options options = {.n_chunks = 4, .spill_dir = "/tmp"};
	static uint16_t all[N_CLUSTERS];

	make_mapped_volume();
	since = (struct capture_since){.some = true};
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	prepare();
	write_some(3);
	generation_drop(map);
	memcpy(then, values, sizeof(then));
	memset(all, 0xff, sizeof(all));
	memset(n_came, 0, sizeof(n_came));
	CU_ASSERT_EQUAL_FATAL(capture_start(capture, &err), 0);
	take_all();
	check(all);
	capture_end(capture);
	buffer_free(buffer);
	free_mapped_volume();
}

/* One that is given up before its instant leaves the buffer and the volume as they were. */
static void given_up(void)
{
	const struct buffer_options options = {.n_chunks = 4, .spill_dir = "/tmp"};

	make_mapped_volume();
	since = (struct capture_since){.some = true};
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	for (unsigned i = 0; i < 2; i++) {
		prepare();
		write_some(3);
		capture_end(capture);
		write_some(3);
	}
	CU_ASSERT(!buffer_has_failed(buffer));
	CU_ASSERT_EQUAL(generation_current(map), 1);
	buffer_free(buffer);
	free_mapped_volume();
}

void test_capture_since(void)
{
	CU_pSuite suite = CU_add_suite("captures of what changed", NULL, NULL);

	CU_ADD_TEST(suite, only_changes_come);
	CU_ADD_TEST(suite, nothing_changed);
	CU_ADD_TEST(suite, flush_fails_meanwhile);
	CU_ADD_TEST(suite, given_up);
}
