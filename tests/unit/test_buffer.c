/*
 * The buffer: what goes out first, what is kept for whom, the scratch file, being full, failing.
 */
#include "cow/buffer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct buffer *buffer;
static struct error err;

static void make(uint32_t n_chunks, uint64_t spill_clusters, enum when_full when_full)
{
	const struct buffer_options options = {
		.n_chunks = n_chunks,
		.spill_bytes = spill_clusters * CLUSTER_SIZE,
		.spill_dir = scratch("."),
		.when_full = when_full,
	};

	buffer = NULL;
	memset(&err, 0, sizeof err);
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
}

/* A cluster that is all of the number's lowest byte. */
static int put(uint64_t cluster)
{
	struct buffer_room room;
	struct error mine;
	int rc = buffer_put(buffer, &room, true, &mine);

	if (rc == 0) {
		memset(room.bytes, (int)(cluster & 0xff), CLUSTER_SIZE);
		buffer_commit(buffer, &room, 1, cluster);
	}
	return rc;
}

static bool is_cluster(const struct chunk *chunk, uint32_t i, uint64_t cluster)
{
	const uint8_t *bytes = chunk->bytes + (size_t)i * CLUSTER_SIZE;

	return chunk->clusters[i].drive == 1 && chunk->clusters[i].cluster == cluster &&
	       bytes[0] == (cluster & 0xff) && memcmp(bytes, bytes + 1, CLUSTER_SIZE - 1) == 0;
}

static struct chunk *next(void)
{
	struct chunk *chunk = NULL;

	return buffer_next(buffer, &chunk, false, &err) == 1 ? chunk : NULL;
}

static void put_some(uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(put(first + i), 0);
}

/* One that came from the pass, with a cluster or a run of zeros in it. */
static void pass(uint64_t cluster)
{
	struct chunk *chunk = buffer_take_empty(buffer, true);

	memset(chunk->bytes, (int)(cluster & 0xff), CLUSTER_SIZE);
	chunk->clusters[0] = (struct chunk_cluster){1, cluster};
	chunk->n_clusters = 1;
	buffer_hand_in(buffer, chunk);
}

static void urgent_ones_go_first(void)
{
	struct chunk *chunk;

	make(8, 0, FULL_FAIL);
	pass(500);
	put_some(0, 70);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT(chunk->urgent);
	CU_ASSERT_EQUAL(chunk->n_clusters, 64);
	for (uint32_t i = 0; i < 64; i++)
		CU_ASSERT(is_cluster(chunk, i, i));
	buffer_release(buffer, chunk);
	/* One that is not full goes after those that are whole. */
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_FALSE(chunk->urgent);
	CU_ASSERT(is_cluster(chunk, 0, 500));
	buffer_release(buffer, chunk);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_EQUAL(chunk->n_clusters, 6);
	CU_ASSERT(is_cluster(chunk, 5, 69));
	buffer_release(buffer, chunk);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 2);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, true, &err), 0);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->urgent_clusters, 70);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->passed_clusters, 1);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->peak_bytes, 3 * CHUNK_SIZE);
	buffer_free(buffer);
}

static void half_is_kept_for_the_urgent(void)
{
	struct chunk *chunk;

	make(8, 0, FULL_FAIL);
	for (uint64_t i = 0; i < 4; i++)
		pass(i);
	CU_ASSERT_PTR_NULL(buffer_take_empty(buffer, false));
	CU_ASSERT_EQUAL(buffer_fill(buffer), 500);
	put_some(0, 4 * 64);
	CU_ASSERT_EQUAL(buffer_fill(buffer), 1000);
	for (uint64_t i = 0; i < 4; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
		CU_ASSERT(chunk->urgent);
		buffer_release(buffer, chunk);
	}
	/* It is half full now: that is not enough. */
	CU_ASSERT_PTR_NULL(buffer_take_empty(buffer, false));
	buffer_release(buffer, next());
	CU_ASSERT_PTR_NOT_NULL(chunk = buffer_take_empty(buffer, false));
	buffer_hand_in(buffer, chunk);
	buffer_free(buffer);
}

