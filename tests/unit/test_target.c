/*
 * Targets: what is opened and refused, that no old byte survives, files that come to be whole or
 * not at all. Ways that this kernel has no need of are tried with system calls that are denied.
 */
#include "drive/target.h"
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB 1048576u

static const struct target_options careful = {.sync = true}, forced = {.force = true};

/* ---- what is opened ---- */

static void what_is_refused(void)
{
	struct target *target = NULL;
	struct error err;

	scratch_write(scratch("file"), "old", 3);
	mkfifo(scratch("fifo"), 0600);
	CU_ASSERT_EQUAL(symlink("nothing", scratch("dangling")), 0);
	const struct {
		const char *path;
		bool force;
		int code;
		const char *word;
	} cases[] = {
		{scratch("file"), false, ERR_USAGE, "exists already; --force"},
		{scratch("fifo"), true, ERR_USAGE, "neither a file nor a block device"},
		{scratch("."), true, ERR_USAGE, "neither a file nor a block device"},
		{"/dev/null", true, ERR_USAGE, "neither a file nor a block device"},
		{scratch("dangling"), true, ERR_USAGE, "dangling symbolic link"},
		{scratch("none/x.raw"), true, ERR_SYSTEM, "No such file"},
		{scratch("none/"), true, ERR_USAGE, "not the name of a file"},
		{scratch("file/x.raw"), true, ERR_SYSTEM, "Not a directory"},
		{"", true, ERR_USAGE, "not the name of a file"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct target_options options = {.force = cases[i].force};
		CU_ASSERT_EQUAL(target_open(&target, cases[i].path, MIB, &options, &err),
				cases[i].code);
		CU_ASSERT_PTR_NULL(target);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].path));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].word));
	}
	CU_ASSERT_EQUAL(scratch_count(), 3);
	char *old = scratch_read(scratch("file"), NULL);
	CU_ASSERT_STRING_EQUAL(old, "old");
	free(old);
}

/* ---- new files ---- */

/* Opens, writes one cluster at 1 MiB of 3, and says the rest to be zeros. */
static struct target *half_written(const char *path, const struct target_options *options)
{
	const uint64_t end = MIB + CLUSTER_SIZE;
	uint8_t bytes[CLUSTER_SIZE];
	struct target *target = NULL;
	struct error err;

	scratch_fill(bytes, sizeof bytes, 1);
	if (target_open(&target, path, 3 * MIB, options, &err) != 0 ||
	    target_zero(target, 0, MIB, &err) != 0 ||
	    target_write(target, MIB, bytes, sizeof bytes, &err) != 0 ||
	    target_zero(target, end, 3 * MIB - end, &err) != 0) {
		printf("\n%s\n", err.text);
		exit(1); /* also of a child */
	}
	return target;
}

static bool is_half_written(const char *path)
{
	uint8_t *wanted = calloc(1, 3 * MIB);
	size_t n;

	scratch_fill(wanted + MIB, CLUSTER_SIZE, 1);
	char *got = scratch_read(path, &n);
	bool same = n == 3 * MIB && memcmp(got, wanted, n) == 0;
	free(got);
	free(wanted);
	return same;
}

static void a_new_file_is_sparse_and_comes_whole(void)
{
	const char *path = scratch("new.raw");
	unsigned before = scratch_count();
	struct error err;
	struct stat st;
	mode_t mask = umask(027);
	struct target *target = half_written(path, &careful);

	CU_ASSERT_FALSE(scratch_exists(path));
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
	CU_ASSERT_EQUAL(target_excess(target), 0);
	CU_ASSERT_EQUAL(target_finish(target, &err), 0);
	target_close(target);
	umask(mask);
	CU_ASSERT(is_half_written(path));
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT(st.st_blocks * 512 <= 2 * CLUSTER_SIZE);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
}

static void what_is_not_finished_leaves_nothing(void)
{
	unsigned before = scratch_count();

	target_close(half_written(scratch("gone.raw"), &careful));
	CU_ASSERT_EQUAL(scratch_count(), before);
	target_close(NULL);
}

static void nothing_that_came_meanwhile_is_replaced(void)
{
	const char *path = scratch("meanwhile.raw");
	unsigned before = scratch_count();
	struct error err;
	struct target *target = half_written(path, &forced);

	scratch_write(path, "mine", 4);
	CU_ASSERT_EQUAL(target_finish(target, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "meanwhile"));
	target_close(target);
	char *got = scratch_read(path, NULL);
	CU_ASSERT_STRING_EQUAL(got, "mine");
	free(got);
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
}

