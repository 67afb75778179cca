/* What qcow2 images tell of themselves, by one that is made by hand: with every cut, and every bit.
 */
#include "archive/changes_qcow2.h"
#include "base/bytes.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Clusters of 512 bytes. The drive has ten clusters of 64 KiB, less 100 bytes; the bitmap's grain
 * is 64 KiB, and its bits 0, 3 and 9, the last, are set. A snapshot had another cluster 4: qcow2
 * cluster 512. An L2 table is for 32 KiB. */
#define N	   512u
#define SIZE	   655260u
#define IMAGE_SIZE (12u * N)
enum { L1 = N, DIRECTORY = 2 * N, TABLE = 3 * N, BITS = 4 * N, SNAPSHOTS = 5 * N, OLD_L1 = 6 * N };
enum { L2 = 7 * N, OLD_L2 = 8 * N, DATA = 9 * N };
#define COPIED (UINT64_C(1) << 63)

static const struct field {
	unsigned at, n;
	uint64_t value;
	const char *what;
} fields[] = {
	{0, 4, 0x514649fb, "magic"},
	{4, 4, 3, "version"},
	{20, 4, 9, "cluster bits"},
	{24, 8, SIZE, "size"},
	{36, 4, 20, "L1 entries"},
	{40, 8, L1, "L1 table"},
	{60, 4, 1, "snapshots"},
	{64, 8, SNAPSHOTS, "their table"},
	{88, 8, 1, "autoclear: bitmaps"},
	{96, 4, 4, "refcount order"},
	{100, 4, 104, "header length"},
	{104, 4, 0x6803f857, "an extension that is not for us"},
	{108, 4, 5, "its length"},
	{120, 4, 0x23852875, "extension: bitmaps"},
	{124, 4, 24, "its length"},
	{128, 4, 2, "bitmaps"},
	{136, 8, 80, "size of their directory"},
	{144, 8, DIRECTORY, "their directory"},
	/* 152: the end of the extensions */
	{L1 + 8 * 8, 8, L2 | COPIED, "L1 entry 8: from byte 262144 on"},
	{L1 + 8 * 9, 8, DATA | COPIED, "L1 entry 9: the same in both"},
	{DIRECTORY, 8, TABLE, "bitmap: table"},
	{DIRECTORY + 8, 4, 1, "bitmap: entries of it"},
	{DIRECTORY + 12, 4, 2, "bitmap: flags: auto"},
	{DIRECTORY + 16, 1, 1, "bitmap: type"},
	{DIRECTORY + 17, 1, 16, "bitmap: granularity"},
	{DIRECTORY + 18, 2, 3, "bitmap: length of its name"},
	{DIRECTORY + 24, 3, 0x6f6e65, "bitmap: one"},
	{DIRECTORY + 32, 8, TABLE, "second: table"},
	{DIRECTORY + 40, 4, 1, "second: entries of it"},
	{DIRECTORY + 44, 4, 6, "second: flags: auto, extra data that may be ignored"},
	{DIRECTORY + 48, 1, 1, "second: type"},
	{DIRECTORY + 49, 1, 16, "second: granularity"},
	{DIRECTORY + 50, 2, 3, "second: length of its name"},
	{DIRECTORY + 52, 4, 8, "second: extra data"},
	{DIRECTORY + 64, 3, 0x74776f, "second: two"},
	{TABLE, 8, BITS, "the cluster of the bits"},
	{BITS, 1, 0x09, "bits 0 to 7"},
	{BITS + 1, 1, 0xfe, "bits 8 and 9; 10 to 15 are past the end"},
	{SNAPSHOTS, 8, OLD_L1, "snapshot: L1 table"},
	{SNAPSHOTS + 8, 4, 20, "snapshot: L1 entries"},
	{SNAPSHOTS + 12, 2, 1, "snapshot: length of its id"},
	{SNAPSHOTS + 14, 2, 5, "snapshot: length of its name"},
	{SNAPSHOTS + 16, 4, 1700000000, "snapshot: date"},
	{SNAPSHOTS + 20, 4, 123456000, "snapshot: and nanoseconds"},
	{SNAPSHOTS + 36, 4, 16, "snapshot: extra data"},
	{SNAPSHOTS + 48, 8, SIZE, "snapshot: size of the drive"},
	{SNAPSHOTS + 56, 1, '7', "snapshot: id"},
	{SNAPSHOTS + 57, 5, 0x6669727374, "snapshot: first"},
	{OLD_L1 + 8 * 8, 8, OLD_L2, "its L1 entry 8"},
	{OLD_L1 + 8 * 9, 8, DATA, "its L1 entry 9"},
	{L2, 8, DATA | COPIED, "L2 entry 0"},
	{L2 + 8, 8, (DATA + N) | COPIED, "L2 entry 1: only here"},
	{OLD_L2, 8, DATA, "its L2 entry 0"},
};

