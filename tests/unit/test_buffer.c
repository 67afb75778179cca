/*
 * The buffer: what goes out first, what is kept for whom, being full, failing.
 */
#include "tests/unit/one_buffer.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 2);
	buffer_end(buffer);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &err), 0);
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

/* Who can read for himself does not take what may yet become more, and comes back when he may read.
 */
static void one_who_can_do_more_than_write(void)
{
	struct chunk *chunk;

	make(8, 0, FULL_FAIL);
	put_some(0, 1);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_WHOLE, &err), 2);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_FOR_CHANCES, &err), 1);
	CU_ASSERT(is_cluster(chunk, 0, 0));
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_FOR_CHANCES, &err), 2);
	put_some(0, 64);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_WHOLE, &err), 1);
	CU_ASSERT_EQUAL(chunk->n_clusters, 64);
	pass(7);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_WHOLE, &err), 1);
	CU_ASSERT_FALSE(chunk->urgent);
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
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 2);
	buffer_commit(buffer, &room, 1, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	buffer_release(buffer, chunk);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 2);
	empty->zeros[empty->n_zeros++] = (struct chunk_zeros){0, 5, 5};
	buffer_hand_in(buffer, empty);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chunk = next());
	CU_ASSERT_EQUAL(chunk->zeros[0].n_clusters, 5);
	CU_ASSERT_EQUAL(buffer_next(buffer, &empty, BUFFER_NOW, &err), 0);
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
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_NOW, &err), 0);
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
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "16 MiB of memory and 0 MiB of spill file"));
	buffer_free(buffer);
	make(4, 0, FULL_FAIL);
	CU_ASSERT_EQUAL(buffer_put(buffer, &room, true, &err), 0);
	buffer_fail(buffer, &why);
	buffer_fail(buffer, &late);
	CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &err), ERR_DAMAGED);
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
	return (void *)(intptr_t)(buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &mine) < 0);
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

static bool has_failed_for_memory(void)
{
	return buffer_has_failed(buffer) && buffer_error(buffer, &err) == ERR_SYSTEM &&
	       strstr(err.text, "the buffer of the backup: Cannot allocate memory");
}

static bool no_memory_for_a_guest(void)
{
	return put(1) < 0 && has_failed_for_memory();
}

static bool no_memory_for_a_guest_who_cannot_wait(void)
{
	struct buffer_room room;

	return buffer_put(buffer, &room, false, &err) == 2 && has_failed_for_memory() &&
	       buffer_put(buffer, &room, true, &err) < 0;
}

static bool no_memory_for_the_pass(void)
{
	struct chunk *chunk = buffer_take_empty(buffer, true);

	return chunk && buffer_get_memory(buffer, chunk, 3, &err) == ERR_SYSTEM &&
	       strstr(err.text, "the buffer of the backup: Cannot allocate memory");
}

/* Memory that is touched and cannot be had would be a SIGBUS, and the end of the server: it is
 * asked for before that. With a spill file, too, whose room would be left over. */
static void no_memory(void)
{
	static const int calls[] = {SYS_fallocate};

	make(4, 8, FULL_WAIT);
	CU_ASSERT(scratch_denied(calls, 1, ENOSPC, no_memory_for_a_guest));
	CU_ASSERT(scratch_denied(calls, 1, ENOSPC, no_memory_for_a_guest_who_cannot_wait));
	CU_ASSERT(scratch_denied(calls, 1, ENOSPC, no_memory_for_the_pass));
	buffer_free(buffer);
}

void test_buffer(void)
{
	CU_pSuite suite = CU_add_suite("buffer", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, urgent_ones_go_first);
	CU_ADD_TEST(suite, half_is_kept_for_the_urgent);
	CU_ADD_TEST(suite, one_who_can_do_more_than_write);
	CU_ADD_TEST(suite, the_end_waits_for_all);
	CU_ADD_TEST(suite, rooms_given_up);
	CU_ADD_TEST(suite, room_at_once);
	CU_ADD_TEST(suite, runs_of_zeros);
	CU_ADD_TEST(suite, full);
	CU_ADD_TEST(suite, failing_wakes_all);
	CU_ADD_TEST(suite, the_memory_is_sealed);
	CU_ADD_TEST(suite, no_memory);
}
