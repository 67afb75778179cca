/*
 * Lists of changes: what good ones of each format say, and that each cut of them is refused, or
 * says the same. Those that are refused as a whole: tests/changes.
 */
#include "archive/changes.h"
#include "archive/changes_formats.h"
#include "base/grain.h"
#include "tests/unit/suites.h"
#include "tests/unit/list_bytes.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	char *text = context;

	(void)err;
	CU_ASSERT_FATAL(strlen(text) < 900);
	sprintf(text + strlen(text), "%llu+%llu ", (unsigned long long)offset,
		(unsigned long long)length);
	return 0;
}

/* What a list says, as "OFFSET+LENGTH ..."; the code of an error. */
static int say(const char *format, uint64_t size_bytes, const char *list, size_t n, size_t step,
	       char said[1000])
{
	static uint8_t window[CHANGELIST_WINDOW];
	struct list_bytes bytes = {(const uint8_t *)list, n, step};
	struct changelist it = {.more = list_bytes_more,
				.skip = list_bytes_skip,
				.context = &bytes,
				.window = window,
				.size_bytes = size_bytes,
				.block_bytes = 65536,
				.object = 7,
				.path = "d.raw",
				.range = add,
				.range_context = said};
	struct error err = {0};
	int code;

	said[0] = '\0';
	code = changes_format_find(format)->read(&it, &err);
	CU_ASSERT(code == err.code);
	return code;
}

#define MIB (1u << 20)

/* Texts; and bytes, whose NULs count. */
#define TEXT(text) text, sizeof(text) - 1
#define ZEROS_8	   "\0\0\0\0\0\0\0\0"
#define ZEROS_64   ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8
#define ZEROS_248  ZEROS_64 ZEROS_64 ZEROS_64 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8
#define ZEROS_256  ZEROS_64 ZEROS_64 ZEROS_64 ZEROS_64
#define NUMBER(n)  n "\0\0\0\0\0\0\0"