static uint8_t image[IMAGE_SIZE];
static const char *path;
static struct error err;

static void make_image(void)
{
	memset(image, 0, sizeof(image));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		put_be(image + fields[i].at, fields[i].n, fields[i].value);
}

static int make(void)
{
	int code = scratch_make();

	path = code == 0 ? strdup(scratch("a.qcow2")) : NULL;
	return code;
}

static int unmake(void)
{
	free((void *)(uintptr_t)path);
	return scratch_remove();
}

/* The clusters of the set as a word: bit i is cluster i. */
static unsigned word_of(const struct changes *changes)
{
	unsigned word = 0;

	for (unsigned i = 0; i < 10; i++)
		word |= (unsigned)cluster_set_has(&changes->set, i) << i;
	return word;
}

/* What the image in the file tells; -1: refused, with a reason. */
static int by_bitmap(const char *name)
{
	struct qcow2_file file;
	struct qcow2_bitmap bitmap;
	struct changes changes = {0};
	int word = -1;

	err = (struct error){0};
	if (qcow2_file_open(&file, path, &err) == 0 &&
	    qcow2_file_bitmap(&file, name, &bitmap, &err) == 1 &&
	    changes_of_bitmap(&changes, &file, &bitmap, &err) == 0)
		word = (int)word_of(&changes);
	CU_ASSERT(word < 0 || !cluster_set_has(&changes.set, 10));
	changes_free(&changes);
	qcow2_file_close(&file);
	return word;
}

static int by_snapshot(const char *name)
{
	struct qcow2_file file;
	struct qcow2_snapshot snapshot;
	struct changes changes = {0};
	int word = -1;

	err = (struct error){0};
	if (qcow2_file_open(&file, path, &err) == 0 &&
	    qcow2_file_snapshot(&file, name, &snapshot, &err) == 0 &&
	    changes_of_snapshots(&changes, &file, &snapshot, NULL, &err) == 0)
		word = (int)word_of(&changes);
	else
		CU_ASSERT(err.text[0] != '\0');
	changes_free(&changes);
	qcow2_file_close(&file);
	return word;
}

static void test_whole(void)
{
	make_image();
	scratch_write(path, image, sizeof(image));
	CU_ASSERT_EQUAL(by_bitmap("one"), 0x209);
	CU_ASSERT_EQUAL(by_bitmap("two"), 0x209);
	CU_ASSERT_EQUAL(by_bitmap("on"), -1);
	CU_ASSERT_EQUAL(by_snapshot("first"), 0x10);
	CU_ASSERT_EQUAL(by_snapshot("7"), 0x10);
	CU_ASSERT_EQUAL(by_snapshot("firs"), -1);
	CU_ASSERT_EQUAL(err.code, ERR_USAGE);
}

static void test_tokens(void)
{
	struct qcow2_file file;
	struct qcow2_snapshot snapshot;
	char *token = NULL;

	make_image();
	scratch_write(path, image, sizeof(image));
	CU_ASSERT_EQUAL_FATAL(qcow2_file_open(&file, path, &err), 0);
	CU_ASSERT_EQUAL_FATAL(qcow2_file_snapshot(&file, "first", &snapshot, &err), 0);
	CU_ASSERT_EQUAL_FATAL(snapshot_token(&file, &snapshot, &token, &err), 0);
	CU_ASSERT_NSTRING_EQUAL(token, "qcow2:snapshot/first/7/1700000000.123456000/0/inode-", 52);
	free(token);
	qcow2_file_close(&file);
}