static void sizes_of_new_files(void)
{
	static const uint64_t sizes[] = {0, 1, 511, 4097, 5 * MIB + 512};
	struct target *target;
	struct error err;
	struct stat st;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		const char *path = scratch("sized.raw");
		CU_ASSERT_EQUAL_FATAL(target_open(&target, path, sizes[i], &careful, &err), 0);
		CU_ASSERT_EQUAL(target_finish(target, &err), 0);
		target_close(target);
		CU_ASSERT_EQUAL(stat(path, &st), 0);
		CU_ASSERT_EQUAL((uint64_t)st.st_size, sizes[i]);
		unlink(path);
	}
}

/* 255 bytes, of two-byte characters from the second on: the cut must not fall into one. */
static void the_longest_name(void)
{
	char name[256] = "x";
	struct error err;

	for (size_t i = 1; i < 255; i += 2)
		memcpy(name + i, "\xc3\xa4", 2);
	struct target *target = half_written(scratch(name), &careful);
	CU_ASSERT_EQUAL(scratch_run("ls -a '%s' | grep -qx '\\.x\\(\xc3\xa4\\)\\{120\\}\\."
				    "[a-z0-5]\\{6\\}\\.part'",
				    scratch(".")),
			0);
	CU_ASSERT_EQUAL(target_finish(target, &err), 0);
	target_close(target);
	CU_ASSERT(is_half_written(scratch(name)));
}

static void a_name_without_a_folder(void)
{
	char here[512];
	struct error err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(here, sizeof here));
	CU_ASSERT_EQUAL(chdir(scratch(".")), 0);
	struct target *target = half_written("bare.raw", &careful);
	CU_ASSERT_EQUAL(chdir(here), 0); /* finished from another folder */
	CU_ASSERT_EQUAL(target_finish(target, &err), 0);
	target_close(target);
	CU_ASSERT(is_half_written(scratch("bare.raw")));
}

/* ---- files that exist ---- */

/* A file of old bytes, larger or smaller than the drive; in place, so that links to it still hold.
 */
static void no_old_byte_survives_in_a_file(void)
{
	static const size_t old_sizes[] = {0, 5, MIB - 1, MIB + 5000, 3 * MIB, 5 * MIB};
	uint8_t *old = malloc(5 * MIB);
	struct error err;
	struct stat st;

	memset(old, 'x', 5 * MIB);
	for (size_t i = 0; i < sizeof old_sizes / sizeof old_sizes[0]; i++) {
		const char *path = scratch("old.raw"), *other = scratch("other.raw");
		scratch_write(path, old, old_sizes[i]);
		CU_ASSERT_EQUAL(link(path, other), 0);
		struct target *target = half_written(path, &forced);
		CU_ASSERT_EQUAL(target_finish(target, &err), 0);
		target_close(target);
		CU_ASSERT(is_half_written(other));
		CU_ASSERT_EQUAL(stat(other, &st), 0);
		CU_ASSERT(st.st_blocks * 512 <= 4 * CLUSTER_SIZE);
		unlink(path);
		unlink(other);
	}
	free(old);
}

static bool file_of_old_bytes_works(void)
{
	uint8_t *old = malloc(5 * MIB);
	const char *path = scratch("denied.raw");
	struct error err;
	struct stat st;

	memset(old, 'x', 5 * MIB);
	scratch_write(path, old, 5 * MIB);
	struct target *target = half_written(path, &forced);
	bool good = target_finish(target, &err) == 0;
	target_close(target);
	good = good && is_half_written(path);

	/* What is new in it needs no zeros, and stays a hole. */
	scratch_write(path, old, 5000);
	free(old);
	target = half_written(path, &forced);
	good = good && target_finish(target, &err) == 0;
	target_close(target);
	return good && is_half_written(path) && stat(path, &st) == 0 &&
	       st.st_blocks * 512 <= 2 * CLUSTER_SIZE;
}

static void zeros_are_written_where_punching_fails(void)
{
	static const int calls[] = {SYS_fallocate};

	CU_ASSERT(scratch_denied(calls, 1, EOPNOTSUPP, file_of_old_bytes_works));
	CU_ASSERT(scratch_denied(calls, 1, EIO, file_of_old_bytes_works));
}

