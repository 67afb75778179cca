/*
 * Names in QEMU, and paths of run directories: what is not ours must never be taken for ours, as
 * whatever is ours gets removed.
 */
#include "base/text.h"
#include "machine/qemu/names.h"
#include "machine/rundir.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suites.h"

static void own_names_are_known_again(void)
{
	char name[NODE_NAME_SIZE], id[RUN_ID_SIZE], made[RUN_ID_SIZE];
	uint64_t drive;

	run_id_make(made);
	CU_ASSERT_TRUE(node_name_parse(node_name(name, made, 4095), id, &drive));
	CU_ASSERT_STRING_EQUAL(id, made);
	CU_ASSERT_EQUAL(drive, 4095);
	CU_ASSERT_TRUE(node_name_is_of(name, made));
	CU_ASSERT_FALSE(node_name_is_of(name, "00000000"));
	CU_ASSERT_FALSE(node_file_name_parse(name, id, &drive));
	CU_ASSERT_TRUE(node_file_name_parse(node_file_name(name, made, 7), id, &drive));
	CU_ASSERT_EQUAL(drive, 7);
	CU_ASSERT_FALSE(node_name_parse(name, id, &drive));
	CU_ASSERT_TRUE(node_name_begins(name, made));
	CU_ASSERT_TRUE(node_name_begins(node_part_name(name, made, 4095, "ninechars"), made));
	CU_ASSERT_EQUAL(strlen(name), NODE_NAME_SIZE - 2);
	CU_ASSERT_FALSE(node_name_parse(name, id, &drive));
	CU_ASSERT_FALSE(node_name_begins(name, "00000000"));
	CU_ASSERT_FALSE(node_name_begins("vmabak-0123abcd", "0123abcd"));
	CU_ASSERT_FALSE(node_name_begins("vmabak-0123abcde0", "0123abcd"));
	CU_ASSERT_FALSE(node_name_begins(NULL, "0123abcd"));
}

static void other_names_are_not(void)
{
	static const char *const names[] = {
		"",
		"vmabak",
		"vmabak-0123abcd",
		"vmabak-0123abcd-",
		"vmabak-0123abc-0",
		"vmabak-0123abcde-0",
		"vmabak-0123ABCD-0",
		"vmabak-0123abcg-0",
		"vmabak-0123abcd-4096",
		"vmabak-0123abcd--1",
		"vmabak-0123abcd-0x",
		"vmabak-0123abcd-0-",
		"Vmabak-0123abcd-0",
		"xvmabak-0123abcd-0",
		"vmabak-0123abcd-18446744073709551616",
	};
	char id[RUN_ID_SIZE];
	uint64_t drive;

	CU_ASSERT_FALSE(node_name_parse(NULL, id, &drive));
	CU_ASSERT_FALSE(node_file_name_parse(NULL, id, &drive));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *file = text_make("%s-file", names[i]);

		if (node_name_parse(names[i], id, &drive))
			CU_FAIL(names[i]);
		if (node_file_name_parse(file, id, &drive))
			CU_FAIL(file);
		free(file);
	}
	CU_ASSERT_FALSE(node_file_name_parse("-file", id, &drive));
	CU_ASSERT_FALSE(node_file_name_parse("vmabak-0123abcd-0-filo", id, &drive));
}

static void paths_of_runs(void)
{
	static const struct {
		const char *path;
		bool is_ours;
	} paths[] = {
		{"/tmp/vmabak-0123abcd/nbd", true},
		{"/a/b c/vmabak-0123abcd/nbd", true},
		{"//vmabak-0123abcd/nbd", true},
		{"tmp/vmabak-0123abcd/nbd", false},
		{"/tmp/vmabak-0123abcd/nbd0", false},
		{"/tmp/vmabak-0123abcd/0", false},
		{"/tmp/xvmabak-0123abcd/nbd", false},
		{"/tmp/vmabak-0123ABCD/nbd", false},
		{"/tmp/vmabak-0123abc/nbd", false},
		{"/tmp/vmabak-0123abcd0/nbd", false},
		{"/nbd", false},
		{"", false},
	};
	char id[RUN_ID_SIZE];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (rundir_id(paths[i].path, id) != paths[i].is_ours)
			CU_FAIL(paths[i].path);
		if (rundir_fits(paths[i].path, "0123abcd") != paths[i].is_ours)
			CU_FAIL(paths[i].path);
	}
	CU_ASSERT_FALSE(rundir_fits("/tmp/vmabak-0123abcd/nbd", "0123abce"));
}

/* In a URI no character of the path may mean something else. */
static void uri_of_a_path(void)
{
	char *uri = rundir_uri("/a b/?&%#/vmabak-0123abcd/nbd", "x");

	CU_ASSERT_STRING_EQUAL(uri, "nbd+unix:///x?socket=/a%20b/%3F%26%25%23/vmabak-0123abcd/nbd");
	free(uri);
}

static void folder_and_files(void)
{
	const char *path = "/tmp/vmabak-0123abcd/nbd";
	char *folder = rundir_folder(path), *file = rundir_file(path, 12), *in = NULL;
	struct error err;
	char long_name[120];

	CU_ASSERT_STRING_EQUAL(folder, "/tmp/vmabak-0123abcd");
	CU_ASSERT_STRING_EQUAL(file, "/tmp/vmabak-0123abcd/12");
	CU_ASSERT_EQUAL(rundir_path_in(&in, "/x", "0123abcd", &err), 0);
	CU_ASSERT_STRING_EQUAL(in, "/x/vmabak-0123abcd/nbd");
	free(in);
	CU_ASSERT_EQUAL(rundir_path_in(&in, "x", "0123abcd", &err), ERR_USAGE);
	memset(long_name, '/', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	CU_ASSERT_EQUAL(rundir_path_in(&in, long_name, "0123abcd", &err), ERR_USAGE);
	free(folder);
	free(file);
}

void test_names(void)
{
	CU_pSuite suite = CU_add_suite("names in QEMU", NULL, NULL);

	CU_ADD_TEST(suite, own_names_are_known_again);
	CU_ADD_TEST(suite, other_names_are_not);
	CU_ADD_TEST(suite, paths_of_runs);
	CU_ADD_TEST(suite, uri_of_a_path);
	CU_ADD_TEST(suite, folder_and_files);
}