/* Each change of the image, and what it then tells: -1: nothing. */
static const struct {
	unsigned at, n;
	uint64_t value;
	int bitmap, snapshot;
	const char *why;
} cases[] = {
	{4, 4, 4, -1, -1, "version 4"},
	{72, 8, 1, -1, -1, "not closed in order"},
	{72, 8, 2, -1, -1, "corrupt"},
	{72, 8, 4, -1, -1, "external data"},
	{72, 8, 8, 0x209, 0x10, "compression type"},
	{72, 8, 32, -1, -1, "unknown feature"},
	{88, 8, 0, -1, 0x10, "written by a program that does not know bitmaps"},
	{120, 4, 0, -1, 0x10, "no extension"},
	{124, 4, 32, -1, -1, "extension of another length"},
	{128, 4, 3, -1, 0x10, "a bitmap more than the directory has"},
	{132, 4, 1, -1, -1, "reserved"},
	{144, 8, IMAGE_SIZE, -1, -1, "directory past the end"},
	{144, 8, 0, -1, -1, "directory in the head"},
	{144, 8, DIRECTORY + 8, -1, -1, "directory not aligned"},
	{DIRECTORY + 12, 4, 3, -1, 0x10, "in use"},
	{DIRECTORY + 12, 4, 0, -1, 0x10, "disabled"},
	{DIRECTORY + 12, 4, 10, -1, 0x10, "unknown flag"},
	{DIRECTORY + 16, 1, 2, -1, 0x10, "another type"},
	{DIRECTORY + 17, 1, 17, 0xc3, 0x10, "coarser: bits 0, 3 and past the end"},
	{DIRECTORY + 17, 1, 32, -1, 0x10, "granularity too large"},
	{DIRECTORY + 17, 1, 9, 0x001, 0x10, "granularity of 512, bits 0, 3, 9 and on"},
	{DIRECTORY + 17, 1, 8, -1, 0x10, "granularity too small"},
	{DIRECTORY + 8, 4, 2, -1, 0x10, "of a larger drive"},
	{DIRECTORY, 8, IMAGE_SIZE, -1, 0x10, "table past the end"},
	{DIRECTORY + 20, 4, 8, -1, -2, "extra data"},
	{TABLE, 8, 0, 0, 0x10, "all clear"},
	{TABLE, 8, 1, 0x3ff, 0x10, "all set"},
	{TABLE, 8, BITS | 1, -1, 0x10, "reserved, with an offset"},
	{TABLE, 8, BITS | 2, -1, 0x10, "reserved"},
	{TABLE, 8, IMAGE_SIZE, -1, 0x10, "bits past the end"},
	{24, 8, SIZE + 65536 * 5000, -1, -1, "a larger drive"},
	{60, 4, 2, 0x209, -1, "a snapshot more than the table has"},
	{60, 4, 0, 0x209, -1, "no snapshots"},
	{64, 8, IMAGE_SIZE, -1, -1, "snapshots past the end"},
	{SNAPSHOTS + 36, 4, 0, 0x209, -1, "without extra data: the name is elsewhere"},
	{SNAPSHOTS + 36, 4, 2000, 0x209, -1, "too much extra data"},
	{SNAPSHOTS + 8, 4, 19, 0x209, -1, "L1 table too small"},
	{SNAPSHOTS, 8, IMAGE_SIZE, 0x209, -1, "L1 table past the end"},
	{SNAPSHOTS + 48, 8, 65536 * 9, 0x209, 0x210, "it was smaller"},
	{OLD_L1 + 64, 8, 0, 0x209, 0x10, "it had no L2 table"},
	{OLD_L1 + 64, 8, OLD_L2 | 1, 0x209, -1, "reserved bits"},
	{OLD_L1 + 64, 8, L2, 0x209, 0, "the same L2 table"},
	{OLD_L1 + 72, 8, 0, 0x209, 0x10, "no second L2 table"},
	{OLD_L1 + 8, 8, OLD_L2, 0x209, 0x11, "one that was zeroed since"},
	{L2 + 16, 8, 1, 0x209, 0x10, "zeroed since, without data"},
	{L2, 8, DATA | 1, 0x209, 0x10, "zeroed since, with its data"},
	{L2 + 8, 8, 0, 0x209, 0, "the copied flag does not count"},
};

