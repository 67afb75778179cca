/*
 * Outputs that are no files: pipes, standard output, devices; records; rates.
 */
#include "writer/output/output.h"
#include "base/pace.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576u

static const struct output_options careful = {.sync = true};

static int put(struct output *output, const void *bytes, size_t n, struct error *err)
{
	struct iovec vector = {.iov_base = (void *)bytes, .iov_len = n};

	return output_write(output, &vector, 1, err);
}

struct drain {
	pthread_t thread;
	const char *path; /* of a fifo to open, which waits for the writer; or NULL */
	int fd;
	size_t n;	/* bytes that came */
	size_t largest; /* read */
	uint8_t *bytes;
};

static void *drain_all(void *argument)
{
	struct drain *drain = argument;
	ssize_t got;

	if (drain->path)
		drain->fd = open(drain->path, O_RDONLY);
	while ((got = read(drain->fd, drain->bytes + drain->n, 3 * MIB - drain->n)) > 0) {
		drain->n += (size_t)got;
		if ((size_t)got > drain->largest)
			drain->largest = (size_t)got;
	}
	return NULL;
}

static void drain_start(struct drain *drain, const char *path, int fd)
{
	*drain = (struct drain){.path = path, .fd = fd, .bytes = malloc(3 * MIB)};
	pthread_create(&drain->thread, NULL, drain_all, drain);
}

static bool drain_end(struct drain *drain, const void *bytes, size_t n)
{
	pthread_join(drain->thread, NULL);
	bool same = drain->n == n && memcmp(drain->bytes, bytes, n) == 0;
	close(drain->fd);
	free(drain->bytes);
	return same;
}

/* A pipe takes 64 KiB at a time, and is written as it is. */
static void through_a_fifo(void)
{
	static const uint32_t record_sizes[] = {0, MIB};
	const char *path = scratch("fifo");
	uint8_t *bytes = malloc(3 * MIB);
	struct drain drain;
	struct error err;

	scratch_fill(bytes, 3 * MIB, 1);
	mkfifo(path, 0600);
	unsigned before = scratch_count();
	for (size_t i = 0; i < 2; i++) {
		struct output_options options = {.sync = true, .record_size = record_sizes[i]};
		struct output *output = NULL;
		drain_start(&drain, path, -1);
		CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &options, &err), 0);
		CU_ASSERT_EQUAL(scratch_count(), before);
		CU_ASSERT_EQUAL(put(output, bytes, 3 * MIB, &err), 0);
		CU_ASSERT_EQUAL(output_finish(output, &err), 0);
		output_close(output);
		CU_ASSERT(drain_end(&drain, bytes, 3 * MIB));
	}
	free(bytes);
}

