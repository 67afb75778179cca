/*
 * Drives that a guest writes to: what is written, zeroed and trimmed is there and nothing else is
 * touched, on files and devices, with and without holes; and others are kept away.
 */
#include "drive/drive.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB 1048576u

static const struct drive_options writable = {.format = "raw", .writable = true};
static char device[64];

enum what { WRITE, ZERO, TRIM };

static const struct request {
	enum what what;
	unsigned flags;
	uint32_t offset, n;
} requests[] = {
	{WRITE, 0, 0, 1},
	{WRITE, 0, 65535, 70000},
	{WRITE, DRIVE_FUA, 4096, 8192},
	{WRITE, DRIVE_NOW, 8192, 4096},
	{WRITE, 0, 2 * MIB - 5, 5},
	{ZERO, 0, 100, 50000},
	{ZERO, DRIVE_MAY_TRIM, 300000, 500000},
	{ZERO, DRIVE_MAY_TRIM | DRIVE_FUA, 524288, 131072},
	{ZERO, DRIVE_MAY_TRIM | DRIVE_FAST, 1048576, 65536},
	{ZERO, DRIVE_FAST, 1200000, 700},
	{ZERO, 0, 1300000, 1},
	{ZERO, 0, 2 * MIB - 700, 700},
	{TRIM, 0, 1400000, 100000},
	{TRIM, 0, 1600000, 10},
	{WRITE, 0, 310000, 100},
};

/* Does one, on the drive and on what it should hold. ENOTSUP where FAST was asked for is one. */
static bool request_works(struct drive *drive, const struct request *request, uint8_t *wanted)
{
	const uint32_t offset = request->offset, n = request->n;
	uint8_t *bytes = malloc(n);
	int rc;

	scratch_fill(bytes, n, offset);
	if (request->what == WRITE) {
		rc = drive_write(drive, offset, bytes, n, request->flags);
		if (rc == EAGAIN && (request->flags & DRIVE_NOW))
			rc = drive_write(drive, offset, bytes, n, 0);
		memcpy(wanted + offset, bytes, n);
	} else if (request->what == ZERO) {
		rc = drive_zero(drive, offset, n, request->flags);
		if (rc == ENOTSUP && (request->flags & DRIVE_FAST))
			rc = drive_zero(drive, offset, n, 0);
		memset(wanted + offset, 0, n);
	} else {
		rc = drive_trim(drive, offset, n);
		/* What came of it is up to the drive: all or nothing of each page. */
		for (uint32_t at = (offset + 4095) / 4096 * 4096; at + 4096 <= offset + n;
		     at += 4096) {
			rc = rc == 0 ? drive_fetch(drive, at, bytes, 4096, 0) : rc;
			if (bytes[0] == 0)
				memset(wanted + at, 0, 4096);
		}
	}
	free(bytes);
	return rc == 0;
}

static bool all_requests_work(const char *path)
{
	uint8_t *wanted = malloc(2 * MIB), *got = malloc(2 * MIB);
	struct drive *drive = NULL;
	struct error err;
	bool good = drive_open(&drive, path, &writable, &err) == 0;

	good = good && drive_is_writable(drive) && drive_fetch(drive, 0, wanted, 2 * MIB, 0) == 0;
	for (size_t i = 0; good && i < sizeof requests / sizeof requests[0]; i++) {
		good = request_works(drive, &requests[i], wanted) &&
		       drive_fetch(drive, 0, got, 2 * MIB, 0) == 0 &&
		       memcmp(wanted, got, 2 * MIB) == 0;
		if (!good)
			printf("\nrequest %zu on %s\n", i, path);
	}
	good = good && drive_flush(drive) == 0 && !drive_was_changed(drive);
	/* Nothing of it is only in the memory of this process. */
	int fd = open(path, O_RDONLY);
	good = good && pread(fd, got, 2 * MIB, 0) == 2 * MIB && memcmp(wanted, got, 2 * MIB) == 0;
	close(fd);
	drive_close(drive);
	free(wanted);
	free(got);
	return good;
}

