/*
 * Block devices as targets, on loop devices, with and without a device that can zero by itself.
 */
#include "drive/target.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB   1048576u
#define KIB64 CLUSTER_SIZE

static const struct target_options careful = {.sync = true}, forced = {.force = true};

/* Parts of a drive; of whole clusters; what is not written is zeroed, in one go. Odd ends. */
struct part {
	uint64_t offset, n;
};

static const struct device_case {
	unsigned sector;      /* bytes */
	uint64_t device_size; /* bytes */
	uint64_t drive_size;
	uint64_t excess;
	struct part written[3]; /* ascending, ended by n 0 */
} device_cases[] = {
	{512, 8 * MIB, 8 * MIB, 0, {{0, 0}}},
	{512, 8 * MIB, 8 * MIB, 0, {{MIB, KIB64}, {3 * MIB, KIB64}}},
	{512, 8 * MIB, 5 * MIB + 512, 0, {{5 * MIB, 512}}},
	{512, 8 * MIB, 4 * MIB - 512, 4 * MIB + 512, {{0, KIB64}}},
	{512, 8 * MIB, 4 * MIB - 512, 4 * MIB + 512, {{4 * MIB - KIB64, KIB64 - 512}}},
	{512, 8 * MIB, 4 * MIB, 0, {{0, KIB64}}},
	{512, 8 * MIB, 1, 8 * MIB - 1, {{0, 1}}},
	{512, 8 * MIB, 1, 8 * MIB - 1, {{0, 0}}},
	{512, 8 * MIB - 512, 8 * MIB - 512, 0, {{0, KIB64}}},
	{512, 8 * MIB - 512, 8 * MIB - KIB64, 0, {{0, KIB64}}},
	{4096, 8 * MIB, 8 * MIB, 0, {{KIB64, 2 * KIB64}}},
	{4096, 8 * MIB, 8 * MIB - 512, 0, {{8 * MIB - KIB64, KIB64 - 512}}},
	{4096, 8 * MIB, 7 * MIB + 1, 0, {{0, KIB64}, {7 * MIB, 1}}},
	{4096, 8 * MIB, 8 * MIB - 4097, 0, {{KIB64, KIB64}}},
};

static const struct device_case *current;
static bool punches;
static char device[64];

static int restore_parts(struct target *target, uint8_t *wanted, struct error *err)
{
	uint64_t at = 0;
	int rc = 0;

	memset(wanted, 0, current->drive_size);
	for (size_t i = 0; i < 3 && rc == 0; i++) {
		const struct part *part = &current->written[i];
		uint64_t end = part->n != 0 ? part->offset : current->drive_size;
		rc = target_zero(target, at, end - at, err);
		at = end + part->n;
		if (rc != 0 || part->n == 0)
			break;
		scratch_fill(wanted + part->offset, part->n, 7);
		rc = target_write(target, part->offset, wanted + part->offset, part->n, err);
	}
	return rc;
}

/* What the device holds is read from the file under it, so nothing can be in a cache only. */
static bool device_works(void)
{
	struct target_options options = {.force = true, .sync = true};
	uint8_t *wanted = malloc(current->device_size);
	struct target *target = NULL;
	struct error err;
	struct stat st;
	size_t n;

	memset(wanted, 'x', current->device_size);
	scratch_write(scratch("under"), wanted, current->device_size);
	if (!scratch_loop(scratch("under"), current->sector, device))
		return false;
	if (current->excess == 0)
		memset(wanted, 0, current->device_size);
	bool good = target_open(&target, device, current->drive_size, &options, &err) == 0 &&
		    target_excess(target) == current->excess &&
		    restore_parts(target, wanted, &err) == 0 && target_finish(target, &err) == 0;
	target_close(target);
	scratch_unloop(device);
	/* What was punched is a hole in the file under the device, but for the pages at the ends.
	 */
	good = good && stat(scratch("under"), &st) == 0 &&
	       (!punches || current->excess > 0 || st.st_blocks * 512 <= 2 * CLUSTER_SIZE);
	char *got = scratch_read(scratch("under"), &n);
	good = good && n == current->device_size && memcmp(got, wanted, n) == 0;
	free(got);
	free(wanted);
	return good;
}

/* A loop device over a sparse file is as a thin volume: zeros must not be written where there are
 * some. */
static bool a_thin_device_stays_thin(void)
{
	static const uint8_t cluster[CLUSTER_SIZE] = {1};
	const char *path = scratch("thin");
	struct target *target = NULL;
	struct error err;
	struct stat st;
	bool good;

	if (scratch_run("truncate -s 64M '%s'", path) != 0 || !scratch_loop(path, 512, device))
		return false;
	good = target_open(&target, device, 64 * MIB, &forced, &err) == 0 &&
	       target_write(target, MIB, cluster, sizeof cluster, &err) == 0 &&
	       target_zero(target, 0, 64 * MIB, &err) == 0 && target_finish(target, &err) == 0;
	target_close(target);
	scratch_unloop(device);
	return good && stat(path, &st) == 0 && st.st_blocks * 512 <= 2 * CLUSTER_SIZE;
}

static void no_old_byte_survives_on_a_device(void)
{
	static const int calls[] = {SYS_fallocate};

	scratch_write(scratch("try"), "", 0);
	CU_ASSERT_EQUAL(truncate(scratch("try"), MIB), 0);
	if (!scratch_loop(scratch("try"), 512, device))
		return;
	scratch_unloop(device);
	for (size_t i = 0; i < sizeof device_cases / sizeof device_cases[0]; i++) {
		current = &device_cases[i];
		punches = true;
		CU_ASSERT(scratch_denied(calls, 0, 0, device_works));
		punches = false;
		CU_ASSERT(scratch_denied(calls, 1, EOPNOTSUPP, device_works));
	}
	CU_ASSERT(scratch_denied(calls, 1, EOPNOTSUPP, a_thin_device_stays_thin));
}

static void which_devices_are_refused(void)
{
	struct target *target = NULL;
	struct error err;

	CU_ASSERT_EQUAL(scratch_run("truncate -s 1M '%s'", scratch("refused")), 0);
	if (!scratch_loop(scratch("refused"), 512, device))
		return;
	CU_ASSERT_EQUAL(target_open(&target, device, MIB, &careful, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is a block device; --force"));
	CU_ASSERT_EQUAL(target_open(&target, device, MIB + 1, &forced, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1048576 bytes, and the drive 1048577"));
	int claim = open(device, O_RDONLY | O_EXCL); /* as a mount would */
	CU_ASSERT_EQUAL(target_open(&target, device, MIB, &forced, &err), ERR_LOCKED);
	close(claim);
	CU_ASSERT_EQUAL(target_open(&target, device, MIB, &forced, &err), 0);
	target_close(target);
	scratch_unloop(device);
}

void test_target_device(void)
{
	CU_pSuite suite = CU_add_suite("target on a device", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, no_old_byte_survives_on_a_device);
	CU_ADD_TEST(suite, which_devices_are_refused);
}
