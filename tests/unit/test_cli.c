/* The parts that judge texts of the command line. */
#include "archive/select.h"
#include "archive/create_plan.h"
#include "base/human.h"
#include "base/name.h"
#include "base/parse.h"
#include "drive/argument.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

void test_cli(void);

#define BAD	    UINT64_MAX
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void parses_sizes(void)
{
	static const struct {
		const char *text;
		uint64_t expected;
	} cases[] = {
		{"0", 0},
		{"4096", 4096},
		{"7B", 7},
		{"1k", 1024},
		{"1K", 1024},
		{"1KiB", 1024},
		{"1KB", 1000},
		{"1kB", 1000},
		{"10M", 10485760},
		{"10MiB", 10485760},
		{"10MB", 10000000},
		{"3G", 3221225472},
		{"2T", 2199023255552},
		{"1P", 1125899906842624},
		{"16383P", UINT64_C(18445618173802708992)},
		{"16384P", BAD},
		{"18446744073709551614", UINT64_MAX - 1},
		{"18446744073709551616", BAD},
		{"99999999999999999999999", BAD},
		{"", BAD},
		{"M", BAD},
		{"-1", BAD},
		{"+1", BAD},
		{" 1", BAD},
		{"1 ", BAD},
		{"1 M", BAD},
		{"0x10", BAD},
		{"1.5M", BAD},
		{"1Mb", BAD},
		{"1Mib", BAD},
		{"1MiBs", BAD},
		{"1iB", BAD},
		{"1X", BAD},
		{"1M/s", BAD},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		uint64_t size = BAD;

		CU_ASSERT_EQUAL(parse_size(cases[i].text, &size), cases[i].expected != BAD);
		CU_ASSERT_EQUAL(size, cases[i].expected);
	}
}

static void parses_rates(void)
{
	static const struct {
		const char *text;
		uint64_t expected;
	} cases[] = {
		{"10M", 10485760},  {"10M/s", 10485760}, {"10MiB/s", 10485760},
		{"1MB/s", 1000000}, {"100/s", 100},	 {"0", 0},
		{"/s", BAD},	    {"10M/", BAD},	 {"10M/s/s", BAD},
		{"10M/sec", BAD},   {"10Mbit/s", BAD},	 {"10M/S", BAD},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		uint64_t rate = BAD;

		CU_ASSERT_EQUAL(parse_rate(cases[i].text, &rate), cases[i].expected != BAD);
		CU_ASSERT_EQUAL(rate, cases[i].expected);
	}
}

static void parses_numbers(void)
{
	uint64_t number = 77;

	CU_ASSERT(parse_number("0012", &number) && number == 12);
	CU_ASSERT(parse_number("18446744073709551615", &number) && number == UINT64_MAX);
	number = 77;
	CU_ASSERT_FALSE(parse_number("18446744073709551616", &number));
	CU_ASSERT_FALSE(parse_number("12K", &number));
	CU_ASSERT_FALSE(parse_number("", &number));
	CU_ASSERT_EQUAL(number, 77);
}

static void parses_compression(void)
{
	static const struct {
		const char *text;
		int method; /* -1: refused */
		int level;
	} cases[] = {
		{"none", COMPRESS_NONE, 0},
		{"zstd", COMPRESS_ZSTD, 0},
		{"zstd:1", COMPRESS_ZSTD, 1},
		{"zstd:19", COMPRESS_ZSTD, 19},
		{"gzip", COMPRESS_GZIP, 0},
		{"gzip:9", COMPRESS_GZIP, 9},
		{"zstd:0", -1, 0},
		{"zstd:20", -1, 0},
		{"gzip:10", -1, 0},
		{"none:1", -1, 0},
		{"zstd:", -1, 0},
		{"zstd:-1", -1, 0},
		{"zst", -1, 0},
		{"ZSTD", -1, 0},
		{"", -1, 0},
		{"zstd:4294967297", -1, 0},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct compress compress = {COMPRESS_DEFAULT, -7};

		CU_ASSERT_EQUAL(parse_compress(cases[i].text, &compress), cases[i].method >= 0);
		if (cases[i].method >= 0) {
			CU_ASSERT_EQUAL((int)compress.method, cases[i].method);
			CU_ASSERT_EQUAL(compress.level, cases[i].level);
		} else {
			CU_ASSERT_EQUAL(compress.level, -7);
		}
	}
}

