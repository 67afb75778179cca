/* What the formats can carry, and text made harmless. What they refuse to read is in tests/images.
 */
#include "format/format.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

static void test_escape(void)
{
	static const struct {
		const char *bytes;
		size_t size, length;
		const char *shown;
	} cases[] = {
		{"disk0", 16, 5, "disk0"},	     {"", 16, 0, ""},
		{"a\033[2J", 16, 5, "a\\x1b[2J"},    {"back\\slash", 32, 10, "back\\x5cslash"},
		{"\xc3\xa9", 16, 2, "\\xc3\\xa9"},   {"exactlyfit", 14, 10, "exactlyfit"},
		{"onetoolong", 10, 10, "onetoo..."}, {"\001\002\003", 12, 3, "\\x01\\x02..."},
		{"nul\0nul", 16, 7, "nul\\x00nul"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[32];
		escape_text(out, cases[i].size, (const uint8_t *)cases[i].bytes, cases[i].length);
		CU_ASSERT_STRING_EQUAL(out, cases[i].shown);
	}
}

static struct text text_of(const char *bytes)
{
	return (struct text){(const uint8_t *)bytes, (uint32_t)strlen(bytes)};
}

/* One drive and one config that both formats take; the cases change one thing. */
static struct archive *describe(enum archive_format format)
{
	struct archive *archive = calloc(1, sizeof *archive);
	archive->format = format;
	archive->cluster_checksum = format == FORMAT_VMAB ? CLUSTER_XXH3_128 : CLUSTER_XXH3_64;
	memset(archive->uuid, 1, UUID_SIZE);
	archive->n_drives = 1;
	archive->drives[0] = (struct archive_drive){text_of("disk0"), 1 << 20};
	archive->n_configs = 1;
	archive->configs[0] = (struct archive_config){text_of("a.conf"), text_of("x")};
	return archive;
}

static void test_limits(void)
{
	static char big[1 << 24], long_name[257];
	memset(long_name, 'n', 256);
	const struct {
		const char *drive;
		uint64_t size_bytes;
		uint32_t config_size, n_drives, n_configs;
		uint8_t parent;
		bool vmab, vma1; /* whether it can carry that */
	} cases[] = {
		{"disk0", 1024, 1, 1, 1, 0, true, true},
		{"disk0", 1000, 1, 1, 1, 0, true, false},
		{"disk0", 0, 1, 1, 1, 0, true, false},
		{"a/b", 1024, 1, 1, 1, 0, true, false},
		{"a b", 1024, 1, 1, 1, 0, true, true},
		{"", 1024, 1, 1, 1, 0, false, false},
		{long_name, 1024, 1, 1, 1, 0, false, false},
		{long_name + 1, 1024, 1, 1, 1, 0, true, true},
		{"disk0", 1024, 1, 2, 1, 0, false, false}, /* two of one name */
		{"disk0", 1024, 1, 1, 2, 0, false, false},
		{"disk0", 1024, 65535, 1, 1, 0, true, true},
		{"disk0", 1024, 65536, 1, 1, 0, true, false},
		{"disk0", 1024, sizeof big, 1, 1, 0, false, false},
		{"disk0", (uint64_t)1 << 48, 1, 1, 1, 0, true, true},
		{"disk0", ((uint64_t)1 << 48) + 512, 1, 1, 1, 0, true, false},
		{"disk0", ((uint64_t)1 << 63) - 512, 1, 1, 1, 0, true, false},
		{"disk0", (uint64_t)1 << 63, 1, 1, 1, 0, false, false},
		{"disk0", 1024, 1, 1, 1, 1, true, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int format = FORMAT_VMAB; format <= FORMAT_VMA1; format++) {
			struct archive *archive = describe((enum archive_format)format);
			struct error err = {0};
			bool wanted = format == FORMAT_VMAB ? cases[i].vmab : cases[i].vma1;
			archive->n_drives = cases[i].n_drives;
			archive->n_configs = cases[i].n_configs;
			archive->parent[7] = cases[i].parent;
			archive->drives[0] = (struct archive_drive){text_of(cases[i].drive),
								    cases[i].size_bytes};
			archive->drives[1] = archive->drives[0];
			archive->configs[0].data =
				(struct text){(const uint8_t *)big, cases[i].config_size};
			archive->configs[1] = archive->configs[0];
			CU_ASSERT_EQUAL(archive_check(archive, &err), wanted ? 0 : ERR_USAGE);
			CU_ASSERT_EQUAL(err.text[0] == '\0', wanted);
			free(archive);
		}
	}
}

/* 254 drives fit a VMA, 255 do not. */
static void test_vma_drives(void)
{
	struct archive *archive = describe(FORMAT_VMA1);
	static char names[255][8];
	struct error err = {0};
	for (uint32_t i = 0; i < 255; i++) {
		names[i][0] = 'd';
		names[i][1] = (char)('a' + i / 16);
		names[i][2] = (char)('a' + i % 16);
		archive->drives[i] = (struct archive_drive){text_of(names[i]), 512};
	}
	archive->n_drives = 254;
	CU_ASSERT_EQUAL(archive_check(archive, &err), 0);
	archive->n_drives = 255;
	CU_ASSERT_EQUAL(archive_check(archive, &err), ERR_USAGE);
	free(archive);
}

/* What is built parses to what it was built from. */
static void test_heads(void)
{
	for (int format = FORMAT_VMAB; format <= FORMAT_VMA1; format++) {
		static const int64_t times[] = {0, 1700000000000000000, -1000000000};
		for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
			struct archive *in = describe((enum archive_format)format);
			struct archive *out = calloc(1, sizeof *out);
			struct error err = {0};
			uint32_t size = head_size(in), measured = 0;
			uint8_t *head = malloc(size);
			in->created_ns = times[i];
			if (format == FORMAT_VMAB) {
				in->note = text_of("a note");
				in->checkpoint = text_of("c1");
				size = head_size(in);
				head = realloc(head, size);
			}
			head_build(in, head);
			CU_ASSERT_EQUAL(head_measure(head, &measured, &err), 0);
			CU_ASSERT_EQUAL(measured, size);
			CU_ASSERT_EQUAL(head_parse(head, size, out, &err), 0);
			CU_ASSERT_EQUAL(out->created_ns, times[i]);
			CU_ASSERT_EQUAL(out->drives[0].size_bytes, 1 << 20);
			CU_ASSERT_EQUAL(out->note.length, in->note.length);
			CU_ASSERT_EQUAL(out->checkpoint.length, in->checkpoint.length);
			CU_ASSERT_EQUAL(out->cluster_checksum, in->cluster_checksum);
			free(head);
			free(in);
			free(out);
		}
	}
}

void test_format(void)
{
	CU_pSuite suite = CU_add_suite("format", NULL, NULL);
	CU_ADD_TEST(suite, test_escape);
	CU_ADD_TEST(suite, test_limits);
	CU_ADD_TEST(suite, test_vma_drives);
	CU_ADD_TEST(suite, test_heads);
}
