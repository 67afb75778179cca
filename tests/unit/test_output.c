/*
 * Outputs: what is opened and refused, files that come whole or not at all.
 */
#include "writer/output/output.h"
#include "tests/unit/scratch.h"
#include "base/newfile.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB 1048576u

static const struct output_options careful = {.sync = true}, forced = {.force = true};

static int put(struct output *output, const void *bytes, size_t n, struct error *err)
{
	struct iovec vector = {.iov_base = (void *)bytes, .iov_len = n};

	return output_write(output, &vector, 1, err);
}

/* ---- what is opened ---- */

static void what_is_refused(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), terminal = posix_openpt(O_RDWR | O_NOCTTY);
	bool has_terminal = terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0;
	struct output *output = NULL;
	struct error err;

	scratch_write(scratch("file"), "old", 3);
	CU_ASSERT_EQUAL(symlink("nothing", scratch("dangling")), 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", scratch("sock"));
	CU_ASSERT_EQUAL(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
	if (!has_terminal)
		printf("\nskipped: no terminals here (/dev/pts)\n");
	const struct {
		const char *path;
		bool force;
		int code;
		const char *word;
	} cases[] = {
		{scratch("file"), false, ERR_USAGE, "exists already; --force"},
		{scratch("."), true, ERR_USAGE, "is a folder"},
		{scratch("sock"), true, ERR_USAGE, "is a socket"},
		{scratch("dangling"), true, ERR_USAGE, "dangling symbolic link"},
		{scratch("none/a.vmab"), true, ERR_SYSTEM, "No such file"},
		{scratch("file/a.vmab"), true, ERR_SYSTEM, "Not a directory"},
		{scratch("none/"), true, ERR_USAGE, "not the name of a file"},
		{has_terminal ? ptsname(terminal) : NULL, true, ERR_USAGE, "is a terminal"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct output_options options = {.force = cases[i].force};
		if (cases[i].path == NULL)
			continue;
		CU_ASSERT_EQUAL(output_open(&output, cases[i].path, &options, &err), cases[i].code);
		CU_ASSERT_PTR_NULL(output);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].path));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].word));
	}
	CU_ASSERT_EQUAL(scratch_count(), 3);
	CU_ASSERT(scratch_is(scratch("file"), "old", 3));
	close(sock);
	close(terminal);
}

static void sizes_of_records(void)
{
	static const struct {
		uint32_t size;
		int code;
	} cases[] = {
		{1, ERR_USAGE},
		{511, ERR_USAGE},
		{513, ERR_USAGE},
		{16777215, ERR_USAGE},
		{16777728, ERR_USAGE},
		{UINT32_MAX, ERR_USAGE},
		{512, 0},
		{16777216, 0},
		{0, 0},
	};
	struct error err;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct output_options options = {.record_size = cases[i].size};
		struct output *output = NULL;
		CU_ASSERT_EQUAL(output_open(&output, "/dev/null", &options, &err), cases[i].code);
		output_close(output);
	}
}

/* ---- files ---- */

static void a_file_comes_whole(void)
{
	const char *path = scratch("new.vmab");
	unsigned before = scratch_count();
	mode_t mask = umask(027);
	struct output *output = NULL;
	struct error err;
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &careful, &err), 0);
	umask(mask);
	CU_ASSERT_EQUAL(put(output, "abc", 3, &err), 0);
	CU_ASSERT_FALSE(scratch_exists(path));
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
	CU_ASSERT_EQUAL(put(output, "def", 3, &err), 0);
	CU_ASSERT_EQUAL(output_finish(output, &err), 0);
	output_close(output);
	CU_ASSERT(scratch_is(path, "abcdef", 6));
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
}