static void parses_uuids(void)
{
	static const char *const bad[] = {
		"00000000-0000-0000-0000-000000000000", "0123456789abcdef0123456789abcdef",
		"01234567-89ab-cdef-0123-456789abcde",	"01234567-89ab-cdef-0123-456789abcdefa",
		"01234567-89ab-cdef-0123-456789abcdeg", "01234567089ab-cdef-0123-456789abcdef",
		"0123456--89ab-cdef-0123-456789abcdef", "",
	};
	uint8_t uuid[UUID_SIZE] = {0};
	char text[UUID_TEXT_SIZE];

	CU_ASSERT(parse_uuid("01234567-89AB-cdef-0123-456789abcdef", uuid));
	CU_ASSERT_EQUAL(uuid[0], 0x01);
	CU_ASSERT_EQUAL(uuid[4], 0x89);
	CU_ASSERT_EQUAL(uuid[15], 0xef);
	CU_ASSERT_STRING_EQUAL(format_uuid(text, uuid), "01234567-89ab-cdef-0123-456789abcdef");
	for (size_t i = 0; i < N_OF(bad); i++)
		CU_ASSERT_FALSE(parse_uuid(bad[i], uuid));
	CU_ASSERT_EQUAL(uuid[15], 0xef);
}

static void allows_harmless_names_only(void)
{
	static const char *const good[] = {"a", "_", "drive-scsi0", "9", "A.b_c+d@e%f:g-h", "a..b"};
	static const char *const bad[] = {"",	   ".",	       "..",	    ".hidden", "-o",  "a/b",
					  "a b",   "a\n",      "a\\b",	    "+a",      "@1",  "a=b",
					  "a\x7f", "\xc3\xa4", "a\xc3\xa4", "a\"b",    "a'b", "a*",
					  "~",	   "a,b",      "a;b",	    "$a"};
	uint8_t longest[NAME_MAX_LENGTH + 1];

	for (size_t i = 0; i < N_OF(good); i++)
		CU_ASSERT(name_usable((const uint8_t *)good[i], strlen(good[i])));
	for (size_t i = 0; i < N_OF(bad); i++)
		CU_ASSERT_FALSE(name_usable((const uint8_t *)bad[i], strlen(bad[i])));
	CU_ASSERT_FALSE(name_usable((const uint8_t *)"a\0b", 3));
	memset(longest, 'x', sizeof(longest));
	CU_ASSERT(name_usable(longest, NAME_MAX_LENGTH));
	CU_ASSERT_FALSE(name_usable(longest, NAME_MAX_LENGTH + 1));
}

static void takes_drive_arguments_apart(void)
{
	static const struct {
		const char *argument, *name, *path, *format, *secret;
	} cases[] = {
		{"disk.raw", NULL, "disk.raw", NULL, NULL},
		{"root=/dev/vg/root", "root", "/dev/vg/root", NULL, NULL},
		{"/dev/vg/a=b", NULL, "/dev/vg/a=b", NULL, NULL},
		{"./a=b.raw", NULL, "./a=b.raw", NULL, NULL},
		{"a=b=c", "a", "b=c", NULL, NULL},
		{"=x", NULL, "=x", NULL, NULL},
		{"disk.img,format=qcow2", NULL, "disk.img", "qcow2", NULL},
		{"d=x,format=raw", "d", "x", "raw", NULL},
		{"d=x,y,format=raw", "d", "x,y", "raw", NULL},
		{"d=x,format=", "d", "x,format=", NULL, NULL},
		{"d=x,format=RAW", "d", "x,format=RAW", NULL, NULL},
		{"d=x,format=raw,y", "d", "x,format=raw,y", NULL, NULL},
		{"d=x,format=a,format=b", "d", "x,format=a", "b", NULL},
		{"my disk.raw", NULL, "my disk.raw", NULL, NULL},
		{"d=x,secret=k", "d", "x", NULL, "k"},
		{"d=x,secret=k,format=luks", "d", "x", "luks", "k"},
		{"d=x,format=luks,secret=k/e=y", "d", "x", "luks", "k/e=y"},
		{"d=x,secret=", "d", "x,secret=", NULL, NULL},
		{"d=x,secret=a,secret=b", "d", "x,secret=a", NULL, "b"},
		{"d=x,secret=a,b", "d", "x,secret=a,b", NULL, NULL},
		{"d=x,format=raw,size=1M", "d", "x", "raw", NULL},
		{"d=x,size=1M,format=raw", "d", "x", "raw", NULL},
		{"d=x,size=1Mb", "d", "x,size=1Mb", NULL, NULL},
		{"d=x,size=1,size=2", "d", "x,size=1", NULL, NULL},
		{"-,size=1M", NULL, "-", NULL, NULL},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		struct drive_argument drive;
		struct error err = {0};

		CU_ASSERT_EQUAL_FATAL(drive_argument_parse(cases[i].argument, &drive, &err), 0);
		CU_ASSERT_STRING_EQUAL(drive.path, cases[i].path);
		CU_ASSERT_STRING_EQUAL(drive.name == NULL ? "-" : drive.name,
				       cases[i].name == NULL ? "-" : cases[i].name);
		CU_ASSERT_STRING_EQUAL(drive.suffix.format == NULL ? "-" : drive.suffix.format,
				       cases[i].format == NULL ? "-" : cases[i].format);
		CU_ASSERT_STRING_EQUAL(drive.suffix.secret == NULL ? "-" : drive.suffix.secret,
				       cases[i].secret == NULL ? "-" : cases[i].secret);
		drive_argument_free(&drive);
	}
}

