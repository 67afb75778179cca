/*
 * Drives: what is opened and what is refused, reading, holes, others that write, captive qemu-nbd.
 */
#include "drive/drive.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576u

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static int open_drive(struct drive **out, const char *path, const char *format, struct error *err)
{
	struct drive_options options = {.format = format};

	*out = NULL;
	memset(err, 0, sizeof *err);
	return drive_open(out, path, &options, err);
}

/* Whether the drive reads as these bytes, whole and in odd parts. */
static bool reads_as(struct drive *drive, const char *bytes, size_t n)
{
	char *buffer = malloc(n + 1);
	struct error err;
	bool same = drive_size(drive) == n && drive_read(drive, 0, buffer, n, &err) == 0 &&
		    memcmp(buffer, bytes, n) == 0;

	for (size_t at = 0; same && at < n; at += 99991) {
		size_t part = n - at < 7001 ? n - at : 7001;
		same = drive_read(drive, at, buffer, part, &err) == 0 &&
		       memcmp(buffer, bytes + at, part) == 0;
	}
	free(buffer);
	return same;
}

/* ---- what is opened ---- */

static void only_files_and_devices(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct drive *drive;
	struct error err;

	mkfifo(scratch("fifo"), 0600);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", scratch("sock"));
	CU_ASSERT_EQUAL(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
	const struct {
		const char *path;
		int code;
		const char *word;
	} cases[] = {
		{scratch("none"), ERR_SYSTEM, "No such file"},
		{scratch("none.qcow2"), HAVE_LIBNBD ? ERR_SYSTEM : ERR_USAGE, ""},
		{scratch("."), ERR_USAGE, "a folder"},
		{scratch("fifo"), ERR_USAGE, "a pipe"},
		{scratch("sock"), ERR_USAGE, "a socket"},
		{"/dev/null", ERR_USAGE, "a character device"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CU_ASSERT_EQUAL(open_drive(&drive, cases[i].path, NULL, &err), cases[i].code);
		CU_ASSERT_PTR_NULL(drive);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].path));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].word));
	}
	close(sock);
}

/* A file that is no image at all: as a raw one it opens, otherwise qemu-nbd complains. */
static void format_is_that_of_the_name(void)
{
	static const struct {
		const char *name;
		const char *format;
		int code;
		const char *word;
	} cases[] = {
		{"a.raw", NULL, 0, ""},
		{"a.img", NULL, 0, ""},
		{"qcow2", NULL, 0, ""},
		{"a.qcow2", "raw", 0, ""},
		{"a.qcow2", NULL, ERR_SYSTEM, "not in qcow2 format"},
		{"A.QCOW2", NULL, ERR_SYSTEM, "not in qcow2 format"},
		{"a.raw", "qcow2", ERR_SYSTEM, "not in qcow2 format"},
		{"a.qcow", NULL, ERR_SYSTEM, "not in qcow format"},
		{"a.vmdk", NULL, ERR_SYSTEM, "VMDK"},
		{"a.vdi", NULL, ERR_SYSTEM, "VDI"},
		{"a.vhdx", NULL, ERR_SYSTEM, "qemu-nbd"},
		{"a.vhd", NULL, ERR_SYSTEM, "qemu-nbd"},
		{"a.vpc", NULL, ERR_SYSTEM, "qemu-nbd"},
		{"a.qed", NULL, ERR_SYSTEM, "QED"},
		{"a.raw", "nonsense", ERR_USAGE, "nonsense"},
		{"a.raw", "", ERR_USAGE, "image format"},
		{"a.raw", "Raw", ERR_USAGE, "image format"},
		{"a.raw", "qcow2,x=y", ERR_USAGE, "image format"},
	};
	char text[70000];
	struct drive *drive;
	struct error err;

	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *path = scratch(cases[i].name);
		if (!HAVE_LIBNBD && cases[i].code == ERR_SYSTEM)
			continue;
		scratch_write(path, text, sizeof text);
		CU_ASSERT_EQUAL(open_drive(&drive, path, cases[i].format, &err), cases[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].word));
		drive_close(drive);
	}
}

