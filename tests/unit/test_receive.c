/*
 * Exports that QEMU's backup jobs write to, with a client that does what QEMU does and what it
 * should not.
 */
#include "nbd/client.h"
#include "machine/qemu/receive.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/suites.h"

#if HAVE_LIBNBD

#define SIZE	   (10u * CLUSTER_SIZE + 1536u) /* bytes: 11 clusters */
#define N_CLUSTERS 11u

static struct buffer *buffer;
static struct receiver *receiver;
static struct nbdclient *client;
static uint8_t bytes[4 * CLUSTER_SIZE];

/* A client may be told before it is counted. */
static unsigned users(uint32_t drive)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	for (int i = 0; i < 200 && receiver_users(receiver, drive) == 0; i++)
		nanosleep(&pause, NULL);
	return receiver_users(receiver, drive);
}

static void begin(bool may_leave_out, uint32_t n_chunks)
{
	struct buffer_options options = {.n_chunks = n_chunks};
	struct receiver_drive drive = {.size_bytes = SIZE, .may_leave_out = may_leave_out};
	static char uri[300];
	struct error err;

	snprintf(uri, sizeof uri, "nbd+unix:///0?socket=%s", scratch("receiver"));
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	CU_ASSERT_EQUAL_FATAL(receiver_new(&receiver, &drive, 1, buffer, &err), 0);
	CU_ASSERT_EQUAL_FATAL(receiver_listen(receiver, scratch("receiver"), &err), 0);
	CU_ASSERT_EQUAL_FATAL(nbdclient_connect(&client, uri, &err), 0);
	CU_ASSERT_EQUAL(users(0), 1);
	scratch_fill(bytes, sizeof bytes, 1);
}

static void end(void)
{
	nbdclient_free(client);
	receiver_free(receiver);
	buffer_free(buffer);
}

static int write_at(uint64_t offset, size_t n)
{
	struct error err;

	return nbdclient_write(client, offset, bytes, n, &err);
}

static int zero_at(uint64_t offset, uint64_t n)
{
	struct error err;

	return nbdclient_zero(client, offset, n, &err);
}

/* Empties the buffer: how often each cluster came as data ('d'), as zeros ('z') or not at all
 * ('-').
 */
static int drain(char found[N_CLUSTERS + 1], struct error *err)
{
	struct chunk *chunk;
	int rc;

	memset(found, '-', N_CLUSTERS);
	found[N_CLUSTERS] = '\0';
	while ((rc = buffer_next(buffer, &chunk, BUFFER_FOR_WORK, err)) == 1) {
		for (uint32_t i = 0; i < chunk->n_clusters; i++) {
			char *at = &found[chunk->clusters[i].cluster];
			*at = *at == '-' ? 'd' : '!';
		}
		for (uint32_t i = 0; i < chunk->n_zeros; i++)
			for (uint64_t j = 0; j < chunk->zeros[i].n_clusters; j++) {
				char *at = &found[chunk->zeros[i].cluster + j];
				*at = *at == '-' ? 'z' : '!';
			}
		buffer_release(buffer, chunk);
	}
	return rc;
}