static void refuses_bad_drive_arguments(void)
{
	static const char *const bad[] = {
		"", "a=", "..=x", "a b=x", ",format=raw", "a=,format=raw", "a=x,cluster_size=64k"};

	for (size_t i = 0; i < N_OF(bad); i++) {
		struct drive_argument drive;
		struct error err = {0};

		CU_ASSERT_EQUAL(drive_argument_parse(bad[i], &drive, &err), ERR_USAGE);
		CU_ASSERT_EQUAL(err.code, ERR_USAGE);
	}
}

/* Names that begin with each other, look like numbers, hold '=' or occur twice. */
static void selects_drives(void)
{
	static const char *const names[] = {"a",   "a=b",      "ab",  "@1", "two",
					    "two", "bad/name", "x=y", "x"};
	static const struct {
		const char *argument;
		int drive; /* -1: refused */
		const char *target;
	} cases[] = {
		{"a", 0, NULL},
		{"a=x", 0, "x"},
		{"a=b", 1, NULL},
		{"a=b=x", 1, "x"},
		{"a=bb", 0, "bb"},
		{"ab=a=b", 2, "a=b"},
		{"@1", 3, NULL},
		{"@1=x", 3, "x"},
		{"@2", 1, NULL},
		{"@7=/tmp/x", 6, "/tmp/x"},
		{"bad/name=x", 6, "x"},
		{"x=y=z", 7, "z"},
		{"@10", -1, NULL},
		{"@0", -1, NULL},
		{"@", -1, NULL},
		{"@2x", -1, NULL},
		{"@99999999999999999999", -1, NULL},
		{"two", -1, NULL},
		{"two=x", -1, NULL},
		{"abc", -1, NULL},
		{"", -1, NULL},
		{"=x", -1, NULL},
		{"ab=", -1, NULL},
		{"@2=", -1, NULL},
	};
	struct archive *archive = calloc(1, sizeof(*archive));

	CU_ASSERT_PTR_NOT_NULL_FATAL(archive);
	archive->n_drives = N_OF(names);
	for (size_t i = 0; i < N_OF(names); i++)
		archive->drives[i].name =
			(struct text){(const uint8_t *)names[i], (uint32_t)strlen(names[i])};
	for (size_t i = 0; i < N_OF(cases); i++) {
		const char *target = "untouched";
		uint32_t drive = 99;
		struct error err = {0};
		int result = select_drive(cases[i].argument, archive, &drive, &target, &err);

		CU_ASSERT_EQUAL(result, cases[i].drive < 0 ? ERR_USAGE : 0);
		CU_ASSERT_EQUAL(drive, cases[i].drive < 0 ? 99 : (uint32_t)cases[i].drive);
		if (cases[i].drive >= 0)
			CU_ASSERT_STRING_EQUAL(target == NULL ? "(none)" : target,
					       cases[i].target == NULL ? "(none)"
								       : cases[i].target);
	}
	free(archive);
}

