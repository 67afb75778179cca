/*
 * Files with one bitmap: what is written is read again, also by QEMU, and what QEMU puts in.
 */
#include "base/grain.h"
#include "drive/bitmapfile.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIB (UINT64_C(1) << 40)

static int write_set(const char *name, uint64_t size_bytes, const struct cluster_set *set)
{
	struct error err = {0};
	int fd = open(scratch(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	int code = bitmap_file_write(fd, name, size_bytes, set, &err);

	close(fd);
	return code;
}

static struct cluster_set read_set(const char *name, uint64_t size_bytes)
{
	struct cluster_set set = {0};
	struct error err = {0};

	if (bitmap_file_read(scratch(name), size_bytes, &set, &err) != 0)
		printf("  %s\n", err.text);
	CU_ASSERT_FATAL(err.code == 0);
	return set;
}

static void add(struct cluster_set *set, uint64_t cluster, uint64_t n)
{
	struct error err;

	CU_ASSERT_FATAL(cluster_set_include(set, cluster, n, &err) >= 0);
}

static bool same(const struct cluster_set *a, const struct cluster_set *b, uint64_t n_clusters)
{
	uint64_t n, m;
	bool in, also;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(a, at, n_clusters - at, &in);
		m = cluster_set_run(b, at, n_clusters - at, &also);
		if (n != m || in != also)
			return false;
	}
	return true;
}

/* QEMU's own bitmap of another file takes the bits of ours. */
static void through_qemu(uint64_t size_bytes, const struct cluster_set *set)
{
	struct cluster_set empty = {0}, found;

	if (scratch_run("qemu-img --version >/dev/null 2>&1") != 0)
		return;
	CU_ASSERT(scratch_run("cd '%s' && qemu-img check -q -f qcow2 one", scratch(".")) == 0);
	CU_ASSERT(write_set("two", size_bytes, &empty) == 0);
	CU_ASSERT(scratch_run("cd '%s' && qemu-img bitmap -f qcow2 --merge vmabak -b one -F qcow2 "
			      "two vmabak",
			      scratch(".")) == 0);
	CU_ASSERT(scratch_run("cd '%s' && qemu-img check -q -f qcow2 two", scratch(".")) == 0);
	found = read_set("two", size_bytes);
	CU_ASSERT(same(set, &found, clusters_of(size_bytes)));
	cluster_set_free(&found);
}

/* Its beginning, its end, and bits about where the parts of the bitmap meet. */
static void check_size(uint64_t size_bytes)
{
	uint64_t n = clusters_of(size_bytes), part = 65536 * 8;
	struct cluster_set set = {0}, found;

	add(&set, n - 1, 1);
	add(&set, 0, 1);
	if (n > 20)
		add(&set, 9, 6);
	if (n > part)
		add(&set, part - 1, 2);
	if (n > 5 * part)
		add(&set, 3 * part, part);
	CU_ASSERT(write_set("one", size_bytes, &set) == 0);
	found = read_set("one", size_bytes);
	CU_ASSERT(same(&set, &found, n));
	cluster_set_free(&found);
	through_qemu(size_bytes, &set);
	cluster_set_free(&set);
}

static void what_is_written_is_read(void)
{
	static const uint64_t sizes[] = {512, 65536,	     65537 / 512 * 512 + 512, 8u << 20,
					 TIB, 2 * TIB + 512, 16 * TIB - 512,	      256 * TIB};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_size(sizes[i]);
}

static void what_is_refused(void)
{
	struct cluster_set set = {0};
	struct error err = {0};

	CU_ASSERT(write_set("one", 0, &set) == ERR_UNSUPPORTED);
	CU_ASSERT(write_set("one", 256 * TIB + 512, &set) == ERR_UNSUPPORTED);
	CU_ASSERT(write_set("one", TIB, &set) == 0);
	CU_ASSERT(bitmap_file_read(scratch("one"), TIB + 512, &set, &err) == ERR_SYSTEM);
	cluster_set_free(&set);
}

void test_bitmapfile(void)
{
	CU_pSuite suite = CU_add_suite("files with a bitmap", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_is_written_is_read);
	CU_ADD_TEST(suite, what_is_refused);
}
