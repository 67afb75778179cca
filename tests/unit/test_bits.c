/* Bit maps against a plain array, and runs against all their beginnings and ends. */
#include "base/bits.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <string.h>

#define N_BITS	200u /* the last word is not whole */
#define N_WORDS (N_BITS / 64 + 1)

static uint64_t map[N_WORDS];
static _Atomic uint64_t shared[N_WORDS];

static void clear_maps(void)
{
	memset(map, 0, sizeof(map));
	for (unsigned i = 0; i < N_WORDS; i++)
		shared[i] = 0;
}

/* Both maps are as model, and nothing behind its end is set. */
static bool both_are(const bool *model)
{
	for (unsigned i = 0; i < N_WORDS * 64; i++) {
		bool wanted = i < N_BITS && model[i];
		if (bits_test(map, i) != wanted || bits_test_atomic(shared, i) != wanted)
			return false;
	}
	return true;
}

static void each_run_is_set_alone(void)
{
	CU_ASSERT_EQUAL(bits_words(N_BITS), N_WORDS);
	for (unsigned first = 0; first < N_BITS; first++) {
		for (unsigned end = first; end <= N_BITS; end++) {
			bool model[N_BITS] = {false};
			memset(model + first, true, end - first);
			clear_maps();
			CU_ASSERT(bits_set(map, first, end) == end - first);
			CU_ASSERT(bits_set_atomic(shared, first, end) == end - first);
			CU_ASSERT_FATAL(both_are(model));
		}
	}
}

static void bits_that_were_set_do_not_count(void)
{
	clear_maps();
	for (unsigned pass = 0; pass < 2; pass++) {
		CU_ASSERT(bits_set(map, 60, 70) == (pass == 0 ? 10 : 0));
		CU_ASSERT(bits_set_atomic(shared, 60, 70) == (pass == 0 ? 10 : 0));
	}
	CU_ASSERT_EQUAL(bits_set(map, 0, 128), 118);
	CU_ASSERT_EQUAL(bits_set_atomic(shared, 0, 128), 118);
	CU_ASSERT_EQUAL(bits_set(map, 127, 129), 1);
	CU_ASSERT_EQUAL(bits_set_atomic(shared, 127, 129), 1);
}

/* Among bits that are set where model says so: from everywhere to everywhere. */
static void find_among(const bool *model)
{
	for (unsigned at = 0; at <= N_BITS; at++) {
		for (unsigned end = at; end <= N_BITS; end++) {
			for (unsigned set = 0; set < 2; set++) {
				unsigned first = at;
				while (first < end && model[first] != (set != 0))
					first++;
				CU_ASSERT_FATAL(bits_find(map, at, end, set) == first);
				CU_ASSERT_FATAL(bits_find_atomic(shared, at, end, set) == first);
			}
		}
	}
}

static void the_first_is_found(void)
{
	static const unsigned runs[][2] = {{0, 1}, {63, 64}, {64, 128}, {130, 131}, {150, 200}};
	bool model[N_BITS] = {false};

	clear_maps();
	find_among(model);
	for (unsigned i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		memset(model + runs[i][0], true, runs[i][1] - runs[i][0]);
		bits_set(map, runs[i][0], runs[i][1]);
		bits_set_atomic(shared, runs[i][0], runs[i][1]);
		find_among(model);
	}
}

void test_bits(void)
{
	CU_pSuite suite = CU_add_suite("bit maps", NULL, NULL);

	CU_ADD_TEST(suite, each_run_is_set_alone);
	CU_ADD_TEST(suite, bits_that_were_set_do_not_count);
	CU_ADD_TEST(suite, the_first_is_found);
}