static void reads_what_is_there(void)
{
	static const size_t sizes[] = {0, 1, 511, 512, 65536, 200000};
	uint8_t bytes[200000];
	struct drive *drive;
	struct error err;

	scratch_fill(bytes, sizeof bytes, 1);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const char *path = scratch("plain");
		scratch_write(path, bytes, sizes[i]);
		CU_ASSERT_EQUAL_FATAL(open_drive(&drive, path, NULL, &err), 0);
		CU_ASSERT(reads_as(drive, (char *)bytes, sizes[i]));
		CU_ASSERT_FALSE(drive_was_changed(drive));
		drive_close(drive);
	}
}

static void holes_are_zeros(void)
{
	static const struct {
		uint64_t n;
		bool zero;
	} wanted[] = {{MIB, true}, {MIB, false}, {5 * MIB, true}, {MIB, false}, {MIB + 5, true}};
	const char *path = scratch("holes");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	char bytes[MIB];
	struct drive *drive;
	struct error err;
	uint64_t at = 0, n;
	bool zero;

	memset(bytes, 'x', sizeof bytes);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, MIB, MIB), MIB);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, MIB, 7 * MIB), MIB);
	CU_ASSERT_EQUAL(ftruncate(fd, 9 * MIB + 5), 0);
	CU_ASSERT_EQUAL_FATAL(open_drive(&drive, path, NULL, &err), 0);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		CU_ASSERT_EQUAL(drive_status(drive, at, &n, &zero, &err), 0);
		CU_ASSERT_EQUAL(n, wanted[i].n);
		CU_ASSERT_EQUAL(zero, wanted[i].zero);
		at += n;
	}
	CU_ASSERT_EQUAL(at, drive_size(drive));
	drive_close(drive);
	close(fd);
}

static void shrinking_is_an_error(void)
{
	const char *path = scratch("shrinks");
	char bytes[3 * 4096];
	struct drive *drive;
	struct error err;
	uint64_t n;
	bool zero;

	memset(bytes, 'x', sizeof bytes);
	scratch_write(path, bytes, sizeof bytes);
	CU_ASSERT_EQUAL_FATAL(open_drive(&drive, path, NULL, &err), 0);
	CU_ASSERT_EQUAL(truncate(path, 5000), 0);
	CU_ASSERT_EQUAL(drive_read(drive, 4096, bytes, 4096, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "shrinks: ends at byte 5000"));
	CU_ASSERT_EQUAL(drive_status(drive, 8192, &n, &zero, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "shrinks: ends at byte 5000"));
	CU_ASSERT(drive_was_changed(drive));
	drive_close(drive);
}

static void changes_are_seen(void)
{
	static const char *const commands[] = {
		"printf x | dd of='%s' bs=1 seek=5 conv=notrunc 2>/dev/null", "printf x >>'%s'",
		"truncate -s 3 '%s'", "touch -d 2001-01-01 '%s'", "cat '%s' >/dev/null"};
	const size_t n = sizeof commands / sizeof commands[0];
	struct drive *drive;
	struct error err;

	for (size_t i = 0; i < n; i++) {
		char command[1024];
		const char *path = scratch("changes");
		scratch_write(path, "0123456789", 10);
		pause_ms(20); /* file systems tell times by a coarse clock */
		CU_ASSERT_EQUAL_FATAL(open_drive(&drive, path, NULL, &err), 0);
		snprintf(command, sizeof command, commands[i], path);
		CU_ASSERT_EQUAL(system(command), 0);
		CU_ASSERT_EQUAL(drive_was_changed(drive), i != n - 1);
		drive_close(drive);
	}
}

/* ---- others that use it ---- */