/* More parts than one call takes, empty ones among them. */
static void vectors_of_all_shapes(void)
{
	static const uint32_t record_sizes[] = {0, 512, 65536};
	static const uint64_t rates[] = {0, 20 * MIB};
	struct iovec vector[3000];
	uint8_t *bytes = malloc(MIB);
	struct error err;

	scratch_fill(bytes, MIB, 1);
	for (size_t i = 0; i < 6; i++) {
		struct output_options options = {.force = true,
						 .record_size = record_sizes[i % 3],
						 .bytes_per_s = rates[i / 3]};
		struct output *output = NULL;
		size_t at = 0, round = options.record_size ? options.record_size : 1;
		for (size_t j = 0; j < 3000; j++) {
			size_t n = j == 2500 ? 200000 : j % 4 == 3 ? 0 : j % 97 * 3;
			vector[j] = (struct iovec){bytes + at, n};
			at += n;
		}
		size_t end = (at + round - 1) / round * round;
		uint8_t *wanted = calloc(1, end);
		memcpy(wanted, bytes, at);
		CU_ASSERT_EQUAL_FATAL(output_open(&output, scratch("v"), &options, &err), 0);
		CU_ASSERT_EQUAL(output_write(output, vector, 3000, &err), 0);
		CU_ASSERT_EQUAL(output_write(output, vector, 0, &err), 0);
		CU_ASSERT_EQUAL(output_finish(output, &err), 0);
		output_close(output);
		CU_ASSERT(scratch_is(scratch("v"), wanted, end));
		free(wanted);
	}
	free(bytes);
}

static void what_is_there_is_kept_until_the_end(void)
{
	const char *path = scratch("kept.vmab");
	struct output *output = NULL;
	struct error err;

	scratch_write(path, "old", 3);
	unsigned before = scratch_count();
	CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &forced, &err), 0);
	CU_ASSERT_EQUAL(put(output, "new", 3, &err), 0);
	CU_ASSERT(scratch_is(path, "old", 3));
	output_close(output);
	CU_ASSERT(scratch_is(path, "old", 3));
	CU_ASSERT_EQUAL(scratch_count(), before);
	CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &forced, &err), 0);
	CU_ASSERT_EQUAL(put(output, "new", 3, &err), 0);
	CU_ASSERT_EQUAL(output_finish(output, &err), 0);
	output_close(output);
	CU_ASSERT(scratch_is(path, "new", 3));
	output_close(NULL);
}

static void a_link_leads_to_its_file(void)
{
	struct output *output = NULL;
	struct error err;
	struct stat st;

	mkdir(scratch("sub"), 0700);
	scratch_write(scratch("sub/real"), "old", 3);
	CU_ASSERT_EQUAL(symlink("sub/real", scratch("link")), 0);
	CU_ASSERT_EQUAL_FATAL(output_open(&output, scratch("link"), &forced, &err), 0);
	CU_ASSERT_EQUAL(put(output, "new", 3, &err), 0);
	CU_ASSERT_EQUAL(output_finish(output, &err), 0);
	output_close(output);
	CU_ASSERT(scratch_is(scratch("sub/real"), "new", 3));
	CU_ASSERT(lstat(scratch("link"), &st) == 0 && S_ISLNK(st.st_mode));
}

static bool publishing_works(void)
{
	const char *path = scratch("published");
	bool good = true;
	struct error err;

	for (int meanwhile = 0; meanwhile < 2; meanwhile++) {
		struct output *output = NULL;
		good = good && output_open(&output, path, &careful, &err) == 0 &&
		       put(output, "new", 3, &err) == 0;
		if (!good)
			return false;
		if (meanwhile)
			scratch_write(path, "mine", 4);
		int code = output_finish(output, &err);
		output_close(output);
		good = code == (meanwhile ? ERR_USAGE : 0) &&
		       scratch_is(path, meanwhile ? "mine" : "new", meanwhile ? 4 : 3);
		unlink(path);
	}
	return good;
}

static void nothing_that_came_meanwhile_is_replaced(void)
{
	CU_ASSERT(scratch_publishes(publishing_works));
}

static bool syncing_counts(void)
{
	const char *path = scratch("durable");
	struct output *output = NULL;
	struct error err;
	bool good;

	good = output_open(&output, path, &careful, &err) == 0 &&
	       output_finish(output, &err) == ERR_SYSTEM && !scratch_exists(path) &&
	       strstr(err.text, "durable: syncing");
	output_close(output);
	good = good && output_open(&output, path, &forced, &err) == 0 &&
	       output_finish(output, &err) == 0 && scratch_exists(path);
	output_close(output);
	unlink(path);
	return good;
}

