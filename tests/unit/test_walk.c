/*
 * A folder of a file system that has more names than may be held.
 */
#include "device/tree.h"
#include "device/walk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#define NAMES 6u /* of each folder: the first is a folder, the others are files */

static size_t most_held; /* of one listing */

static int list(void *context, const char *path, uint64_t id, struct entries *out,
		struct error *err)
{
	struct file_entry entry;

	(void)context, (void)path, (void)id;
	for (unsigned i = 0; i < NAMES; i++) {
		entry = (struct file_entry){.kind = i == 0 ? ENTRY_FOLDER : ENTRY_FILE};
		snprintf(entry.name, sizeof(entry.name), "%u", i);
		TRY(entries_add(out, &entry, err));
		most_held = out->n > most_held ? out->n : most_held;
	}
	return 0;
}

static int look(void *context, struct file_entry *entry, char target[ENTRY_LINK_MAX],
		struct error *err)
{
	(void)context, (void)entry, (void)target, (void)err;
	return 0;
}

static int read_file(void *context, const char *path, const struct file_entry *entry,
		     const struct entry_sink *sink, struct error *err)
{
	(void)context, (void)path, (void)entry, (void)sink, (void)err;
	return 0;
}

/* Two folders with all their names, the third with the two that are left, and of the one in it
 * none. */
static void names_on_the_way_are_bounded(void)
{
	const struct entry_reader reader = {.list = list, .look = look, .read = read_file};
	struct walk_options options = {.reader = &reader, .place = "d", .most_names = 14};
	const struct file_entry from = {.kind = ENTRY_FOLDER};
	struct walk_counts counts;
	struct error err = {0};

	CU_ASSERT_EQUAL(tree_make(&options.tree, scratch("walked"), &err), 0);
	CU_ASSERT_EQUAL(walk_folder(&counts, &options, "/", &from, &err), 0);
	CU_ASSERT_EQUAL(counts.n_folders, 4);
	CU_ASSERT_EQUAL(counts.n_files, 5 + 5 + 1);
	CU_ASSERT_EQUAL(counts.n_failed, 2);
	CU_ASSERT_EQUAL(most_held, NAMES);
	tree_free(options.tree);
}

void test_walk(void)
{
	CU_pSuite suite = CU_add_suite("a folder of a file system", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, names_on_the_way_are_bounded);
}