/* The end is not there while a room or a chunk is still with somebody. */
static void the_end_waits_for_all(void)
{
	struct buffer_room room;
	struct chunk *chunk, *empty;

	make(4, 0, FULL_FAIL);
	empty = buffer_take_empty(buffer, true);
	CU_ASSERT_EQUAL(buffer_put(buffer, &room, true, &err), 0);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 2);
	buffer_commit(buffer, &room, 1, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	buffer_release(buffer, chunk);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 2);
	empty->zeros[empty->n_zeros++] = (struct chunk_zeros){0, 5, 5};
	buffer_hand_in(buffer, empty);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_EQUAL(chunk->zeros[0].n_clusters, 5);
	CU_ASSERT_EQUAL(buffer_next(buffer, &empty, false, &err), 0);
	buffer_free(buffer);
}

/* Rooms that were given up leave no gaps, and are given to others. */
static void rooms_given_up(void)
{
	struct buffer_room rooms[64];
	struct chunk *chunk;

	make(4, 0, FULL_FAIL);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(buffer_put(buffer, &rooms[i], true, &err), 0);
	for (int i = 0; i < 10; i++) {
		memset(rooms[i].bytes, i, CLUSTER_SIZE);
		if (i % 3 == 0)
			buffer_give_up(buffer, &rooms[i]);
		else
			buffer_commit(buffer, &rooms[i], 1, (uint64_t)i);
	}
	CU_ASSERT_EQUAL(put(20), 0); /* into the first of them */
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_EQUAL(chunk->n_clusters, 7);
	uint64_t seen = 0;
	for (uint32_t i = 0; i < chunk->n_clusters; i++) {
		CU_ASSERT(is_cluster(chunk, i, chunk->clusters[i].cluster));
		seen |= (uint64_t)1 << chunk->clusters[i].cluster;
	}
	CU_ASSERT_EQUAL(seen, (1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 20));
	buffer_release(buffer, chunk);
	/* All given up: the chunk is free again. */
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(buffer_put(buffer, &rooms[i], true, &err), 0);
	for (int i = 0; i < 64; i++)
		buffer_give_up(buffer, &rooms[i]);
	CU_ASSERT_EQUAL(buffer_fill(buffer), 0);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 0);
	buffer_free(buffer);
}

/* Who may not wait gets memory or nothing. */
static void room_at_once(void)
{
	struct buffer_room room;

	make(4, 1 << 20, FULL_FAIL);
	put_some(0, 256);
	CU_ASSERT_EQUAL(buffer_put(buffer, &room, false, &err), 2);
	buffer_release(buffer, next());
	CU_ASSERT_EQUAL(buffer_put(buffer, &room, false, &err), 0);
	buffer_give_up(buffer, &room);
	buffer_free(buffer);
}

static void runs_of_zeros(void)
{
	struct chunk_zeros run = {2, 100, 5};
	struct chunk *chunk;
	uint64_t n = 0;

	make(4, 0, FULL_FAIL);
	CU_ASSERT_EQUAL(buffer_put_zeros(buffer, &run, true, &err), 0);
	run.cluster = 105;
	CU_ASSERT_EQUAL(buffer_put_zeros(buffer, &run, true, &err), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_EQUAL(chunk->n_clusters, 0);
	CU_ASSERT_EQUAL(chunk->n_zeros, 1);
	CU_ASSERT_EQUAL(chunk->zeros[0].n_clusters, 10);
	buffer_release(buffer, chunk);
	/* Many that do not touch go out with whatever leaves. */
	pass(3);
	for (uint64_t i = 0; i < 16384; i++) {
		run = (struct chunk_zeros){0, 2 * i, 1};
		CU_ASSERT_EQUAL(buffer_put_zeros(buffer, &run, true, &err), 0);
	}
	while ((chunk = next())) {
		CU_ASSERT(chunk->n_zeros <= CHUNK_ZEROS);
		n += chunk->n_zeros;
		buffer_release(buffer, chunk);
	}
	CU_ASSERT_EQUAL(n, 16384);
	CU_ASSERT_EQUAL(err.code, 0);
	/* One more than there is room for. */
	for (uint64_t i = 0; i < 16385; i++) {
		run = (struct chunk_zeros){0, 2 * i, 1};
		if (i == 16384)
			CU_ASSERT_EQUAL(buffer_put_zeros(buffer, &run, false, &err), 2);
		CU_ASSERT_EQUAL(buffer_has_failed(buffer), false);
		CU_ASSERT_EQUAL(buffer_put_zeros(buffer, &run, true, &err) != 0, i == 16384);
	}
	CU_ASSERT(buffer_has_failed(buffer));
	buffer_free(buffer);
}

/* ---- the scratch file ---- */

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
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 0);
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
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, false, &err), 0);
	buffer_free(buffer);
}

