/*
 * What tells devices apart, in a sysfs made of files.
 */
#include "base/identity.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/sysmacros.h>

/* A property of a disk or partition in that sysfs, of which /sys/dev/block has links. */
static void put(const char *root, const char *path, const char *text)
{
	CU_ASSERT_FATAL(
		scratch_run("file='%s/%s'; mkdir -p \"${file%%/*}\" && echo '%s' >\"$file\"",
			    scratch(root), path, text) == 0);
}

static void name(const char *root, unsigned minor_number, const char *device)
{
	CU_ASSERT_FATAL(scratch_run("mkdir -p '%s/sys/dev/block' '%s/sys/devices/%s' && ln -sfn "
				    "'../../devices/%s' '%s/sys/dev/block/253:%u'",
				    scratch(root), scratch(root), device, device, scratch(root),
				    minor_number) == 0);
}

static bool same(const char *root, unsigned one, const char *other_root, unsigned other)
{
	char a[IDENTITY_SIZE] = "a", b[IDENTITY_SIZE] = "b";

	CU_ASSERT(identity_of_device(a, scratch(root), makedev(253, one)));
	CU_ASSERT(identity_of_device(b, scratch(other_root), makedev(253, other)));
	CU_ASSERT_NSTRING_EQUAL(a, "device-", 7);
	CU_ASSERT_EQUAL(strlen(a), 23);
	return strcmp(a, b) == 0;
}

static void put_boot(const char *root, const char *boot)
{
	put(root, "proc/sys/kernel/random/boot_id", boot);
}

/* The same volume after the next start, with another number; and another volume. */
static void volumes_keep_their_uuids(void)
{
	put_boot("a", "one");
	put_boot("b", "two");
	name("a", 0, "dm-0");
	name("a", 1, "dm-1");
	name("b", 0, "dm-0");
	put("a", "sys/devices/dm-0/dm/uuid", "LVM-web");
	put("a", "sys/devices/dm-1/dm/uuid", "LVM-db");
	put("b", "sys/devices/dm-0/dm/uuid", "LVM-db");
	CU_ASSERT(same("a", 1, "b", 0));
	CU_ASSERT_FALSE(same("a", 0, "b", 0));
	CU_ASSERT_FALSE(same("a", 0, "a", 1));
}

static void disks_have_wwids_and_serials(void)
{
	name("a", 2, "sda");
	name("a", 3, "nvme0n1");
	name("a", 4, "vda");
	name("b", 7, "sdb");
	name("b", 8, "nvme1n1");
	name("b", 9, "vdb");
	put("a", "sys/devices/sda/device/wwid", "naa.5000");
	put("a", "sys/devices/nvme0n1/wwid", "eui.0025");
	put("a", "sys/devices/vda/serial", "web-data");
	put("b", "sys/devices/sdb/device/wwid", "naa.5000");
	put("b", "sys/devices/nvme1n1/wwid", "eui.0025");
	put("b", "sys/devices/vdb/serial", "web-data");
	for (unsigned i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(same("a", 2 + i / 3, "b", 7 + i % 3), i / 3 == i % 3);
}

static void partitions_begin_somewhere(void)
{
	name("a", 10, "sda/sda1");
	name("a", 11, "sda/sda2");
	name("b", 10, "sdb/sdb1");
	put("a", "sys/devices/sda/sda1/partition", "1");
	put("a", "sys/devices/sda/sda1/start", "2048");
	put("a", "sys/devices/sda/sda2/partition", "2");
	put("a", "sys/devices/sda/sda2/start", "4096");
	put("b", "sys/devices/sdb/sdb1/partition", "1");
	put("b", "sys/devices/sdb/sdb1/start", "2048");
	CU_ASSERT(same("a", 10, "b", 10));
	CU_ASSERT_FALSE(same("a", 11, "b", 10));
	CU_ASSERT_FALSE(same("a", 10, "a", 2));
}

static void loops_are_their_files(void)
{
	scratch_write(scratch("file"), "x", 1);
	scratch_write(scratch("other"), "x", 1);
	name("a", 20, "loop0");
	name("a", 21, "loop1");
	name("b", 20, "loop3");
	name("b", 21, "loop4");
	put("a", "sys/devices/loop0/loop/backing_file", scratch("file"));
	put("a", "sys/devices/loop0/loop/offset", "0");
	put("a", "sys/devices/loop1/loop/backing_file", scratch("other"));
	put("b", "sys/devices/loop3/loop/backing_file", scratch("file"));
	put("b", "sys/devices/loop4/loop/backing_file", scratch("file"));
	put("b", "sys/devices/loop4/loop/offset", "512");
	CU_ASSERT(same("a", 20, "b", 20));
	CU_ASSERT_FALSE(same("a", 21, "b", 20));
	CU_ASSERT_FALSE(same("a", 20, "b", 21));
}

/* What is no name: one that all disks have, as nobody gave them any. */
static void others_are_of_a_boot(void)
{
	name("a", 30, "vdx");
	name("a", 31, "vdy");
	name("b", 30, "vdx");
	put("a", "sys/devices/vdx/serial", "");
	put("a", "sys/devices/vdy/serial", "00000000");
	put("a", "sys/devices/vdx/diskseq", "5");
	put("a", "sys/devices/vdy/diskseq", "6");
	put("b", "sys/devices/vdx/diskseq", "5");
	CU_ASSERT(same("a", 30, "a", 30));
	CU_ASSERT_FALSE(same("a", 30, "a", 31));
	CU_ASSERT_FALSE(same("a", 30, "b", 30));
	name("a", 32, "nbd0");
	name("a", 33, "nbd1");
	CU_ASSERT(same("a", 32, "a", 32));
	CU_ASSERT_FALSE(same("a", 32, "a", 33));
}

static void files_are_their_inodes(void)
{
	char text[IDENTITY_SIZE], expected[IDENTITY_SIZE];
	struct stat found;

	CU_ASSERT_FATAL(stat(scratch("file"), &found) == 0);
	CU_ASSERT_FATAL(identity_find(text, &found));
	snprintf(expected, sizeof(expected), "inode-%llu", (unsigned long long)found.st_ino);
	CU_ASSERT_STRING_EQUAL(text, expected);
	CU_ASSERT_FATAL(stat(scratch(""), &found) == 0);
	CU_ASSERT_FALSE(identity_find(text, &found));
}

void test_identity(void)
{
	CU_pSuite suite = CU_add_suite("identities of drives", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, volumes_keep_their_uuids);
	CU_ADD_TEST(suite, disks_have_wwids_and_serials);
	CU_ADD_TEST(suite, partitions_begin_somewhere);
	CU_ADD_TEST(suite, loops_are_their_files);
	CU_ADD_TEST(suite, others_are_of_a_boot);
	CU_ADD_TEST(suite, files_are_their_inodes);
}
