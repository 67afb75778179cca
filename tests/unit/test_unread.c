/*
 * What grub-fstest lists only by name: the work must not grow with the square of a folder.
 */
#include "device/grub_unread.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suites.h"

#define MANY 20000u

static void add(struct entries *entries, const char *name)
{
	struct file_entry entry = {.kind = ENTRY_FILE};
	struct error err = {0};

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	CU_ASSERT_EQUAL_FATAL(entries_add(entries, &entry, &err), 0);
}

static void names_that_are_not_listed_are_told(void)
{
	static const char listing[] = "./ ../ a b/ two words more x/ b c\nd last \n";
	struct entries entries = {0};
	uint64_t n_looks;
	char *unread;

	add(&entries, "a");
	add(&entries, "b");
	add(&entries, "two words");
	add(&entries, "x");
	add(&entries, "c"); /* of "c\nd" */
	add(&entries, "last");
	CU_ASSERT_EQUAL_FATAL(grub_unread(listing, &entries, &unread, &n_looks), 0);
	CU_ASSERT_STRING_EQUAL(unread, "more b c d");
	free(unread);
	entries_free(&entries);

	entries = (struct entries){0};
	add(&entries, "a");
	CU_ASSERT_EQUAL_FATAL(grub_unread("./ ../ a \n", &entries, &unread, &n_looks), 0);
	CU_ASSERT_PTR_NULL(unread);
	CU_ASSERT_EQUAL_FATAL(grub_unread("", &entries, &unread, &n_looks), 0);
	CU_ASSERT_PTR_NULL(unread);
	entries_free(&entries);
}

/* Each name has a line feed, and many begin with the same word. */
static void work_is_bounded(void)
{
	char *listing = malloc(MANY * 24 + 1), *at = listing, *unread, name[24];
	struct entries entries = {0};
	uint64_t n_looks;

	CU_ASSERT_PTR_NOT_NULL_FATAL(listing);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), i % 2 == 0 ? "f%u" : "f x%u", i);
		at += sprintf(at, "%s\ny ", name);
		add(&entries, name);
	}
	CU_ASSERT_EQUAL_FATAL(grub_unread(listing, &entries, &unread, &n_looks), 0);
	CU_ASSERT_TRUE(n_looks <= 64 * MANY);
	CU_ASSERT_PTR_NOT_NULL(unread);
	free(unread);
	free(listing);
	entries_free(&entries);
}

void test_unread(void)
{
	CU_pSuite suite = CU_add_suite("unread", NULL, NULL);

	CU_add_test(suite, "names that are not listed are told",
		    names_that_are_not_listed_are_told);
	CU_add_test(suite, "the work is bounded", work_is_bounded);
}