/* Data before zeros, zeros before data, the same again; the last cluster is partial. */
static void every_cluster_once(void)
{
	char found[N_CLUSTERS + 1];
	struct error err;

	begin(false, 4);
	CU_ASSERT_EQUAL(write_at(3 * CLUSTER_SIZE, 2 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(zero_at(0, 5 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(write_at(4 * CLUSTER_SIZE, 2 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(zero_at(6 * CLUSTER_SIZE, 4 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(write_at(10 * CLUSTER_SIZE, 1536), 0);
	CU_ASSERT_EQUAL(write_at(10 * CLUSTER_SIZE, 1536), 0);
	CU_ASSERT_EQUAL(receiver_finish(receiver, &err), 0);
	CU_ASSERT_EQUAL(drain(found, &err), 0);
	CU_ASSERT_STRING_EQUAL(found, "zzzdddzzzzd");
	CU_ASSERT_EQUAL(receiver_counts(receiver).data_clusters, 4);
	CU_ASSERT_EQUAL(receiver_counts(receiver).again_clusters, 2);
	end();
}

static void the_bytes_are_those_that_came(void)
{
	struct chunk *chunk;
	struct error err;

	begin(true, 4);
	CU_ASSERT_EQUAL(write_at(10 * CLUSTER_SIZE, 1536), 0);
	CU_ASSERT_EQUAL_FATAL(buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &err), 1);
	CU_ASSERT_EQUAL(memcmp(chunk->bytes, bytes, 1536), 0);
	for (size_t i = 1536; i < CLUSTER_SIZE; i++)
		if (chunk->bytes[i] != 0) {
			CU_FAIL("no zeros past the end of the drive");
			break;
		}
	buffer_release(buffer, chunk);
	end();
}

static void what_was_left_out(void)
{
	char found[N_CLUSTERS + 1];
	struct error err;

	begin(true, 4);
	CU_ASSERT_EQUAL(write_at(0, CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(receiver_finish(receiver, &err), 0);
	CU_ASSERT_EQUAL(drain(found, &err), 0);
	CU_ASSERT_STRING_EQUAL(found, "dzzzzzzzzzz");
	end();

	begin(false, 4);
	CU_ASSERT_EQUAL(write_at(0, CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(zero_at(CLUSTER_SIZE, 8 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(receiver_finish(receiver, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cluster 9 never came"));
	CU_ASSERT_EQUAL(drain(found, &err), ERR_SYSTEM);
	end();
}

/* What is no backup job's costs the backup, and never the guest an error. */
static void requests_of_no_backup_job(void)
{
	static const struct {
		uint64_t offset;
		uint32_t n;
		bool zero;
	} cases[] = {
		{512, CLUSTER_SIZE, false},
		{0, 512, false},
		{0, CLUSTER_SIZE + 512, false},
		{10 * CLUSTER_SIZE, 1024, false},
		{10 * CLUSTER_SIZE + 512, 1024, false},
		{4096, CLUSTER_SIZE, true},
		{0, 4096, true},
	};
	char found[N_CLUSTERS + 1];
	struct error err;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(true, 4);
		CU_ASSERT_EQUAL(cases[i].zero ? zero_at(cases[i].offset, cases[i].n)
					      : write_at(cases[i].offset, cases[i].n),
				0);
		CU_ASSERT_EQUAL(drain(found, &err), ERR_SYSTEM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not whole clusters"));
		/* Everything is still answered. */
		CU_ASSERT_EQUAL(write_at(0, CLUSTER_SIZE), 0);
		end();
	}
	begin(true, 4);
	CU_ASSERT_EQUAL(write_at(0, CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(nbdclient_read(client, 0, bytes, 512, &err), 0);
	CU_ASSERT_EQUAL(bytes[0] | bytes[511], 0);
	end();
}

/* Drives of 400 clusters and a buffer of 4 chunks; a client of the first drive. */
static void begin_small_buffer(unsigned n_drives)
{
	struct buffer_options options = {.n_chunks = 4};
	static struct receiver_drive drives[100]; /* borrowed */
	char uri[300];
	struct error err;

	for (unsigned i = 0; i < n_drives; i++)
		drives[i] = (struct receiver_drive){.size_bytes = 400 * CLUSTER_SIZE};
	snprintf(uri, sizeof uri, "nbd+unix:///0?socket=%s", scratch("receiver"));
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	CU_ASSERT_EQUAL_FATAL(receiver_new(&receiver, drives, n_drives, buffer, &err), 0);
	CU_ASSERT_EQUAL_FATAL(receiver_listen(receiver, scratch("receiver"), &err), 0);
	CU_ASSERT_EQUAL_FATAL(nbdclient_connect(&client, uri, &err), 0);
}

/* A buffer that nobody empties is full after some 256 clusters, fails, and swallows on. */
static void full(void)
{
	struct error err;

	begin_small_buffer(1);
	for (uint64_t i = 0; i < 400; i++)
		CU_ASSERT_EQUAL(write_at(i * CLUSTER_SIZE, CLUSTER_SIZE), 0);
	CU_ASSERT(buffer_has_failed(buffer));
	CU_ASSERT_NOT_EQUAL(receiver_finish(receiver, &err), 0);
	end();
}

/* Nobody empties the buffer: a long request is held, but not for long. */
static void long_requests_are_held(void)
{
	begin_small_buffer(1);
	CU_ASSERT_EQUAL(write_at(0, 4 * CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(receiver_counts(receiver).held_requests, 0);
	for (uint64_t i = 4; i < 160; i++)
		CU_ASSERT_EQUAL(write_at(i * CLUSTER_SIZE, CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(receiver_counts(receiver).held_requests, 0);
	double start = scratch_seconds();
	CU_ASSERT_EQUAL(write_at(160 * CLUSTER_SIZE, 4 * CLUSTER_SIZE), 0);
	double seconds = scratch_seconds() - start;
	CU_ASSERT_EQUAL(receiver_counts(receiver).held_requests, 1);
	CU_ASSERT(seconds >= 0.015 && seconds < 5); /* 25 ms, by a clock of 4 ms or 10 */
	CU_ASSERT_FALSE(buffer_has_failed(buffer));
	end();
}

static double seconds_of_write(uint64_t cluster)
{
	double start = scratch_seconds();

	CU_ASSERT_EQUAL(write_at(cluster * CLUSTER_SIZE, 4 * CLUSTER_SIZE), 0);
	return scratch_seconds() - start;
}

/* Of many drives the job's own pass is held longer, but not a write that it cannot have made. */
static void passes_of_many_drives_are_held_longer(void)
{
	unsigned i = 0;

	begin_small_buffer(100);
	CU_ASSERT_EQUAL(zero_at(0, 100 * CLUSTER_SIZE), 0);
	for (uint64_t at = 100; at < 240; at++)
		CU_ASSERT_EQUAL(write_at(at * CLUSTER_SIZE, CLUSTER_SIZE), 0);
	while (i < 10 && seconds_of_write(300 + 4 * i) > 0.5) /* the machine may be busy */
		i++;
	CU_ASSERT(i < 10);
	CU_ASSERT(seconds_of_write(240) >= 0.9);
	CU_ASSERT_FALSE(buffer_has_failed(buffer));
	end();
}

static void without_a_buffer(void)
{
	struct receiver_drive drives[12];
	char uri[300];
	struct error err;

	for (unsigned i = 0; i < 12; i++)
		drives[i] = (struct receiver_drive){.size_bytes = SIZE};
	CU_ASSERT_EQUAL_FATAL(receiver_new(&receiver, drives, 12, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(receiver_listen(receiver, scratch("receiver"), &err), 0);
	snprintf(uri, sizeof uri, "nbd+unix:///11?socket=%s", scratch("receiver"));
	CU_ASSERT_EQUAL_FATAL(nbdclient_connect(&client, uri, &err), 0);
	CU_ASSERT_EQUAL(nbdclient_size(client), SIZE);
	CU_ASSERT_EQUAL(users(11), 1);
	CU_ASSERT_EQUAL(receiver_users(receiver, 0), 0);
	CU_ASSERT_EQUAL(write_at(512, 1024), 0);
	CU_ASSERT_EQUAL(zero_at(512, 1024), 0);
	CU_ASSERT_EQUAL(nbdclient_flush(client, &err), 0);
	nbdclient_free(client);
	receiver_free(receiver);
}

void test_receive(void)
{
	CU_pSuite suite = CU_add_suite("receiver", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, every_cluster_once);
	CU_ADD_TEST(suite, the_bytes_are_those_that_came);
	CU_ADD_TEST(suite, what_was_left_out);
	CU_ADD_TEST(suite, requests_of_no_backup_job);
	CU_ADD_TEST(suite, full);
	CU_ADD_TEST(suite, long_requests_are_held);
	CU_ADD_TEST(suite, passes_of_many_drives_are_held_longer);
	CU_ADD_TEST(suite, without_a_buffer);
}

#else

void test_receive(void)
{
}

#endif