static bool requests_work_on_a_file(void)
{
	uint8_t *bytes = malloc(2 * MIB);

	scratch_fill(bytes, 2 * MIB, 3);
	scratch_write(scratch("written"), bytes, 2 * MIB);
	free(bytes);
	return all_requests_work(scratch("written"));
}

static bool requests_work_on_a_device(void)
{
	return all_requests_work(device);
}

static void requests_do_what_they_say(void)
{
	static const int calls[] = {SYS_fallocate, SYS_preadv2};
	static const unsigned sectors[] = {512, 4096};

	CU_ASSERT(scratch_denied(calls, 0, 0, requests_work_on_a_file));
	CU_ASSERT(scratch_denied(calls, 2, EOPNOTSUPP, requests_work_on_a_file));
	for (size_t i = 0; i < 2; i++) {
		uint8_t *bytes = malloc(2 * MIB);
		scratch_fill(bytes, 2 * MIB, 3);
		scratch_write(scratch("under"), bytes, 2 * MIB);
		free(bytes);
		if (!scratch_loop(scratch("under"), sectors[i], device))
			return;
		CU_ASSERT(scratch_denied(calls, 0, 0, requests_work_on_a_device));
		CU_ASSERT(scratch_denied(calls, 2, EOPNOTSUPP, requests_work_on_a_device));
		scratch_unloop(device);
	}
}

static bool fast_zeros_are_refused(void)
{
	struct drive *drive = NULL;
	struct error err;
	char byte = 0;
	bool good = drive_open(&drive, scratch("fast"), &writable, &err) == 0 &&
		    drive_zero(drive, 0, 65536, DRIVE_FAST | DRIVE_MAY_TRIM) == ENOTSUP &&
		    drive_fetch(drive, 0, &byte, 1, 0) == 0 && byte == 'x' &&
		    drive_trim(drive, 0, 65536) == 0 && drive_fetch(drive, 0, &byte, 1, 0) == 0 &&
		    byte == 'x';

	drive_close(drive);
	return good;
}

static void fast_zeros_are_fast(void)
{
	static const int calls[] = {SYS_fallocate};
	char *bytes = malloc(65536);
	struct drive *drive = NULL;
	struct error err;
	struct stat st;

	memset(bytes, 'x', 65536);
	scratch_write(scratch("fast"), bytes, 65536);
	CU_ASSERT(scratch_denied(calls, 1, EOPNOTSUPP, fast_zeros_are_refused));
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, scratch("fast"), &writable, &err), 0);
	CU_ASSERT_EQUAL(drive_trim(drive, 0, 65536), 0);
	CU_ASSERT_EQUAL(stat(scratch("fast"), &st), 0);
	CU_ASSERT(st.st_blocks == 0);
	drive_close(drive);
	free(bytes);
}

static bool zeros_are_written_instead(void)
{
	struct drive *drive = NULL;
	struct error err;
	char bytes[2] = "x";
	bool good = drive_open(&drive, scratch("fast"), &writable, &err) == 0 &&
		    drive_zero(drive, 0, 65535, DRIVE_MAY_TRIM) == 0 &&
		    drive_fetch(drive, 65534, bytes, 2, 0) == 0 && bytes[0] == 0 && bytes[1] == 'x';

	drive_close(drive);
	return good;
}

/* Whatever punching fails for: if that is serious, writing fails as well. */
static void zeros_without_holes(void)
{
	static const int calls[] = {SYS_fallocate};
	char bytes[65536];

	memset(bytes, 'x', sizeof(bytes));
	scratch_write(scratch("fast"), bytes, sizeof(bytes));
	CU_ASSERT(scratch_denied(calls, 1, EIO, zeros_are_written_instead));
}

/* In a hole there is nothing to zero: the file is not even touched. */
static void zeros_in_a_hole_change_nothing(void)
{
	const char *path = scratch("hole");
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct drive *drive = NULL;
	struct error err;
	struct stat st;

	CU_ASSERT_EQUAL(scratch_run("truncate -s 1M '%s'", path), 0);
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, path, &writable, &err), 0);
	CU_ASSERT_EQUAL(drive_zero(drive, 5000, 500000, DRIVE_MAY_TRIM), 0);
	CU_ASSERT_EQUAL(drive_trim(drive, 5000, 500000), 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mtim.tv_sec, 1000);
	drive_close(drive);
}