static const struct {
	const char *format;
	uint64_t size_bytes;
	const char *list;
	size_t n;
	const char *said;
} samples[] = {
	{"own", MIB, TEXT("# vmabak changes 1\n# size 1048576\n0x1000 5\n7 1\n# end 2\n"),
	 "4096+5 7+1 "},
	{"nbdinfo", MIB,
	 TEXT("[{\"offset\":0,\"length\":65536,\"type\":1,\"description\":\"dirty\"},\n"
	      "{\"offset\":65536,\"length\":983040,\"type\":0,\"description\":\"clean\"}]\n"),
	 "0+65536 "},
	{"nbdinfo-text", MIB, TEXT("   0  983040 0 clean\n 983040 65536  1 dirty\n"),
	 "983040+65536 "},
	{"depth", MIB,
	 TEXT("[{\"offset\":0,\"length\":65536,\"type\":1,\"description\":\"local\"},"
	      "{\"offset\":65536,\"length\":983040,\"type\":2,\"description\":\"backing depth "
	      "2\"}]"),
	 "0+65536 "},
	{"overlay", MIB,
	 TEXT("[{\"start\":0,\"length\":65536,\"depth\":0,\"present\":true,\"zero\":true},"
	      "{\"start\":65536,\"length\":983040,\"depth\":1,\"present\":true,\"zero\":false}]"),
	 "0+65536 "},
	{"thin", MIB,
	 TEXT("<superblock data_block_size=\"128\"><diff left=\"1\" right=\"2\"><same begin=\"0\" "
	      "length=\"1\"/><different begin=\"1\" length=\"2\"/><left_only begin='5' "
	      "length='1'/></diff></superblock>"),
	 "65536+131072 327680+65536 "},
	{"era", MIB,
	 TEXT("<blocks><block block=\"0\"/><range begin=\"2\" end = \"4\"/></blocks>\n"),
	 "0+65536 131072+131072 "},
	{"rbd-json", MIB,
	 TEXT("[{\"offset\":0,\"length\":512,\"exists\":\"true\"},"
	      "{\"offset\":4096,\"length\":512,\"exists\":\"false\"}]"),
	 "0+512 4096+512 "},
	{"rbd-diff", MIB,
	 TEXT("rbd diff v1\nf\1\0\0\0as\0\0\20\0\0\0\0\0w" NUMBER("\1")
		      NUMBER("\3") "xyz"
				   "z" NUMBER("\7") NUMBER("\2") "e"),
	 "1+3 7+2 "},
	{"rbd-diff", MIB,
	 TEXT("rbd diff v2\nf" NUMBER("\5") "\1\0\0\0as" NUMBER("\10") "\0\0\20\0\0\0\0\0w" NUMBER(
		 "\23") NUMBER("\1") NUMBER("\3") "xyzz" NUMBER("\20") NUMBER("\7")
		      NUMBER("\2") "e"),
	 "1+3 7+2 "},
	{"zfs", MIB,
	 TEXT(ZEROS_8 "\xac\xcb\xba\xf5\2\0\0\0" NUMBER("\1") ZEROS_8
	      "\2\0\0\0\0\0\0\0" NUMBER("\5") NUMBER("\4") ZEROS_256 "\3\0\0\0\0\0\0\0" NUMBER("\7")
		      ZEROS_8 NUMBER("\1") NUMBER("\5") ZEROS_8 ZEROS_8 ZEROS_256
	      "DATA!"
	      "\5\0\0\0\0\0\0\0" ZEROS_248 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8),
	 "1+5 "},
	{"dm-snapshot", MIB,
	 TEXT("SnAp\1\0\0\0\1\0\0\0\1\0\0\0" ZEROS_248 ZEROS_248 NUMBER("\3") NUMBER("\2")
		      ZEROS_248 ZEROS_248),
	 "1536+512 "},
	{"xen", MIB, TEXT("gAE=\n"), "0+65536 983040+65536 "},
	{"bitmap-lsb", MIB, TEXT("\1\200"), "0+65536 983040+65536 "},
	{"bitmap-msb", MIB, TEXT("\200\1"), "0+65536 983040+65536 "},
	{"vmware", MIB,
	 TEXT("{\"startOffset\":0,\"length\":4096,\"changedArea\":[{\"start\":5,\"length\":1}]}\n"
	      "{\"startOffset\":4096,\"length\":1044480,\"changedArea\":[{\"start\":4096,"
	      "\"length\":7}]}\n"),
	 "5+1 4096+7 "},
	{"csi", MIB,
	 TEXT("[{\"volume_capacity_bytes\":1048576,\"block_metadata\":[{\"size_bytes\":1}]},"
	      "{\"volume_capacity_bytes\":1048576,\"block_metadata\":[{\"byte_offset\":9,\"size_"
	      "bytes\":1}]}]"),
	 "0+1 9+1 "},
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* However few bytes come at once. */
static void good_lists(void)
{
	char said[1000];

	for (size_t i = 0; i < N_SAMPLES; i++)
		for (size_t step = 1; step < 1000; step = 3 * step + 4) {
			CU_ASSERT_EQUAL(say(samples[i].format, samples[i].size_bytes,
					    samples[i].list, samples[i].n, step, said),
					0);
			CU_ASSERT_STRING_EQUAL(said, samples[i].said);
		}
}

static void every_cut(void)
{
	char said[1000];

	for (size_t i = 0; i < N_SAMPLES; i++)
		for (size_t n = 0; n < samples[i].n; n++)
			if (say(samples[i].format, samples[i].size_bytes, samples[i].list, n, 4096,
				said) == 0) {
				CU_ASSERT_STRING_EQUAL(said, samples[i].said);
				/* Nothing but its last line feed may be missing. */
				CU_ASSERT(n == samples[i].n - 1 && samples[i].list[n] == '\n');
			}
}

/* These two have no end: what a cut leaves of the first is taken as changed, and a line of the
 * second must be whole. */
static void lists_without_an_end(void)
{
	static const char map[] = "0 ?\n0 1024 ?\n1024 1024 +\n2048 2048 ?\n";
	static const char dump[] = "snapshot ./s uuid=a transid=2 parent_uuid=b parent_transid=1\n"
				   "write ./s/d.raw offset=0 len=512\n"
				   "write ./s/d.raw offset=4096 len=512\n";
	char said[1000];

	CU_ASSERT_EQUAL(say("ddrescue", 4096, map, sizeof(map) - 1, 9, said), 0);
	CU_ASSERT_STRING_EQUAL(said, "1024+1024 ");
	for (size_t n = 0; n < sizeof(map) - 1; n++)
		if (say("ddrescue", 4096, map, n, 9, said) == 0)
			CU_ASSERT(strstr(said, "1024+1024 ") != NULL ||
				  strstr(said, "1024+3072 ") != NULL ||
				  strstr(said, "0+4096 ") != NULL);
	CU_ASSERT_EQUAL(say("btrfs", MIB, dump, sizeof(dump) - 1, 9, said), 0);
	CU_ASSERT_STRING_EQUAL(said, "0+512 4096+512 ");
	for (size_t n = 0; n < sizeof(dump) - 1; n++)
		if (say("btrfs", MIB, dump, n, 9, said) == 0)
			CU_ASSERT_EQUAL(dump[n - 1], '\n');
}

/* ---- the set ---- */

static void clusters_of_ranges(void)
{
	struct changes changes = {0};
	struct error err;

	CU_ASSERT_EQUAL(changes_add(&changes, 65535, 2, &err), 0);
	CU_ASSERT_EQUAL(changes.n_clusters, 2);
	CU_ASSERT_EQUAL(changes_add(&changes, 0, 10 * CLUSTER_SIZE, &err), 0);
	CU_ASSERT_EQUAL(changes_add(&changes, 5 * CLUSTER_SIZE, 1, &err), 0);
	CU_ASSERT_EQUAL(changes.n_clusters, 10);
	CU_ASSERT(cluster_set_has(&changes.set, 9) && !cluster_set_has(&changes.set, 10));
	changes_free(&changes);
	CU_ASSERT_EQUAL(changes.n_clusters, 0);
}

static void another_size(void)
{
	static const struct {
		uint64_t before, now, n_clusters, first;
	} sizes[] = {
		{CLUSTER_SIZE, CLUSTER_SIZE, 0, 0},
		{CLUSTER_SIZE, CLUSTER_SIZE + 1, 1, 1},
		{CLUSTER_SIZE + 1, CLUSTER_SIZE + 2, 1, 1},
		{0, 3 * CLUSTER_SIZE, 3, 0},
		{CLUSTER_SIZE + 1, CLUSTER_SIZE, 0, 0},
		{9 * CLUSTER_SIZE, CLUSTER_SIZE + 1, 1, 1},
		{9 * CLUSTER_SIZE, 0, 0, 0},
	};
	struct error err;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct changes changes = {0};

		CU_ASSERT_EQUAL(changes_resized(&changes, sizes[i].before, sizes[i].now, &err), 0);
		CU_ASSERT_EQUAL(changes.n_clusters, sizes[i].n_clusters);
		CU_ASSERT_EQUAL(cluster_set_has(&changes.set, sizes[i].first),
				sizes[i].n_clusters > 0);
		changes_free(&changes);
	}
}

void test_changelist(void)
{
	CU_pSuite suite = CU_add_suite("changelist", NULL, NULL);

	CU_ADD_TEST(suite, good_lists);
	CU_ADD_TEST(suite, every_cut);
	CU_ADD_TEST(suite, lists_without_an_end);
	CU_ADD_TEST(suite, clusters_of_ranges);
	CU_ADD_TEST(suite, another_size);
}
