/*
 * The buffer's spill file: what spills comes back, once, whatever is late, given up or fails.
 */
#include "tests/unit/one_buffer.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* 256 clusters fit the memory, the others spill, round and round. All come out, once. */
static void what_spills_comes_back(void)
{
	const uint64_t n = 3000;
	uint8_t *came = calloc(n, 1);
	uint64_t in = 0, out = 0;
	struct chunk *chunk;

	make(4, 100, FULL_FAIL);
	while (out < n) {
		while (in < n && in - out < 256 + 64)
			CU_ASSERT_EQUAL_FATAL(put(in++), 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
		for (uint32_t i = 0; i < chunk->n_clusters; i++) {
			CU_ASSERT(is_cluster(chunk, i, chunk->clusters[i].cluster));
			came[chunk->clusters[i].cluster]++;
		}
		out += chunk->n_clusters;
		buffer_release(buffer, chunk);
	}
	for (uint64_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(came[i], 1);
	CU_ASSERT(buffer_counts(buffer)->spilled_clusters >= 64);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 0);
	buffer_free(buffer);
	free(came);
}

static void expect_chunk(uint64_t first, uint32_t n)
{
	struct chunk *chunk = next();

	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk);
	CU_ASSERT_EQUAL(chunk->n_clusters, n);
	for (uint32_t i = 0; i < chunk->n_clusters; i++)
		CU_ASSERT(is_cluster(chunk, i, first + i));
	buffer_release(buffer, chunk);
}

/* A room that is filled late holds up what lies behind it in the file, and nothing else; one that
 * is given up leaves a gap. The file's places are used again. */
static void rooms_in_the_scratch_file(void)
{
	struct buffer_room late, void_one;
	struct chunk *held[4];

	make(4, 20, FULL_FAIL);
	put_some(1000, 256);
	for (int i = 0; i < 4; i++)
		held[i] = next();
	put_some(0, 10);
	CU_ASSERT_EQUAL(buffer_put(buffer, &late, true, &err), 0);
	put_some(11, 9);
	buffer_release(buffer, held[0]);
	struct chunk *chunk = next();
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk);
	CU_ASSERT_EQUAL(chunk->n_clusters, 10);
	put_some(20, 4);
	CU_ASSERT_EQUAL(buffer_put(buffer, &void_one, true, &err), 0);
	put_some(25, 5);
	CU_ASSERT(late.keep && void_one.keep);
	memset(late.bytes, 10, CLUSTER_SIZE);
	buffer_commit(buffer, &late, 1, 10);
	buffer_give_up(buffer, &void_one);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->spilled_clusters, 29);
	buffer_release(buffer, chunk);
	expect_chunk(10, 10);
	expect_chunk(20, 4);
	expect_chunk(25, 5);
	for (int i = 1; i < 4; i++)
		buffer_release(buffer, held[i]);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 0);
	buffer_free(buffer);
}

/* The pass waits while there is something in the spill file. */
static void the_pass_waits_for_the_scratch_file(void)
{
	struct chunk *chunk;

	make(4, 10, FULL_FAIL);
	put_some(0, 4 * 64 + 5);
	CU_ASSERT_EQUAL(buffer_fill(buffer), 1500);
	for (int i = 0; i < 4; i++)
		buffer_release(buffer, next());
	CU_ASSERT_EQUAL(buffer_fill(buffer), 500);
	CU_ASSERT_PTR_NULL(buffer_take_empty(buffer, false));
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT(chunk->urgent && chunk->n_clusters == 5 && is_cluster(chunk, 4, 260));
	CU_ASSERT_PTR_NOT_NULL(buffer_take_empty(buffer, false));
	buffer_free(buffer);
}

static bool fails_when_it_cannot_spill(void)
{
	struct chunk *chunk;

	for (uint64_t i = 0; i < 4 * 64; i++) {
		if (put(i) != 0)
			return false;
	}
	return put(300) == 0 && buffer_has_failed(buffer) &&
	       buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &err) < 0 &&
	       strstr(err.text, "the spill file in ") && put(301) != 0;
}

