/*
 * Images through a captive qemu-nbd.
 */
#include "base/child.h"
#include "cow/sweep.h"
#include "drive/drive.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if HAVE_LIBNBD

#define MIB	   1048576u
#define IMAGE_SIZE (8 * MIB)

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* 8 MiB: data in the second, fourth and the last, zeros elsewhere. */
static uint8_t content[IMAGE_SIZE];
static const char *const raw_name = "content.raw";

static int make_content(void)
{
	if (scratch_make() != 0)
		return -1;
	memset(content, 0, sizeof content);
	scratch_fill(content + MIB, MIB, 1);
	scratch_fill(content + 3 * MIB, MIB, 2);
	scratch_fill(content + 7 * MIB, MIB, 3);
	scratch_write(scratch(raw_name), content, sizeof content);
	return 0;
}

static bool open_drive(struct drive **out, const char *path, const char *format)
{
	struct drive_options options = {.format = format};
	struct error err;

	*out = NULL;
	if (drive_open(out, path, &options, &err) == 0)
		return true;
	printf("\n%s\n", err.text);
	return false;
}

/* Checks content and zeros of the whole drive; returns how many bytes it says are zeros. */
static uint64_t check_content(struct drive *drive)
{
	uint8_t *bytes = malloc(IMAGE_SIZE);
	uint64_t n, zeros = 0;
	struct error err;
	bool zero;

	CU_ASSERT_EQUAL_FATAL(drive_size(drive), IMAGE_SIZE);
	CU_ASSERT_EQUAL(drive_read(drive, 0, bytes, IMAGE_SIZE, &err), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, content, IMAGE_SIZE), 0);
	CU_ASSERT_EQUAL(drive_read(drive, MIB - 3, bytes, 7, &err), 0);
	CU_ASSERT_EQUAL(memcmp(bytes, content + MIB - 3, 7), 0);
	for (uint64_t at = 0; at < IMAGE_SIZE; at += n) {
		CU_ASSERT_EQUAL_FATAL(drive_status(drive, at, &n, &zero, &err), 0);
		CU_ASSERT_FATAL(n > 0 && n <= IMAGE_SIZE - at);
		for (uint64_t i = 0; zero && i < n; i++)
			if (content[at + i] != 0) {
				CU_FAIL("said to be zero, and is not");
				break;
			}
		zeros += zero ? n : 0;
	}
	free(bytes);
	return zeros;
}

static void formats_of_qemu(void)
{
	static const struct {
		const char *name;
		const char *options;
		const char *format;
		unsigned zeros; /* MiB; how finely holes can be told is the format's */
	} cases[] = {
		{"a.qcow2", "-O qcow2", NULL, 5},
		{"compressed.qcow2", "-c -O qcow2", NULL, 5},
		{"big.qcow2", "-O qcow2 -o cluster_size=2M", NULL, 2},
		{"a.vmdk", "-O vmdk", NULL, 5},
		{"split.vmdk", "-O vmdk -o subformat=twoGbMaxExtentSparse", NULL, 5},
		{"a.vdi", "-O vdi", NULL, 5},
		{"a.vhdx", "-O vhdx", NULL, 0},
		{"a.vhd", "-O vpc -o force_size=on", NULL, 2},
		{"a.qed", "-O qed", NULL, 5},
		{"a.img", "-O qcow2", "qcow2", 5},
		{"comma,file.filename=x.qcow2", "-O qcow2", NULL, 5},
		{"json:{}.qcow2", "-O qcow2", NULL, 5},
		{"with a blank: colon.qcow2", "-O qcow2", NULL, 5},
	};
	struct drive *drive;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CU_ASSERT_EQUAL(scratch_run("qemu-img convert -f raw %s '%s' '%s'",
					    cases[i].options, scratch(raw_name),
					    scratch(cases[i].name)),
				0);
		if (!open_drive(&drive, scratch(cases[i].name), cases[i].format)) {
			CU_FAIL("an image does not open");
			continue;
		}
		CU_ASSERT_EQUAL(check_content(drive), cases[i].zeros * MIB);
		CU_ASSERT_FALSE(drive_was_changed(drive));
		drive_close(drive);
	}
}

