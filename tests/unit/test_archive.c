/* What the writer writes, the reader reads back; and the same drives give the same bytes. */
#include "tests/unit/sample.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#define ODD_SIZE  (64 * 1024 * 200 + 5000)
#define VMA_SIZE  (64 * 1024 * 200 + 5120)
#define TINY_SIZE 512

static const struct sample_options kinds[] = {
	{FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 2, 64, {ODD_SIZE, 1, 65536}, false},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 0, WRAP_NONE, 2, 64, {ODD_SIZE, 65537}, false},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 9, WRAP_NONE, 3, 7, {ODD_SIZE, TINY_SIZE}, true},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 1, 1, {ODD_SIZE}, true},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 1, 1, {0}, false},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 0, WRAP_NONE, 2, 64, {VMA_SIZE, TINY_SIZE, 65536}, false},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 0, WRAP_NONE, 4, 27, {VMA_SIZE}, true},
	{FORMAT_VMA1, CLUSTER_UNPROTECTED, 0, WRAP_NONE, 2, 58, {VMA_SIZE, TINY_SIZE}, false},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 1, WRAP_ZSTD, 2, 64, {VMA_SIZE, TINY_SIZE}, false},
	{FORMAT_VMA1, CLUSTER_UNPROTECTED, 1, WRAP_GZIP, 2, 27, {VMA_SIZE}, true},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 0, WRAP_NONE, 1, 1, {0}, false},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)
#define STEP	(THREADS_ONLY ? 2 : 1)

static void test_round_trip(void)
{
	for (size_t i = 0; i < N_KINDS; i += STEP) {
		struct sample sample = {0};
		struct error err = {0};
		sample_make(&sample, &kinds[i]);
		int code = sample_read(sample.bytes, sample.size, &sample, &err);
		if (code != 0)
			fprintf(stderr, "kind %zu: byte %llu: %s\n", i,
				(unsigned long long)err.place, err.text);
		CU_ASSERT_EQUAL(code, 0);
		sample_free(&sample);
	}
}

static void test_same_bytes_for_any_threads(void)
{
	for (size_t i = 0; i < N_KINDS; i += STEP) {
		struct sample_options options = kinds[i];
		struct sample one = {0}, many = {0};
		options.n_threads = 1;
		sample_make(&one, &options);
		options.n_threads = 7;
		sample_make(&many, &options);
		CU_ASSERT_EQUAL(one.size, many.size);
		CU_ASSERT(one.size == many.size && memcmp(one.bytes, many.bytes, one.size) == 0);
		sample_free(&one);
		sample_free(&many);
	}
}

/* A reader that compared nothing would pass the round trip. */
static void test_other_content_is_noticed(void)
{
	struct sample sample = {0};
	struct error err = {0};
	sample_make(&sample, &kinds[0]);
	sample.drives[0][70] ^= 1;
	CU_ASSERT_EQUAL(sample_read(sample.bytes, sample.size, &sample, &err), ERR_SYSTEM);
	sample_free(&sample);
}

void test_archive(void)
{
	CU_pSuite suite = CU_add_suite("archive", NULL, NULL);
	CU_ADD_TEST(suite, test_round_trip);
	CU_ADD_TEST(suite, test_same_bytes_for_any_threads);
	CU_ADD_TEST(suite, test_other_content_is_noticed);
}