static void *put_one_more(void *context)
{
	(void)context;
	return (void *)(intptr_t)put(300);
}

/* With FULL_WAIT the cluster that could not be written is not lost. */
static bool waits_when_it_cannot_spill(void)
{
	const struct timespec moment = {.tv_nsec = 50000000};
	struct chunk *chunk = NULL;
	uint64_t n = 0;
	pthread_t thread;

	for (uint64_t i = 0; i < 4 * 64; i++) {
		if (put(i) != 0)
			return false;
	}
	pthread_create(&thread, NULL, put_one_more, NULL);
	nanosleep(&moment, NULL);
	for (int i = 0; i < 4; i++) {
		chunk = next();
		n += chunk->n_clusters;
		buffer_release(buffer, chunk);
	}
	pthread_join(thread, NULL);
	chunk = next();
	return n == 256 && chunk && chunk->n_clusters == 1 && is_cluster(chunk, 0, 300);
}

static void a_disk_that_fails_under_the_scratch_file(void)
{
	static const int calls[] = {SYS_pwrite64};

	make(4, 10, FULL_FAIL);
	CU_ASSERT(scratch_denied(calls, 1, ENOSPC, fails_when_it_cannot_spill));
	buffer_free(buffer);
	make(4, 10, FULL_WAIT);
	CU_ASSERT(scratch_denied(calls, 1, ENOSPC, waits_when_it_cannot_spill));
	buffer_free(buffer);
}

/* The spill file's descriptor: it has no name any more, and the size that is expected. */
static int find_spill_file(off_t size)
{
	struct stat found;

	for (int fd = 3; fd < 200; fd++) {
		if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 0 &&
		    found.st_size == size)
			return fd;
	}
	return -1;
}

/* Pages that write-back lost come back as zeros, one byte of a bad disk is another one, the file is
 * cut short: the backup fails, and says which file it was. */
static void a_spill_file_that_loses_data(void)
{
	static const uint8_t zeros[4096];

	for (unsigned what = 0; what < 4; what++) {
		make(4, 10, FULL_FAIL);
		put_some(1, 4 * 64 + 3);
		int fd = find_spill_file(3 * CLUSTER_SIZE);
		CU_ASSERT_FATAL(fd >= 0);
		if (what == 1 || what == 2)
			CU_ASSERT(pwrite(fd, zeros, what == 1 ? sizeof zeros : 1,
					 3 * CLUSTER_SIZE - 4096) > 0);
		if (what == 3)
			CU_ASSERT_EQUAL(ftruncate(fd, CLUSTER_SIZE), 0);
		for (int i = 0; i < 4; i++)
			buffer_release(buffer, next());
		struct chunk *chunk = next();
		CU_ASSERT_EQUAL(chunk != NULL, what == 0);
		CU_ASSERT_EQUAL(buffer_error(buffer, &err), what == 0 ? 0 : ERR_SYSTEM);
		if (what > 0)
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, what == 3 ? "cannot be read"
									  : "is not what was written"));
		buffer_free(buffer);
	}
}

static void no_place_for_a_scratch_file(void)
{
	const struct buffer_options options = {
		.n_chunks = 4, .spill_bytes = CLUSTER_SIZE, .spill_dir = scratch("none")};

	CU_ASSERT_EQUAL(buffer_new(&buffer, &options, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "none: a spill file: No such file"));
}

void test_buffer_spill(void)
{
	CU_pSuite suite = CU_add_suite("buffer: spill file", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_spills_comes_back);
	CU_ADD_TEST(suite, rooms_in_the_scratch_file);
	CU_ADD_TEST(suite, the_pass_waits_for_the_scratch_file);
	CU_ADD_TEST(suite, a_disk_that_fails_under_the_scratch_file);
	CU_ADD_TEST(suite, a_spill_file_that_loses_data);
	CU_ADD_TEST(suite, no_place_for_a_scratch_file);
}