/* A zero stretch of the overlay hides data of the backing file; what it leaves out is that file's.
 */
static void backing_files(void)
{
	struct drive *drive;

	CU_ASSERT_EQUAL(
		scratch_run("cd '%s' && qemu-img convert -f raw -O qcow2 %s base.qcow2 && "
			    "qemu-io -c 'write -q -P 9 2M 1M' base.qcow2 >/dev/null && "
			    "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 && "
			    "qemu-io -c 'write -q -z 2M 1M' top.qcow2 >/dev/null",
			    scratch("."), raw_name),
		0);
	CU_ASSERT_FATAL(open_drive(&drive, scratch("top.qcow2"), NULL));
	CU_ASSERT_EQUAL(check_content(drive), 5 * MIB);
	drive_close(drive);
}

static void says_what_qemu_nbd_says(void)
{
	struct drive_options options = {0};
	struct drive *drive = NULL;
	struct error err;
	char wanted[600];

	CU_ASSERT_EQUAL(scratch_run("cd '%s' && qemu-img create -q -f qcow2 gone.qcow2 1M && "
				    "qemu-img create -q -f qcow2 -b gone.qcow2 -F qcow2 x.qcow2 && "
				    "rm gone.qcow2",
				    scratch(".")),
			0);
	CU_ASSERT_EQUAL(drive_open(&drive, scratch("x.qcow2"), &options, &err), ERR_SYSTEM);
	snprintf(wanted, sizeof wanted,
		 "%s: qemu-nbd: Could not open backing file: Could not open "
		 "'%s': No such file or directory",
		 scratch("x.qcow2"), scratch("gone.qcow2"));
	CU_ASSERT_STRING_EQUAL(err.text, wanted);

	/* Broken so that it shows only when it is read: a table entry that is no multiple. */
	CU_ASSERT_EQUAL(
		scratch_run("cd '%s' && qemu-img create -q -f qcow2 broken.qcow2 1M && "
			    "qemu-io -c 'write -q 0 1M' broken.qcow2 >/dev/null && "
			    "printf '\\200\\0\\0\\0\\0\\05\\02\\0' | dd of=broken.qcow2 bs=1 "
			    "seek=262144 conv=notrunc 2>/dev/null",
			    scratch(".")),
		0);
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, scratch("broken.qcow2"), &options, &err), 0);
	char byte;
	CU_ASSERT_EQUAL(drive_read(drive, 0, &byte, 1, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "broken.qcow2: reading at byte 0: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "unaligned"));
	drive_close(drive);
}

/* Clusters that have their place in the file, which has holes there: zero, but no holes for qemu.
 */
static void zeros_that_are_allocated(void)
{
	const char *path = scratch("metadata.qcow2");
	struct drive *drive;
	struct error err;
	uint64_t n;
	bool zero;

	CU_ASSERT_EQUAL(
		scratch_run("qemu-img create -q -f qcow2 -o preallocation=metadata '%s' 8M", path),
		0);
	CU_ASSERT_FATAL(open_drive(&drive, path, NULL));
	CU_ASSERT_EQUAL(drive_status(drive, 0, &n, &zero, &err), 0);
	CU_ASSERT(zero);
	CU_ASSERT_EQUAL(n, 8 * MIB);
	drive_close(drive);
}

/* A second pass begins before what the last answer was about. */
static void status_from_the_start_again(void)
{
	const char *path = scratch("again.qcow2");
	struct drive *drive;
	struct error err;
	uint64_t n;
	bool zero;

	CU_ASSERT_EQUAL(
		scratch_run("qemu-img convert -f raw -O qcow2 '%s' '%s'", scratch(raw_name), path),
		0);
	CU_ASSERT_FATAL(open_drive(&drive, path, NULL));
	CU_ASSERT_EQUAL(drive_status(drive, 7 * MIB + 1, &n, &zero, &err), 0);
	CU_ASSERT_EQUAL(n, MIB - 1);
	CU_ASSERT_FALSE(zero);
	CU_ASSERT_EQUAL(drive_status(drive, 1, &n, &zero, &err), 0);
	CU_ASSERT_EQUAL(n, MIB - 1);
	CU_ASSERT(zero);
	drive_close(drive);
}

/* More than a server must take in one request. */
static void a_long_read(void)
{
	const size_t size = 70 * MIB;
	const char *path = scratch("long.qcow2");
	uint8_t *bytes = malloc(size), *got = malloc(size);
	struct drive *drive;
	struct error err;

	scratch_fill(bytes, size, 5);
	scratch_write(scratch("long.raw"), bytes, size);
	CU_ASSERT_EQUAL(scratch_run("qemu-img convert -f raw -O qcow2 '%s' '%s'",
				    scratch("long.raw"), path),
			0);
	CU_ASSERT_FATAL(open_drive(&drive, path, NULL));
	CU_ASSERT_EQUAL(drive_read(drive, 0, got, size, &err), 0);
	CU_ASSERT_EQUAL(memcmp(got, bytes, size), 0);
	drive_close(drive);
	free(bytes);
	free(got);
}

struct reader {
	pthread_t thread;
	struct drive *drive;
	bool good;
};

static void *read_much(void *argument)
{
	struct reader *reader = argument;
	uint8_t *bytes = malloc(MIB);
	struct error err;

	reader->good = true;
	for (unsigned i = 0; i < 40; i++) {
		uint64_t at = i * 200003 % (7 * MIB);
		reader->good &= drive_read(reader->drive, at, bytes, MIB, &err) == 0 &&
				memcmp(bytes, content + at, MIB) == 0;
	}
	free(bytes);
	return NULL;
}

/* More threads than connections, and one asking for zeros all the while. */
static void many_threads(void)
{
	struct reader readers[7];
	struct drive *drive;

	CU_ASSERT_EQUAL(scratch_run("qemu-img convert -f raw -O qcow2 '%s' '%s'", scratch(raw_name),
				    scratch("many.qcow2")),
			0);
	CU_ASSERT_FATAL(open_drive(&drive, scratch("many.qcow2"), NULL));
	for (size_t i = 0; i < 7; i++) {
		readers[i].drive = drive;
		pthread_create(&readers[i].thread, NULL, read_much, &readers[i]);
	}
	CU_ASSERT_EQUAL(check_content(drive), 5 * MIB);
	for (size_t i = 0; i < 7; i++) {
		pthread_join(readers[i].thread, NULL);
		CU_ASSERT(readers[i].good);
	}
	drive_close(drive);
}

/* The first child of a process, 0: none. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	int child = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *file = fopen(path, "r");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

/* Gone, or only waiting for whoever is to be told. */
static bool has_ended(pid_t pid)
{
	char path[64], state = 'X';

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return true;
	if (fscanf(file, "%*d %*s %c", &state) != 1)
		state = 'X';
	fclose(file);
	return state == 'X' || state == 'Z';
}

static void no_qemu_nbd_is_left(void)
{
	struct drive *drive;
	struct error err;
	char byte;

	CU_ASSERT_EQUAL(scratch_run("qemu-img create -q -f qcow2 '%s' 1M", scratch("e.qcow2")), 0);
	CU_ASSERT_FATAL(open_drive(&drive, scratch("e.qcow2"), NULL));
	pid_t server = child_of(getpid());
	CU_ASSERT(server > 0 && !has_ended(server));
	drive_close(drive);
	CU_ASSERT(has_ended(server));

	CU_ASSERT_FATAL(open_drive(&drive, scratch("e.qcow2"), NULL));
	CU_ASSERT_EQUAL(drive_read(drive, 0, &byte, 1, &err), 0);
	child_kill_all();
	CU_ASSERT_EQUAL(drive_read(drive, 0, &byte, 1, &err), ERR_SYSTEM);
	drive_close(drive);
	CU_ASSERT_EQUAL(child_of(getpid()), 0);
}

/* Killed at any moment, from before qemu-nbd is started to when it serves. */
static void no_qemu_nbd_is_left_when_killed(void)
{
	CU_ASSERT_EQUAL(scratch_run("qemu-img create -q -f qcow2 '%s' 1M", scratch("k.qcow2")), 0);
	for (long ms = 0; ms < 60; ms += 3) {
		pid_t pid = fork();
		if (pid == 0) {
			struct drive *drive;
			setenv("TMPDIR", scratch("."), 1); /* for what is left of the socket */
			if (open_drive(&drive, scratch("k.qcow2"), NULL))
				pause();
			_exit(1);
		}
		pause_ms(ms);
		pid_t server = child_of(pid);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		for (int i = 0; server > 0 && i < 200 && !has_ended(server); i++)
			pause_ms(10);
		CU_ASSERT(server == 0 || has_ended(server));
	}
}

/* With nothing where the standard files should be, the pipe and the socket get their numbers. */
static void without_standard_files(void)
{
	struct drive_options options = {0};
	struct drive *drive;
	struct error err;
	char byte;
	int status = 1;

	CU_ASSERT_EQUAL(scratch_run("qemu-img create -q -f qcow2 '%s' 1M", scratch("s.qcow2")), 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 0; fd < 10; fd++)
			close(fd);
		_exit(drive_open(&drive, scratch("s.qcow2"), &options, &err) != 0 ||
		      drive_read(drive, 0, &byte, 1, &err) != 0);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
}

/* 64 TiB in a qcow2 of a few hundred KiB. */
static void a_huge_qcow2_is_swept_quickly(void)
{
	const char *path = scratch("huge.qcow2");
	struct sweep *sweep = NULL;
	struct sweep_piece piece;
	struct drive *drive;
	struct error err;
	uint64_t n_clusters = 0;
	unsigned n_data = 0;

	CU_ASSERT_EQUAL(scratch_run("qemu-img create -q -f qcow2 -o cluster_size=2M '%s' 64T && "
				    "qemu-io -c 'write -q 32T 64k' '%s' >/dev/null",
				    path, path),
			0);
	CU_ASSERT_FATAL(open_drive(&drive, path, NULL));
	double start = scratch_processor_seconds();
	CU_ASSERT_EQUAL(sweep_new(&sweep, &drive, 1, 64, &err), 0);
	while (sweep_next(sweep, &piece, &err) == 1) {
		for (uint32_t i = 0; i < piece.n_runs; i++)
			n_clusters += piece.runs[i].n_clusters;
		n_data += piece.n_data;
	}
	CU_ASSERT(scratch_processor_seconds() - start < 20);
	CU_ASSERT_EQUAL(n_clusters, 1ull << 30);
	CU_ASSERT(n_data >= 1 && n_data <= 32);
	sweep_free(sweep);
	drive_close(drive);
}

void test_captive(void)
{
	CU_pSuite suite = CU_add_suite("captive", make_content, scratch_remove);

	CU_ADD_TEST(suite, many_threads);
	CU_ADD_TEST(suite, no_qemu_nbd_is_left);
	CU_ADD_TEST(suite, no_qemu_nbd_is_left_when_killed);
	if (THREADS_ONLY)
		return;
	CU_ADD_TEST(suite, formats_of_qemu);
	CU_ADD_TEST(suite, backing_files);
	CU_ADD_TEST(suite, says_what_qemu_nbd_says);
	CU_ADD_TEST(suite, zeros_that_are_allocated);
	CU_ADD_TEST(suite, status_from_the_start_again);
	CU_ADD_TEST(suite, a_long_read);
	CU_ADD_TEST(suite, without_standard_files);
	CU_ADD_TEST(suite, a_huge_qcow2_is_swept_quickly);
}

#else

/* Says what to install. */
static void images_need_libnbd(void)
{
	struct drive_options options = {0};
	struct drive *drive = NULL;
	struct error err;

	CU_ASSERT_EQUAL(drive_open(&drive, "a.qcow2", &options, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "install libnbd-dev"));
}

void test_captive(void)
{
	CU_pSuite suite = CU_add_suite("captive", NULL, NULL);

	CU_ADD_TEST(suite, images_need_libnbd);
}

#endif