static void a_link_leads_to_its_file(void)
{
	struct error err;
	struct stat st;

	scratch_write(scratch("real.raw"), "old", 3);
	CU_ASSERT_EQUAL(symlink("real.raw", scratch("link.raw")), 0);
	struct target *target = half_written(scratch("link.raw"), &forced);
	CU_ASSERT_EQUAL(target_finish(target, &err), 0);
	target_close(target);
	CU_ASSERT(is_half_written(scratch("real.raw")));
	CU_ASSERT_EQUAL(lstat(scratch("link.raw"), &st), 0);
	CU_ASSERT(S_ISLNK(st.st_mode));
}

/* Nobody else may have it: a QEMU, or another drive of the same restore. */
static void a_target_is_for_one(void)
{
	const char *path = scratch("one.raw");
	struct target *target, *second = NULL;
	struct error err;

	scratch_write(path, "old", 3);
	CU_ASSERT_EQUAL(target_open(&target, path, MIB, &forced, &err), 0);
	CU_ASSERT_EQUAL(target_open(&second, path, MIB, &forced, &err), ERR_LOCKED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
	CU_ASSERT_NOT_EQUAL(scratch_run("qemu-io -f raw -c length '%s' >/dev/null 2>&1", path), 0);
	target_close(target);
	CU_ASSERT_EQUAL(scratch_run("qemu-io -f raw -c length '%s' >/dev/null 2>&1", path), 0);
	for (int writes = 0; writes < 2; writes++) {
		FILE *holder = scratch_hold(writes ? "-f raw" : "-r -f raw", path);
		CU_ASSERT_EQUAL(target_open(&second, path, MIB, &forced, &err), ERR_LOCKED);
		CU_ASSERT_PTR_NULL(second);
		pclose(holder);
	}
}

/* ---- no room ---- */

static void full_file_systems(void)
{
	const char *folder = scratch("small");
	uint8_t *bytes = malloc(4 * MIB);
	struct target *target = NULL;
	struct error err;
	char path[600];

	scratch_fill(bytes, 4 * MIB, 1);
	mkdir(folder, 0700);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") != 0) {
		printf("\nskipped: cannot mount a tmpfs\n");
	} else {
		snprintf(path, sizeof path, "%s/x.raw", folder);
		CU_ASSERT_EQUAL_FATAL(target_open(&target, path, 64 * MIB, &careful, &err), 0);
		CU_ASSERT_EQUAL(target_write(target, MIB, bytes, 4 * MIB, &err), ERR_FULL);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "x.raw: writing at byte "));
		target_close(target);
		CU_ASSERT_EQUAL(target_put_file(path, bytes, 4 * MIB, &careful, &err), ERR_FULL);
		CU_ASSERT_NOT_EQUAL(rmdir(folder), 0);
		CU_ASSERT_EQUAL(scratch_run("test -z \"$(ls -A '%s')\"", folder), 0);
		CU_ASSERT_EQUAL(umount(folder), 0);
	}
	free(bytes);
	rmdir(folder);
}

/* ---- whole files ---- */