static void a_running_qemu_locks_it(void)
{
	static const struct {
		const char *name;
		const char *options;
		int code;
	} cases[] = {
		{"held.raw", "-f raw", ERR_LOCKED},
		{"held.raw", "-r -f raw", 0},
		{"held.qcow2", "-f qcow2", ERR_LOCKED},
		{"held.qcow2", "-r -f qcow2", 0},
	};
	struct drive_options anyway = {.allow_writers = true};
	struct drive *drive;
	struct error err;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *path = scratch(cases[i].name);
		bool raw = strstr(path, ".raw") != NULL;
		if (!raw && !HAVE_LIBNBD)
			continue;
		CU_ASSERT_EQUAL(scratch_run("qemu-img create -q -f %s '%s' 1M",
					    raw ? "raw" : "qcow2", path),
				0);
		FILE *holder = scratch_hold(cases[i].options, path);
		CU_ASSERT_EQUAL(open_drive(&drive, path, NULL, &err), cases[i].code);
		if (cases[i].code != 0)
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "running QEMU"));
		drive_close(drive);
		CU_ASSERT_EQUAL(drive_open(&drive, path, &anyway, &err), 0);
		CU_ASSERT_EQUAL(drive_size(drive), MIB);
		drive_close(drive);
		pclose(holder);
		CU_ASSERT_EQUAL(open_drive(&drive, path, NULL, &err), 0);
		drive_close(drive);
	}
}

/* A QEMU that starts during the backup is not kept from it, and is noticed. */
static void a_qemu_that_starts_later_is_noticed(void)
{
	const char *path = scratch("later.raw");
	struct drive *drive;
	struct error err;

	CU_ASSERT_EQUAL(scratch_run("truncate -s 1M '%s'", path), 0);
	CU_ASSERT_EQUAL_FATAL(open_drive(&drive, path, NULL, &err), 0);
	FILE *holder = scratch_hold("-f raw", path);
	CU_ASSERT(drive_was_changed(drive));
	CU_ASSERT_EQUAL(pclose(holder), 0);
	CU_ASSERT_FALSE(drive_was_changed(drive));
	drive_close(drive);
}

static void block_devices(void)
{
	const char *path = scratch("device");
	uint8_t *bytes = malloc(MIB);
	char device[64];
	struct drive *drive;
	struct error err;
	uint64_t n;
	bool zero;

	scratch_fill(bytes, MIB, 2);
	scratch_write(path, bytes, MIB);
	if (scratch_loop(path, 512, device)) {
		CU_ASSERT_EQUAL_FATAL(open_drive(&drive, device, NULL, &err), 0);
		CU_ASSERT(reads_as(drive, (char *)bytes, MIB));
		CU_ASSERT_EQUAL(drive_status(drive, 5, &n, &zero, &err), 0);
		CU_ASSERT_EQUAL(n, MIB - 5);
		CU_ASSERT_FALSE(zero);
		CU_ASSERT_FALSE(drive_was_changed(drive));
		int claim = open(device, O_RDONLY | O_EXCL); /* as a mount would */
		CU_ASSERT(claim >= 0);
		drive_close(drive);
		CU_ASSERT_EQUAL(open_drive(&drive, device, NULL, &err), ERR_LOCKED);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, device));
		struct drive_options anyway = {.allow_writers = true};
		CU_ASSERT_EQUAL(drive_open(&drive, device, &anyway, &err), 0);
		drive_close(drive);
		close(claim);
		scratch_unloop(device);
	}
	free(bytes);
}

void test_drive(void)
{
	CU_pSuite suite = CU_add_suite("drive", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, only_files_and_devices);
	CU_ADD_TEST(suite, format_is_that_of_the_name);
	CU_ADD_TEST(suite, reads_what_is_there);
	CU_ADD_TEST(suite, holes_are_zeros);
	CU_ADD_TEST(suite, shrinking_is_an_error);
	CU_ADD_TEST(suite, changes_are_seen);
	CU_ADD_TEST(suite, a_running_qemu_locks_it);
	CU_ADD_TEST(suite, a_qemu_that_starts_later_is_noticed);
	CU_ADD_TEST(suite, block_devices);
	test_sweep();
	test_drive_write();
	test_captive();
}