static void a_pipe_that_nobody_reads(void)
{
	const char *path = scratch("broken");
	struct output *output = NULL;
	struct error err;

	signal(SIGPIPE, SIG_IGN);
	mkfifo(path, 0600);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &careful, &err), 0);
	close(reader);
	CU_ASSERT_EQUAL(put(output, "x", 1, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(err.sys, EPIPE);
	output_close(output);
}

/* Puts fd in the place of standard output, writes to it, and puts something else there: so that its
 * number is always taken. For a child process. */
static bool to_stdout(int fd, const char *path, const struct output_options *options, size_t n)
{
	struct output *output = NULL;
	uint8_t *bytes = malloc(3 * MIB);
	int null = open("/dev/null", O_WRONLY);
	struct error err;

	scratch_fill(bytes, 3 * MIB, 1);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	bool good = output_open(&output, path, options, &err) == 0 &&
		    put(output, bytes, n, &err) == 0 && output_finish(output, &err) == 0;
	output_close(output);
	free(bytes);
	good = good && fcntl(STDOUT_FILENO, F_GETFD) >= 0; /* it is not the output's to close */
	dup2(null, STDOUT_FILENO);
	close(null);
	return good;
}

static bool stdout_to_a_file(void)
{
	uint8_t bytes[1000];
	bool good = true;

	scratch_fill(bytes, sizeof bytes, 1);
	for (int i = 0; i < 2; i++) {
		int fd = open(scratch("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		good = good &&
		       to_stdout(fd, i == 0 ? "-" : "/dev/stdout", &careful, sizeof bytes) &&
		       scratch_is(scratch("out"), bytes, sizeof bytes);
	}
	return good;
}

/* As a program may leave it that shares it. It takes a part of what it is given. */
static bool stdout_to_a_non_blocking_pipe(void)
{
	static const uint32_t record_sizes[] = {0, MIB};
	uint8_t *bytes = malloc(3 * MIB);
	bool good = true;

	scratch_fill(bytes, 3 * MIB, 1);
	for (size_t i = 0; i < 2 && good; i++) {
		struct output_options options = {.record_size = record_sizes[i]};
		struct drain drain;
		int ends[2];
		if (pipe(ends) != 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0)
			return false;
		drain_start(&drain, NULL, ends[0]);
		good = to_stdout(ends[1], "-", &options, 3 * MIB);
		good = drain_end(&drain, bytes, 3 * MIB) && good;
	}
	free(bytes);
	return good;
}

/* A socket that keeps apart what was written apart, as a tape does. */
static bool stdout_in_records(void)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
	struct output_options options = {.sync = true, .record_size = 4096};
	bool good = true;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && good; i++) {
		size_t end = (sizes[i] + 4095) / 4096 * 4096;
		uint8_t *bytes = calloc(1, end + 1);
		struct drain drain;
		int ends[2];
		scratch_fill(bytes, sizes[i], 1);
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
			return false;
		drain_start(&drain, NULL, ends[0]);
		good = to_stdout(ends[1], "-", &options, sizes[i]);
		good = drain_end(&drain, bytes, end) && good;
		good = good && drain.largest == (end > 0 ? 4096 : 0);
		free(bytes);
	}
	return good;
}

/* One large vector at a rate goes out in parts of a twentieth of a second. */
static bool stdout_in_slices(void)
{
	struct output_options options = {.bytes_per_s = 400000};
	uint8_t bytes[90000];
	struct drain drain;
	int ends[2];

	scratch_fill(bytes, sizeof bytes, 1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
		return false;
	drain_start(&drain, NULL, ends[0]);
	bool good = to_stdout(ends[1], "-", &options, sizeof bytes);
	return drain_end(&drain, bytes, sizeof bytes) && good && drain.largest == 20000;
}

static void standard_output(void)
{
	CU_ASSERT(scratch_denied(NULL, 0, 0, stdout_to_a_file));
	CU_ASSERT(scratch_denied(NULL, 0, 0, stdout_to_a_non_blocking_pipe));
	CU_ASSERT(scratch_denied(NULL, 0, 0, stdout_in_records));
	CU_ASSERT(scratch_denied(NULL, 0, 0, stdout_in_slices));
}

static void block_devices(void)
{
	struct output_options options = {.force = true, .sync = true, .record_size = 1024};
	struct output *output = NULL;
	struct error err;
	char device[64];

	CU_ASSERT_EQUAL(scratch_run("truncate -s 64k '%s'", scratch("under")), 0);
	if (!scratch_loop(scratch("under"), 512, device))
		return;
	CU_ASSERT_EQUAL(output_open(&output, device, &options, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is a block device"));
	scratch_unloop(device);
}

/* ---- rates ---- */

struct rate_case {
	uint64_t rate;
	uint32_t record_size;
	size_t part, n; /* bytes at a time, and in all */
};

static double seconds_at_rate(const struct rate_case *of, const uint8_t *bytes)
{
	struct output_options options = {.bytes_per_s = of->rate, .record_size = of->record_size};
	struct output *output = NULL;
	double start = scratch_seconds();
	struct error err;

	CU_ASSERT_EQUAL_FATAL(output_open(&output, "/dev/null", &options, &err), 0);
	for (size_t at = 0; at < of->n; at += of->part)
		CU_ASSERT_EQUAL(put(output, bytes, of->part, &err), 0);
	CU_ASSERT_EQUAL(output_finish(output, &err), 0);
	output_close(output);
	return scratch_seconds() - start;
}

static void rates_are_held(void)
{
	static const struct rate_case cases[] = {
		{2 * MIB, 0, MIB, MIB},	     {100 * MIB, 0, 4 * MIB, 40 * MIB},
		{10 * MIB, 0, 700, 4 * MIB}, {4 * MIB, 4096, 100000, 2 * MIB},
		{2 * MIB, 65536, MIB, MIB},  {4000, 0, 2000, 2000},
	};
	uint8_t *bytes = calloc(1, 4 * MIB);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		double wanted = (double)cases[i].n / (double)cases[i].rate;
		double took = seconds_at_rate(&cases[i], bytes);

		/* A busy machine can only make it longer. */
		CU_ASSERT(took > 0.95 * wanted);
		for (int tries = 1; took >= 2 * wanted + 1 && tries < 10; tries++)
			took = seconds_at_rate(&cases[i], bytes);
		CU_ASSERT(took < 2 * wanted + 1);
	}
	free(bytes);
}

/* What was lost by waiting for others is made up for, but not more than a tenth of a second of it.
 */
static void pauses_are_not_made_up_for(void)
{
	const struct timespec pause = {.tv_nsec = 500000000};
	struct pace pace;

	pace_start(&pace, MIB);
	CU_ASSERT_EQUAL(pace_slice(&pace), MIB / 20);
	nanosleep(&pause, NULL);
	double start = scratch_seconds();
	for (int i = 0; i < 6; i++)
		pace_wait(&pace, MIB / 20);
	double took = scratch_seconds() - start;
	CU_ASSERT(took > 0.19 && took < 1);
}

void test_output_stream(void)
{
	CU_pSuite suite = CU_add_suite("output of a stream", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, through_a_fifo);
	CU_ADD_TEST(suite, a_pipe_that_nobody_reads);
	CU_ADD_TEST(suite, standard_output);
	CU_ADD_TEST(suite, block_devices);
	CU_ADD_TEST(suite, rates_are_held);
	CU_ADD_TEST(suite, pauses_are_not_made_up_for);
}