static void whole_files(void)
{
	const char *path = scratch("a.conf");
	struct target_options both = {.force = true, .sync = true};
	unsigned before = scratch_count();
	struct error err;

	CU_ASSERT_EQUAL(target_put_file(path, "one", 3, &careful, &err), 0);
	CU_ASSERT_EQUAL(target_put_file(path, "two", 3, &careful, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a.conf: exists already; --force"));
	char *got = scratch_read(path, NULL);
	CU_ASSERT_STRING_EQUAL(got, "one");
	free(got);
	CU_ASSERT_EQUAL(target_put_file(path, "", 0, &both, &err), 0);
	got = scratch_read(path, NULL);
	CU_ASSERT_STRING_EQUAL(got, "");
	free(got);
	CU_ASSERT_EQUAL(scratch_count(), before + 1);
	mkdir(scratch("folder.conf"), 0700);
	CU_ASSERT_EQUAL(target_put_file(scratch("folder.conf"), "x", 1, &both, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(scratch_count(), before + 2);
}

/* A link in the folder must not lead a config out of it. */
static void a_link_is_replaced_and_not_followed(void)
{
	const char *path = scratch("link.conf");
	struct error err;

	scratch_write(scratch("secret"), "old", 3);
	CU_ASSERT_EQUAL(symlink("secret", path), 0);
	CU_ASSERT_EQUAL(target_put_file(path, "new", 3, &careful, &err), ERR_USAGE);
	CU_ASSERT_EQUAL(target_put_file(path, "new", 3, &forced, &err), 0);
	char *got = scratch_read(scratch("secret"), NULL);
	CU_ASSERT_STRING_EQUAL(got, "old");
	free(got);
	got = scratch_read(path, NULL);
	CU_ASSERT_STRING_EQUAL(got, "new");
	free(got);
}

static bool publishing_works(void)
{
	const char *path = scratch("published");
	struct error err;
	struct target *target;
	bool good = target_put_file(path, "x", 1, &careful, &err) == 0 && scratch_exists(path);

	unlink(path);
	target = half_written(path, &careful);
	scratch_write(path, "mine", 4);
	good = good && target_finish(target, &err) == ERR_USAGE;
	target_close(target);
	char *got = scratch_read(path, NULL);
	good = good && strcmp(got, "mine") == 0;
	free(got);
	unlink(path);
	return good;
}

/* Only with sync must a file that cannot be made durable not come to be. */
static bool syncing_counts(void)
{
	const char *path = scratch("durable");
	struct error err;
	struct target *target = half_written(path, &careful);
	bool good = target_finish(target, &err) == ERR_SYSTEM && !scratch_exists(path) &&
		    strstr(err.text, "durable: syncing") != NULL;

	target_close(target);
	good = good && target_put_file(path, "x", 1, &careful, &err) == ERR_SYSTEM;
	target = half_written(path, &forced);
	good = good && target_finish(target, &err) == 0;
	target_close(target);
	unlink(path);
	return good && target_put_file(path, "x", 1, &forced, &err) == 0 && unlink(path) == 0;
}

static void what_cannot_be_synced(void)
{
	static const int calls[] = {SYS_fsync};

	CU_ASSERT(scratch_denied(calls, 1, EIO, syncing_counts));
}

static void file_systems_that_can_do_less(void)
{
	CU_ASSERT(scratch_publishes(publishing_works));
}

/* ---- the end of the program ---- */

static bool abandoning_works(void)
{
	const char *kept = scratch("kept.raw");
	unsigned before = scratch_count();
	struct target *a, *b, *c = NULL;
	struct error err;

	a = half_written(kept, &careful);
	bool good = target_finish(a, &err) == 0;
	b = half_written(scratch("b.raw"), &careful);
	half_written(scratch("c.raw"), &careful);
	good = good && scratch_count() == before + 3;
	newfile_abandon_all();
	good = good && scratch_count() == before + 1 && is_half_written(kept);
	good = good && target_finish(b, &err) == ERR_SYSTEM && !scratch_exists(scratch("b.raw")) &&
	       strstr(err.text, "b.raw: interrupted");
	good = good && target_open(&c, scratch("d.raw"), 1, &careful, &err) == ERR_SYSTEM && !c;
	good = good && scratch_count() == before + 1;
	target_close(a);
	target_close(b);
	unlink(kept);
	return good;
}

static void nothing_becomes_final_after_abandoning(void)
{
	CU_ASSERT(scratch_denied(NULL, 0, 0, abandoning_works));
}

void test_target(void)
{
	CU_pSuite suite = CU_add_suite("target", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_is_refused);
	CU_ADD_TEST(suite, a_new_file_is_sparse_and_comes_whole);
	CU_ADD_TEST(suite, what_is_not_finished_leaves_nothing);
	CU_ADD_TEST(suite, nothing_that_came_meanwhile_is_replaced);
	CU_ADD_TEST(suite, sizes_of_new_files);
	CU_ADD_TEST(suite, the_longest_name);
	CU_ADD_TEST(suite, a_name_without_a_folder);
	CU_ADD_TEST(suite, no_old_byte_survives_in_a_file);
	CU_ADD_TEST(suite, zeros_are_written_where_punching_fails);
	CU_ADD_TEST(suite, a_link_leads_to_its_file);
	CU_ADD_TEST(suite, a_target_is_for_one);
	CU_ADD_TEST(suite, full_file_systems);
	CU_ADD_TEST(suite, whole_files);
	CU_ADD_TEST(suite, a_link_is_replaced_and_not_followed);
	CU_ADD_TEST(suite, what_cannot_be_synced);
	CU_ADD_TEST(suite, file_systems_that_can_do_less);
	CU_ADD_TEST(suite, nothing_becomes_final_after_abandoning);
}
