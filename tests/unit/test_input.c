/* Inputs: what comes through a pipe byte by byte, and gzip with everything that may go wrong with
 * it. */
#include "base/clock.h"
#include "reader/input/input.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#define N_BYTES 3000000u

static uint8_t *pattern(void)
{
	uint8_t *bytes = malloc(N_BYTES);
	for (uint32_t i = 0; i < N_BYTES; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	return bytes;
}

/* One gzip member; returns its size. */
static size_t deflate_member(const uint8_t *bytes, size_t n, uint8_t *out, size_t room)
{
	z_stream stream = {0};
	deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	stream.next_in = (uint8_t *)bytes;
	stream.avail_in = (uInt)n;
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	int code = deflate(&stream, Z_FINISH);
	CU_ASSERT_EQUAL(code, Z_STREAM_END);
	deflateEnd(&stream);
	return room - stream.avail_out;
}

/* Reads it all and compares. The code of the first error, 1 when it is something else. */
static int read_back(const uint8_t *stored, size_t size, const uint8_t *wanted, size_t n_wanted)
{
	struct input *in = NULL;
	struct error err = {0};
	char path[64];
	int fd = memfd_create("stream", 0);
	CU_ASSERT_EQUAL(write(fd, stored, size), (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	uint8_t *buffer = malloc(n_wanted + 1);
	size_t got = 0;
	int code = input_open(&in, path, &err);
	if (code == 0)
		code = input_read_some(in, buffer, n_wanted + 1, &got, &err);
	if (code == 0 && (got != n_wanted || memcmp(buffer, wanted, n_wanted) != 0))
		code = 1;
	CU_ASSERT(code >= 0 || err.text[0] != '\0');
	free(buffer);
	input_close(in);
	close(fd);
	return code;
}

static void test_gzip(void)
{
	uint8_t *bytes = pattern(), *stored = calloc(1, 2 * N_BYTES);
	size_t half = deflate_member(bytes, N_BYTES / 2, stored, N_BYTES);
	size_t size = half + deflate_member(bytes + N_BYTES / 2, N_BYTES - N_BYTES / 2,
					    stored + half, N_BYTES);
	CU_ASSERT_EQUAL(read_back(stored, size, bytes, N_BYTES), 0);
	CU_ASSERT_EQUAL(read_back(stored, half, bytes, N_BYTES / 2), 0);
	/* zeros after it are the padding of a tape; other bytes are not */
	CU_ASSERT_EQUAL(read_back(stored, size + 5000, bytes, N_BYTES), 0);
	stored[size + 100] = 1;
	CU_ASSERT_EQUAL(read_back(stored, size + 5000, bytes, N_BYTES), ERR_DAMAGED);
	stored[size + 100] = 0;
	CU_ASSERT_EQUAL(read_back(stored, size - 1, bytes, N_BYTES), ERR_INCOMPLETE);
	CU_ASSERT_EQUAL(read_back(stored, half + 20, bytes, N_BYTES), ERR_INCOMPLETE);
	/* the checksum and the length at the end of each member */
	for (size_t i = 1; i <= 8; i++) {
		stored[size - i] ^= 0x10;
		CU_ASSERT_EQUAL(read_back(stored, size, bytes, N_BYTES), ERR_DAMAGED);
		stored[size - i] ^= 0x10;
		stored[half - i] ^= 0x10;
		CU_ASSERT_EQUAL(read_back(stored, size, bytes, N_BYTES), ERR_DAMAGED);
		stored[half - i] ^= 0x10;
	}
	free(stored);
	free(bytes);
}

struct dripping {
	int fd;
	const uint8_t *bytes;
};

static void *drip(void *context)
{
	const struct dripping *from = context;
	for (size_t at = 0, n = 1; at < N_BYTES; at += n, n = at < 50 ? 1 : n * 3 % 70001 + 1) {
		n = n < N_BYTES - at ? n : N_BYTES - at;
		if (write(from->fd, from->bytes + at, n) != (ssize_t)n)
			break;
	}
	close(from->fd);
	return NULL;
}

static void test_pipe(void)
{
	uint8_t *bytes = pattern(), *buffer = malloc(N_BYTES);
	struct input *in = NULL;
	struct error err = {0};
	pthread_t thread;
	int fds[2];
	char path[64];
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	struct dripping from = {fds[1], bytes};
	pthread_create(&thread, NULL, drip, &from);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
	CU_ASSERT_EQUAL_FATAL(input_open(&in, path, &err), 0);
	close(fds[0]);
	CU_ASSERT_EQUAL(input_size(in), 0);
	CU_ASSERT_EQUAL(input_read(in, buffer, 700, &err), 0);
	CU_ASSERT_EQUAL(input_position(in), 700);
	CU_ASSERT_EQUAL(input_read(in, buffer + 700, N_BYTES - 700, &err), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, buffer, N_BYTES), 0);
	CU_ASSERT_EQUAL(input_read(in, buffer, 1, &err), ERR_INCOMPLETE);
	CU_ASSERT_EQUAL(err.place, N_BYTES);
	pthread_join(thread, NULL);
	input_close(in);
	free(buffer);
	free(bytes);
}

/* A file with these N_BYTES, which has no name. */
static struct input *open_file(const uint8_t *bytes)
{
	struct input *in = NULL;
	struct error err = {0};
	char path[64];
	int fd = memfd_create("file", 0);

	CU_ASSERT_EQUAL(write(fd, bytes, N_BYTES), N_BYTES);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	CU_ASSERT_EQUAL_FATAL(input_open(&in, path, &err), 0);
	close(fd);
	return in;
}

static void test_seek(void)
{
	uint8_t *bytes = pattern(), byte;
	struct error err = {0};
	struct input *in = open_file(bytes);

	CU_ASSERT_EQUAL(input_size(in), N_BYTES);
	for (uint32_t at = 5; at < N_BYTES; at += 700001) {
		CU_ASSERT_EQUAL(input_seek(in, N_BYTES - at, UINT64_MAX, &err), 0);
		CU_ASSERT_EQUAL(input_read(in, &byte, 1, &err), 0);
		CU_ASSERT_EQUAL(byte, bytes[N_BYTES - at]);
		CU_ASSERT_EQUAL(input_position(in), N_BYTES - at + 1);
	}
	CU_ASSERT_EQUAL(input_open(&in, "/nowhere/at/all", &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(input_open(&in, "/", &err), ERR_SYSTEM);
	input_close(in);
	free(bytes);
}

/* Whether these bytes come, with exactly this much read of the file for it. */
static bool costs(struct input *in, uint64_t position, uint64_t end, size_t n, uint64_t taken)
{
	struct error err = {0};
	uint64_t before = input_taken(in);
	uint8_t *bytes = pattern(), *buffer = malloc(n);
	bool good = input_seek(in, position, end, &err) == 0 &&
		    input_read(in, buffer, n, &err) == 0 &&
		    memcmp(buffer, bytes + position, n) == 0 &&
		    input_position(in) == position + n && input_taken(in) - before == taken;
	free(buffer);
	free(bytes);
	return good;
}

/* Nothing is read that is not wanted, and nothing again that is in the buffer. */
static void test_seek_to_a_part(void)
{
	uint8_t *bytes = pattern();
	struct error err = {0};
	struct input *in = open_file(bytes);

	CU_ASSERT(costs(in, 1500000, 1550000, 500, 50000));
	CU_ASSERT(costs(in, 1500500, 1550000, 40000, 0));
	CU_ASSERT(costs(in, 1500100, 1510000, 100, 0));
	/* past the end that was said, when it is asked for */
	CU_ASSERT(costs(in, 1549900, 1550000, 1100, 1000));
	/* what follows the buffer, and what lies before it */
	CU_ASSERT(costs(in, 1551000, 1552000, 1000, 1000));
	CU_ASSERT(costs(in, 1000000, 1000010, 10, 10));
	/* a large read does not go through the buffer; a small one takes little with it */
	CU_ASSERT(costs(in, 0, 2500000, 2000000, 2000000));
	CU_ASSERT(costs(in, 2000000, 2000010, 10, 10));
	CU_ASSERT(costs(in, 1999990, 2000010, 20, 20));
	CU_ASSERT(costs(in, 100, UINT64_MAX, 1, 65536));
	CU_ASSERT(costs(in, 101, UINT64_MAX, 200000, 200001 - 65536));
	CU_ASSERT_EQUAL(input_seek(in, 10, 5, &err), 0);
	CU_ASSERT_EQUAL(input_read(in, bytes, 7, &err), 0);
	input_close(in);
	free(bytes);
}

/* After a pause, reading makes up for a tenth of a second of it and no more. */
static void test_rate_after_a_pause(void)
{
	uint8_t *bytes = pattern();
	struct error err = {0};
	struct input *in = open_file(bytes);

	CU_ASSERT_EQUAL(input_read(in, bytes, 1u << 20, &err), 0); /* read ahead by input_open */
	input_limit(in, 1000000);
	clock_sleep_ms(500);
	double start = clock_s();
	CU_ASSERT_EQUAL(input_read(in, bytes, 300000, &err), 0);
	double took = clock_s() - start;
	CU_ASSERT(took > 0.19 && took < 2);
	input_close(in);
	free(bytes);
}

void test_input(void)
{
	CU_pSuite suite = CU_add_suite("input", NULL, NULL);
	CU_ADD_TEST(suite, test_gzip);
	CU_ADD_TEST(suite, test_pipe);
	CU_ADD_TEST(suite, test_seek);
	CU_ADD_TEST(suite, test_seek_to_a_part);
	CU_ADD_TEST(suite, test_rate_after_a_pause);
}