/* The pass waits while there is something in the scratch file. */
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
	       buffer_next(buffer, &chunk, true, &err) < 0 &&
	       strstr(err.text, "scratch file of the backup cannot be written") && put(301) != 0;
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

static void no_place_for_a_scratch_file(void)
{
	const struct buffer_options options = {
		.n_chunks = 4, .spill_bytes = CLUSTER_SIZE, .spill_dir = scratch("none")};

	CU_ASSERT_EQUAL(buffer_new(&buffer, &options, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "none: a scratch file: No such file"));
}

/* ---- being full, failing ---- */

static void full(void)
{
	const struct error why = {.code = ERR_DAMAGED, .text = "first"},
			   late = {.code = ERR_FULL, .text = "second"};
	struct buffer_room room;
	struct chunk *chunk;

	make(4, 0, FULL_FAIL);
	put_some(0, 4 * 64);
	CU_ASSERT_EQUAL(buffer_error(buffer, &err), 0);
	CU_ASSERT(put(256) != 0);
	CU_ASSERT_EQUAL(buffer_error(buffer, &err), ERR_FULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "16 MiB of memory and 0 MiB of scratch file"));
	buffer_free(buffer);
	make(4, 0, FULL_FAIL);
	CU_ASSERT_EQUAL(buffer_put(buffer, &room, true, &err), 0);
	buffer_fail(buffer, &why);
	buffer_fail(buffer, &late);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, true, &err), ERR_DAMAGED);
	CU_ASSERT_STRING_EQUAL(err.text, "first");
	CU_ASSERT_PTR_NULL(buffer_take_empty(buffer, true));
	CU_ASSERT(put(1) != 0);
	buffer_commit(buffer, &room, 1, 1); /* who has a room may still be done with it */
	buffer_free(buffer);
}

static void *take_and_wait(void *context)
{
	struct chunk *chunk;
	struct error mine;

	(void)context;
	return (void *)(intptr_t)(buffer_next(buffer, &chunk, true, &mine) < 0);
}

static void *take_empty_and_wait(void *context)
{
	(void)context;
	while (buffer_take_empty(buffer, true))
		;
	return (void *)(intptr_t)buffer_has_failed(buffer);
}

static void failing_wakes_all(void)
{
	void *(*const ways[])(void *) = {take_and_wait, take_empty_and_wait};
	const struct error why = {.code = ERR_SYSTEM, .text = "why"};
	const struct timespec moment = {.tv_nsec = 20000000};

	for (size_t i = 0; i < 2; i++) {
		pthread_t thread;
		void *result = NULL;
		make(4, 0, FULL_WAIT);
		pthread_create(&thread, NULL, ways[i], NULL);
		nanosleep(&moment, NULL);
		buffer_fail(buffer, &why);
		pthread_join(thread, &result);
		CU_ASSERT_PTR_NOT_NULL(result);
		buffer_free(buffer);
	}
}

/* Another process may map it, and cannot cut it from under us. */
static void the_memory_is_sealed(void)
{
	make(4, 0, FULL_FAIL);
	int fd = buffer_fd(buffer);
	CU_ASSERT_NOT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_NOT_EQUAL(ftruncate(fd, 5 * CHUNK_SIZE), 0);
	uint8_t *memory = mmap(NULL, 4 * CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL(put(9), 0);
	struct chunk *chunk = next();
	CU_ASSERT_EQUAL(memory[(size_t)chunk->index * CHUNK_SIZE], 9);
	munmap(memory, 4 * CHUNK_SIZE);
	buffer_free(buffer);
}

void test_buffer(void)
{
	CU_pSuite suite = CU_add_suite("buffer", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, urgent_ones_go_first);
	CU_ADD_TEST(suite, half_is_kept_for_the_urgent);
	CU_ADD_TEST(suite, the_end_waits_for_all);
	CU_ADD_TEST(suite, rooms_given_up);
	CU_ADD_TEST(suite, room_at_once);
	CU_ADD_TEST(suite, runs_of_zeros);
	CU_ADD_TEST(suite, what_spills_comes_back);
	CU_ADD_TEST(suite, rooms_in_the_scratch_file);
	CU_ADD_TEST(suite, the_pass_waits_for_the_scratch_file);
	CU_ADD_TEST(suite, a_disk_that_fails_under_the_scratch_file);
	CU_ADD_TEST(suite, no_place_for_a_scratch_file);
	CU_ADD_TEST(suite, full);
	CU_ADD_TEST(suite, failing_wakes_all);
	CU_ADD_TEST(suite, the_memory_is_sealed);
}
