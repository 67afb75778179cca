/*
 * Bits of a small archive flipped, and lengths cut: never accepted, never a crash. Each bit
 * position and each format; every bit and every length is tried where a try costs less: make
 * mutation-short. With VMABAK_LONG=1 in the environment the steps are small, and the rounds many.
 */
#include "tests/unit/sample.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sample_options kinds[] = {
	{FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 1, 2, {5 * 65536 + 700}, false},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 0, WRAP_NONE, 1, 2, {9000}, false},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 0, WRAP_NONE, 1, 2, {8704}, false},
	{FORMAT_VMA1, CLUSTER_UNPROTECTED, 0, WRAP_NONE, 1, 2, {8704}, false},
};
/* Steps that reach every bit position. */
#if defined __SANITIZE_ADDRESS__
#define BIT_STEP    2003
#define LENGTH_STEP 499
#define ROUNDS	    30
#else
#define BIT_STEP    37
#define LENGTH_STEP 23
#define ROUNDS	    300
#endif
#define N_KINDS (sizeof kinds / sizeof *kinds)
/* head and one extent header: stock VMA protects no more */
#define VMA_HEADERS (12288 + 512 + 512)

static size_t usual_or(size_t usual, size_t in_long)
{
	return getenv("VMABAK_LONG") != NULL ? in_long : usual;
}

static void test_every_bit(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct error err;
		size_t n_accepted = 0, n_unplaced = 0;
		sample_make(&sample, &kinds[kind]);
		bool stock = kinds[kind].cluster_checksum == CLUSTER_UNPROTECTED;
		size_t end = stock ? VMA_HEADERS : sample.size;
		CU_ASSERT(sample.size >= end);
		for (size_t bit = 0; bit < end * 8; bit += usual_or(BIT_STEP, 11)) {
			err = (struct error){0};
			sample.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			int code = sample_read(sample.bytes, sample.size, NULL, &err);
			sample.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			n_accepted += code == 0;
			n_unplaced += !err.has_place || err.text[0] == '\0';
		}
		CU_ASSERT_EQUAL(n_accepted, 0);
		CU_ASSERT_EQUAL(n_unplaced, 0);
		CU_ASSERT_EQUAL(sample_read(sample.bytes, sample.size, &sample, &err), 0);
		sample_free(&sample);
	}
}

static void test_every_length(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		size_t n_wrong = 0;
		sample_make(&sample, &kinds[kind]);
		for (size_t size = 0; size < sample.size; size += usual_or(LENGTH_STEP, 7)) {
			struct error err = {0};
			int code = sample_read(sample.bytes, size, NULL, &err);
			n_wrong += code != ERR_INCOMPLETE || !err.has_place || err.place != size;
		}
		CU_ASSERT_EQUAL(n_wrong, 0);
		sample_free(&sample);
	}
}

/* Zeros may follow, as in a last record; anything else may not. */
static void test_padding(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct error err = {0};
		sample_make(&sample, &kinds[kind]);
		uint8_t *padded = calloc(1, sample.size + 1000);
		memcpy(padded, sample.bytes, sample.size);
		CU_ASSERT_EQUAL(sample_read(padded, sample.size + 512, &sample, &err), 0);
		CU_ASSERT_EQUAL(sample_read(padded, sample.size + 1000, &sample, &err), 0);
		padded[sample.size + 999] = 1;
		CU_ASSERT_EQUAL(sample_read(padded, sample.size + 1000, &sample, &err),
				ERR_DAMAGED);
		free(padded);
		sample_free(&sample);
	}
}

/* Random damage of up to a hundredth of the bytes, from a fixed seed. */
static void test_random_damage(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		size_t n_accepted = 0;
		unsigned seed = 7;
		sample_make(&sample, &kinds[kind]);
		uint8_t *damaged = malloc(sample.size);
		for (size_t round = 0; round < usual_or(ROUNDS, 1000); round++) {
			struct error err = {0};
			memcpy(damaged, sample.bytes, sample.size);
			for (size_t i = 0; i < sample.size / 100 + 1; i++)
				damaged[(size_t)rand_r(&seed) % sample.size] ^=
					(uint8_t)(1 + (unsigned)rand_r(&seed) % 255);
			n_accepted += sample_read(damaged, sample.size, NULL, &err) == 0;
		}
		if (kinds[kind].cluster_checksum != CLUSTER_UNPROTECTED)
			CU_ASSERT_EQUAL(n_accepted, 0);
		free(damaged);
		sample_free(&sample);
	}
}

void test_mutation(void)
{
	CU_pSuite suite = CU_add_suite("mutation", NULL, NULL);
	CU_ADD_TEST(suite, test_every_bit);
	CU_ADD_TEST(suite, test_every_length);
	CU_ADD_TEST(suite, test_padding);
	CU_ADD_TEST(suite, test_random_damage);
}