struct plan_case {
	const char *name;
	bool by_name;
	unsigned format;
	const char *compress;
	uint64_t record_size;
	bool plain;
	int result;
	struct create_plan expected;
};

static const struct plan_case plan_cases[] = {
	{"a.vmab", true, 0, NULL, 0, false, 0, {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 1}},
	{"a.vmab", true, 0, "none", 0, false, 0, {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 0}},
	{"a.vmab", true, 0, "zstd:7", 512, false, 0, {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 7}},
	{"a.vmab", true, 0, "gzip", 0, false, ERR_USAGE, {0}},
	{"a.vmab", true, FORMAT_CHOICE_VMA, NULL, 0, false, ERR_USAGE, {0}},
	{"a.vmab",
	 true,
	 FORMAT_CHOICE_VMAB,
	 NULL,
	 0,
	 false,
	 0,
	 {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 1}},
	{"a.vmab", true, 0, NULL, 0, true, ERR_USAGE, {0}},
	{"d/a.vma", true, 0, NULL, 0, false, 0, {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_NONE, 0}},
	{"a.vma", true, 0, NULL, 512, true, 0, {FORMAT_VMA1, CLUSTER_UNPROTECTED, WRAP_NONE, 0}},
	{"a.vma", true, 0, "none", 0, false, 0, {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_NONE, 0}},
	{"a.vma", true, 0, "zstd", 0, false, ERR_USAGE, {0}},
	{"a.vma", true, FORMAT_CHOICE_VMAB, NULL, 0, false, ERR_USAGE, {0}},
	{"a.vma.zst", true, 0, NULL, 0, false, 0, {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_ZSTD, 1}},
	{"a.vma.zst",
	 true,
	 0,
	 "zstd:19",
	 0,
	 false,
	 0,
	 {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_ZSTD, 19}},
	{"a.vma.zst", true, 0, "none", 0, false, ERR_USAGE, {0}},
	{"a.vma.zst", true, 0, NULL, 512, false, ERR_USAGE, {0}},
	{"a.vma.gz", true, 0, NULL, 0, false, 0, {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_GZIP, 6}},
	{"a.vma.gz", true, 0, "zstd", 0, false, ERR_USAGE, {0}},
	{"a.vma.gz", true, 0, "gzip:1", 0, false, 0, {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_GZIP, 1}},
	{"a.dat", true, 0, NULL, 0, false, ERR_USAGE, {0}},
	{"vmab", true, 0, NULL, 0, false, ERR_USAGE, {0}},
	{"d/.vmab", true, 0, NULL, 0, false, ERR_USAGE, {0}},
	{"a.vmab.zst", true, 0, NULL, 0, false, ERR_USAGE, {0}},
	{"a.dat",
	 true,
	 FORMAT_CHOICE_VMA,
	 NULL,
	 0,
	 false,
	 0,
	 {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_NONE, 0}},
	{"-", false, 0, NULL, 0, false, 0, {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 1}},
	{"-",
	 false,
	 FORMAT_CHOICE_VMA,
	 NULL,
	 0,
	 false,
	 0,
	 {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_NONE, 0}},
	{"-",
	 false,
	 FORMAT_CHOICE_VMA,
	 "gzip",
	 0,
	 true,
	 0,
	 {FORMAT_VMA1, CLUSTER_UNPROTECTED, WRAP_GZIP, 6}},
	{"-",
	 false,
	 FORMAT_CHOICE_VMA,
	 "zstd",
	 0,
	 false,
	 0,
	 {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_ZSTD, 1}},
	{"-", false, 0, "lzop", 0, false, ERR_USAGE, {0}},
	{"fifo.vma", false, 0, NULL, 0, false, 0, {FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE, 1}},
};

static void plans_the_output(void)
{
	for (size_t i = 0; i < N_OF(plan_cases); i++) {
		const struct plan_case *one = &plan_cases[i];
		struct create_options options = {
			.name = one->name,
			.format = one->format,
			.compress = one->compress,
			.record_size = one->record_size,
			.no_vma_checksums = one->plain,
		};
		struct error err = {0};
		struct create_plan plan;
		int result = create_plan_format(&plan, one->by_name, &options, &err);

		CU_ASSERT_EQUAL(result, one->result);
		CU_ASSERT_EQUAL(err.code, one->result);
		if (result != 0)
			continue;
		CU_ASSERT_EQUAL(plan.format, one->expected.format);
		CU_ASSERT_EQUAL(plan.cluster_checksum, one->expected.cluster_checksum);
		CU_ASSERT_EQUAL(plan.wrap, one->expected.wrap);
		CU_ASSERT_EQUAL(plan.level, one->expected.level);
	}
}