static void others_are_kept_away(void)
{
	const struct drive_options plain = {.format = "raw"},
				   anyway = {.format = "raw", .allow_writers = true};
	const char *path = scratch("locked");
	struct drive *drive = NULL, *other = NULL;
	struct error err;

	CU_ASSERT_EQUAL(scratch_run("truncate -s 1M '%s'", path), 0);
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, path, &writable, &err), 0);
	CU_ASSERT_EQUAL(drive_open(&other, path, &writable, &err), ERR_LOCKED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is in use"));
	CU_ASSERT_EQUAL(drive_open(&other, path, &plain, &err), ERR_LOCKED);
	CU_ASSERT_EQUAL_FATAL(drive_open(&other, path, &anyway, &err), 0);
	drive_close(other);
	if (scratch_run("command -v qemu-io >/dev/null") == 0) {
		CU_ASSERT_NOT_EQUAL(
			scratch_run("qemu-io -f raw -c 'write 0 1' '%s' >/dev/null 2>&1", path), 0);
		CU_ASSERT_EQUAL(scratch_run("qemu-img info -f raw -U '%s' >/dev/null", path), 0);
	}
	drive_close(drive);
	CU_ASSERT_EQUAL_FATAL(drive_open(&other, path, &writable, &err), 0);
	drive_close(other);
	FILE *holder = scratch_hold("-f raw", path);
	CU_ASSERT_EQUAL(drive_open(&other, path, &writable, &err), ERR_LOCKED);
	pclose(holder);
}

static void devices_are_claimed(void)
{
	const struct drive_options plain = {.format = "raw"};
	struct drive *drive = NULL, *other = NULL;
	struct error err;

	CU_ASSERT_EQUAL(scratch_run("truncate -s 1M '%s'", scratch("claimed")), 0);
	if (!scratch_loop(scratch("claimed"), 512, device))
		return;
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, device, &writable, &err), 0);
	CU_ASSERT_EQUAL(drive_open(&other, device, &writable, &err), ERR_LOCKED);
	CU_ASSERT_EQUAL(drive_open(&other, device, &plain, &err), ERR_LOCKED);
	drive_close(drive);
	scratch_unloop(device);
}

static void what_cannot_be_written(void)
{
	struct drive_options options = {.writable = true};
	const struct drive_options plain = {.format = "raw"};
	struct drive *drive = NULL;
	struct error err;

	scratch_write(scratch("w.qcow2"), "x", 1);
	CU_ASSERT_EQUAL(drive_open(&drive, scratch("w.qcow2"), &options, &err), ERR_UNSUPPORTED);
	options = (struct drive_options){.format = "raw", .writable = true, .direct = true};
	CU_ASSERT_EQUAL(drive_open(&drive, scratch("w.qcow2"), &options, &err), ERR_USAGE);
	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, scratch("w.qcow2"), &plain, &err), 0);
	CU_ASSERT_FALSE(drive_is_writable(drive));
	CU_ASSERT_EQUAL(drive_write(drive, 0, "y", 1, 0), EPERM);
	CU_ASSERT_EQUAL(drive_zero(drive, 0, 1, 0), EPERM);
	CU_ASSERT_EQUAL(drive_trim(drive, 0, 1), EPERM);
	CU_ASSERT_EQUAL(drive_flush(drive), 0);
	drive_close(drive);
}

void test_drive_write(void)
{
	CU_pSuite suite = CU_add_suite("drive that is written to", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, requests_do_what_they_say);
	CU_ADD_TEST(suite, fast_zeros_are_fast);
	CU_ADD_TEST(suite, zeros_without_holes);
	CU_ADD_TEST(suite, zeros_in_a_hole_change_nothing);
	CU_ADD_TEST(suite, others_are_kept_away);
	CU_ADD_TEST(suite, devices_are_claimed);
	CU_ADD_TEST(suite, what_cannot_be_written);
}