static bool no_syncing_of_devices(void)
{
	struct output *output = NULL;
	struct error err;

	return output_open(&output, "/dev/null", &careful, &err) == 0 &&
	       output_finish(output, &err) == 0;
}

static void what_cannot_be_synced(void)
{
	static const int calls[] = {SYS_fsync};

	CU_ASSERT(scratch_denied(calls, 1, EIO, syncing_counts));
	CU_ASSERT(scratch_denied(calls, 1, EINVAL, syncing_counts));
	CU_ASSERT(scratch_denied(calls, 1, EINVAL, no_syncing_of_devices));
	CU_ASSERT_FALSE(scratch_denied(calls, 1, EIO, no_syncing_of_devices));
}

static bool abandoning_works(void)
{
	unsigned before = scratch_count();
	struct output *output = NULL, *later = NULL;
	struct error err;
	bool good = output_open(&output, scratch("x"), &careful, &err) == 0 &&
		    scratch_count() == before + 1;

	newfile_abandon_all();
	good = good && scratch_count() == before && output_finish(output, &err) == ERR_SYSTEM &&
	       strstr(err.text, "x: interrupted");
	return good && output_open(&later, scratch("y"), &careful, &err) == ERR_SYSTEM &&
	       scratch_count() == before;
}

static void nothing_becomes_final_after_abandoning(void)
{
	CU_ASSERT(scratch_denied(NULL, 0, 0, abandoning_works));
}

static void full_file_systems(void)
{
	const char *folder = scratch("small");
	uint8_t *bytes = malloc(4 * MIB);
	struct output *output = NULL;
	struct error err;
	char path[600];

	scratch_fill(bytes, 4 * MIB, 1);
	mkdir(folder, 0700);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") != 0) {
		printf("\nskipped: cannot mount a tmpfs\n");
	} else {
		snprintf(path, sizeof path, "%s/x.vmab", folder);
		CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &careful, &err), 0);
		CU_ASSERT_EQUAL(put(output, bytes, 4 * MIB, &err), ERR_FULL);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "x.vmab: writing at byte 1048576: "));
		output_close(output);
		CU_ASSERT_EQUAL(scratch_run("test -z \"$(ls -A '%s')\"", folder), 0);
		CU_ASSERT_EQUAL(umount(folder), 0);
	}
	CU_ASSERT_EQUAL_FATAL(output_open(&output, "/dev/full", &careful, &err), 0);
	CU_ASSERT_EQUAL(put(output, bytes, 1, &err), ERR_FULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/dev/full: writing at byte 0: "));
	output_close(output);
	free(bytes);
	rmdir(folder);
}

static void what_is_kept_cannot_be_read(void)
{
	const char *path = scratch("kept.vmab");
	struct output_resume resume = {.n_bytes = 1};
	struct output_options options = {.resume = &resume};
	int blind = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct output *output;
	struct error err;
	bool found;

	CU_ASSERT_EQUAL_FATAL(newfile_resume(&resume.file, &resume.fd, path, true, &found, &err),
			      0);
	CU_ASSERT_FATAL(dup3(blind, resume.fd, O_CLOEXEC) == resume.fd);
	CU_ASSERT_EQUAL_FATAL(output_open(&output, path, &options, &err), 0);
	CU_ASSERT_EQUAL(put(output, "x", 1, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "kept.vmab: reading at byte 0: "));
	output_close(output);
	close(blind);
}

void test_output(void)
{
	CU_pSuite suite = CU_add_suite("output", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_is_refused);
	CU_ADD_TEST(suite, sizes_of_records);
	CU_ADD_TEST(suite, a_file_comes_whole);
	CU_ADD_TEST(suite, vectors_of_all_shapes);
	CU_ADD_TEST(suite, what_is_there_is_kept_until_the_end);
	CU_ADD_TEST(suite, a_link_leads_to_its_file);
	CU_ADD_TEST(suite, nothing_that_came_meanwhile_is_replaced);
	CU_ADD_TEST(suite, what_cannot_be_synced);
	CU_ADD_TEST(suite, nothing_becomes_final_after_abandoning);
	CU_ADD_TEST(suite, full_file_systems);
	CU_ADD_TEST(suite, what_is_kept_cannot_be_read);
	test_output_stream();
}