static void tells_sizes(void)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} cases[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{102400, "100 KiB"},
		{1048575, "1.0 MiB"},
		{4294967296, "4.0 GiB"},
		{UINT64_C(70368744177664), "64.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char text[HUMAN_SIZE];

	for (size_t i = 0; i < N_OF(cases); i++)
		CU_ASSERT_STRING_EQUAL(human_size(text, cases[i].bytes), cases[i].expected);
}

static void tells_times(void)
{
	char text[HUMAN_SIZE];

	CU_ASSERT_STRING_EQUAL(human_duration(text, 0.04), "0.0 s");
	CU_ASSERT_STRING_EQUAL(human_duration(text, 9.94), "9.9 s");
	CU_ASSERT_STRING_EQUAL(human_duration(text, 42.4), "42 s");
	CU_ASSERT_STRING_EQUAL(human_duration(text, 59.6), "1:00");
	CU_ASSERT_STRING_EQUAL(human_duration(text, 3599.6), "1:00:00");
	CU_ASSERT_STRING_EQUAL(human_duration(text, -1), "0.0 s");
	CU_ASSERT_STRING_EQUAL(human_duration(text, 1e30), "999999:59:59");
	CU_ASSERT_STRING_EQUAL(human_time(text, 0), "1970-01-01T00:00:00Z");
	CU_ASSERT_STRING_EQUAL(human_time(text, 1763635391500000000), "2025-11-20T10:43:11Z");
	CU_ASSERT_STRING_EQUAL(human_time(text, -1), "1969-12-31T23:59:59Z");
	CU_ASSERT_STRING_EQUAL(human_time(text, INT64_MIN), "1677-09-21T00:12:43Z");
}

static void shows_notes(void)
{
	static const struct {
		const char *bytes, *expected;
	} cases[] = {
		{"plain, 'text'", "plain, 'text'"},
		{"h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x98\x80",
		 "h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\nb\x1b[2J\x7f", "a\\x0ab\\x1b[2J\\x7f"},
		{"a\\b", "a\\x5cb"},
		{"\xc2\x9b", "\\xc2\\x9b"},			       /* CSI as one character */
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"},		       /* right to left from here */
		{"\xff\xc3", "\\xff\\xc3"},			       /* not UTF-8, cut UTF-8 */
		{"\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"}, /* longer than need be */
		{"\xed\xa0\x80\xf4\x90\x80\x80",
		 "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"}, /* no characters */
	};
	char text[100];

	for (size_t i = 0; i < N_OF(cases); i++)
		CU_ASSERT_STRING_EQUAL(human_note(text, sizeof(text),
						  (const uint8_t *)cases[i].bytes,
						  strlen(cases[i].bytes)),
				       cases[i].expected);
	memset(text, '#', sizeof(text));
	CU_ASSERT_STRING_EQUAL(human_note(text, 12, (const uint8_t *)"0123456789abcdef", 16),
			       "01234...");
	CU_ASSERT_STRING_EQUAL(human_note(text, 12, (const uint8_t *)"01234", 5), "01234");
	CU_ASSERT_EQUAL(text[12], '#');
}

void test_cli(void)
{
	CU_pSuite suite = CU_add_suite("cli", NULL, NULL);

	CU_ADD_TEST(suite, parses_sizes);
	CU_ADD_TEST(suite, parses_rates);
	CU_ADD_TEST(suite, parses_numbers);
	CU_ADD_TEST(suite, parses_compression);
	CU_ADD_TEST(suite, parses_uuids);
	CU_ADD_TEST(suite, allows_harmless_names_only);
	CU_ADD_TEST(suite, takes_drive_arguments_apart);
	CU_ADD_TEST(suite, refuses_bad_drive_arguments);
	CU_ADD_TEST(suite, selects_drives);
	CU_ADD_TEST(suite, plans_the_output);
	CU_ADD_TEST(suite, tells_sizes);
	CU_ADD_TEST(suite, tells_times);
	CU_ADD_TEST(suite, shows_notes);
}