static void test_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_image();
		put_be(image + cases[i].at, cases[i].n, cases[i].value);
		scratch_write(path, image, sizeof(image));
		int bitmap = by_bitmap("one");
		int snapshot = by_snapshot("first");
		if (bitmap != cases[i].bitmap ||
		    (snapshot != cases[i].snapshot && cases[i].snapshot != -2))
			printf("\n%s: bitmap %x, snapshot %x: %s\n", cases[i].why, (unsigned)bitmap,
			       (unsigned)snapshot, err.text);
		CU_ASSERT_EQUAL(bitmap, cases[i].bitmap);
		CU_ASSERT(snapshot == cases[i].snapshot || cases[i].snapshot == -2);
	}
}

/* Everything that the file's functions tell of any image. */
static void look_at(size_t n)
{
	scratch_write(path, image, n);
	by_bitmap("one");
	by_bitmap("two");
	by_snapshot("first");
}

static void test_cuts(void)
{
	make_image();
	for (size_t n = 0; n < sizeof(image); n++) {
		look_at(n);
		if (n < BITS + 2)
			CU_ASSERT_EQUAL(by_bitmap("one"), -1);
		if (n < OLD_L2 + N)
			CU_ASSERT_EQUAL(by_snapshot("first"), -1);
	}
}

static void flip(size_t from, size_t n)
{
	for (size_t i = from * 8; i < (from + n) * 8; i++) {
		make_image();
		image[i / 8] ^= (uint8_t)(1 << i % 8);
		look_at(sizeof(image));
	}
}

static void test_bits_flipped(void)
{
	flip(0, 168);
	flip(DIRECTORY, 80);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].at > DIRECTORY + 80)
			flip(fields[i].at, fields[i].n);
}

/* The parser alone, over memory that ends where the bytes do. */
static void test_head_cuts(void)
{
	for (size_t n = 0; n <= N; n++) {
		struct qcow2_head head;
		uint8_t *bytes = malloc(n + 1);
		make_image();
		memcpy(bytes, image, n);
		bytes = realloc(bytes, n > 0 ? n : 1);
		int code = qcow2_head_parse(bytes, n, IMAGE_SIZE, &head, &err);
		if (n < 104 || (n >= 128 && n < 152))
			CU_ASSERT(code < 0);
		if (n >= 152)
			CU_ASSERT_EQUAL(head.n_bitmaps, 2);
		free(bytes);
	}
}

static void test_runs(void)
{
	static const uint8_t bytes[] = {0xff, 0xff, 0x01, 0x00, 0x80};
	bool set;

	CU_ASSERT_EQUAL(qcow2_bits_run(bytes, 0, 40, &set), 17);
	CU_ASSERT_TRUE(set);
	CU_ASSERT_EQUAL(qcow2_bits_run(bytes, 3, 9, &set), 9);
	CU_ASSERT_EQUAL(qcow2_bits_run(bytes, 17, 23, &set), 22);
	CU_ASSERT_FALSE(set);
	CU_ASSERT_EQUAL(qcow2_bits_run(bytes, 39, 1, &set), 1);
	CU_ASSERT_TRUE(set);
}

void test_qcow2(void)
{
	CU_pSuite suite = CU_add_suite("qcow2", make, unmake);

	CU_add_test(suite, "an image made by hand", test_whole);
	CU_add_test(suite, "tokens", test_tokens);
	CU_add_test(suite, "what can be wrong with it", test_cases);
	CU_add_test(suite, "cut at every length", test_cuts);
	CU_add_test(suite, "every bit the other way", test_bits_flipped);
	CU_add_test(suite, "a head cut at every length", test_head_cuts);
	CU_add_test(suite, "runs of bits", test_runs);
}
