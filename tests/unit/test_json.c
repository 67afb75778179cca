/*
 * Documents when there is no memory: whole, or refused. The file is included with an allocator that fails.
 */
#include <CUnit/CUnit.h>
#include <stdlib.h>

void test_json(void);

static int left = -1; /* allocations that go well; below 0: all */

static void *failing_calloc(size_t n, size_t size)
{
	return left >= 0 && left-- == 0 ? NULL : calloc(n, size);
}

static void *failing_malloc(size_t size)
{
	return failing_calloc(1, size);
}

#define malloc failing_malloc
#define calloc failing_calloc
#include "base/json.c"
#undef malloc
#undef calloc

static struct json_t *make(void)
{
	struct json_t *document = json_new(), *inner = json_put_object(document, "inner"), *list;

	json_put_text(document, "text", "a text");
	json_put_bytes(document, "bytes", (struct text){(const uint8_t *)"\xff\xfe", 2});
	list = json_put_array(inner, "list");
	for (unsigned i = 0; i < 100; i++)
		json_add_number(json_add_array(list), i);
	json_put_real(json_add_object(list), "real", 0.5);
	json_put_bool(inner, "last", true);
	return document;
}

/* The n-th allocation fails, for each n. The next document is whole again. */
static void lacks_nothing_or_is_refused(void)
{
	struct json_t *document = make();
	char *whole = json_line(document);
	bool failed = true;

	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	CU_ASSERT_PTR_NOT_NULL(strstr(whole, "[99],{\"real\":0.5}],\"last\":true"));
	json_free(document);
	for (int n = 0; failed; n++) {
		left = n;
		document = make();
		char *line = json_line(document);
		failed = left < 0;
		left = -1;
		json_free(document);
		CU_ASSERT_EQUAL(line == NULL, failed);
		CU_ASSERT(line == NULL || strcmp(line, whole) == 0);
		free(line);
		document = make();
		line = json_line(document);
		CU_ASSERT(line != NULL && strcmp(line, whole) == 0);
		free(line);
		json_free(document);
	}
	free(whole);
}

/* What cannot be read for lack of memory is not said to be wrong. */
static void tells_nonsense_from_no_memory(void)
{
	static const char good[] = "{\"execute\":\"status\",\"n\":[1,2]}";
	struct json_t *document = NULL;

	CU_ASSERT_PTR_NULL(json_parse("{\"execute\":", 11));
	CU_ASSERT_EQUAL(errno, EINVAL);
	for (int n = 0; document == NULL; n++) {
		left = n;
		document = json_parse(good, sizeof(good) - 1);
		CU_ASSERT(document != NULL || errno == ENOMEM);
		left = -1;
	}
	CU_ASSERT_EQUAL(json_length(json_member(document, "n")), 2);
	json_free(document);
}

void test_json(void)
{
	CU_pSuite suite = CU_add_suite("json", NULL, NULL);

	CU_ADD_TEST(suite, lacks_nothing_or_is_refused);
	CU_ADD_TEST(suite, tells_nonsense_from_no_memory);
}
