/*
 * Generation maps: marks against a model, and their limits.
 */
#include "cow/generation.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>

/* ---- marks ---- */

#define MODEL_CLUSTERS 7000u /* some groups, the last one not full */

/* Whether the map answers as the model, from every cluster on and for all generations. */
static bool map_is(const struct generation *map, const uint16_t *model, uint16_t current)
{
	for (uint32_t g = 0; g <= current; g++) {
		uint64_t count = 0, n;
		for (uint64_t at = 0; at < MODEL_CLUSTERS; at += n) {
			bool changed = generation_changed(map, (uint16_t)g, at, &n);
			if (n < 1 || n > MODEL_CLUSTERS - at)
				return false;
			for (uint64_t i = 0; i < n; i++)
				if ((model[at + i] > g) != changed)
					return false;
			/* A run ends where the answer changes. */
			if (at + n < MODEL_CLUSTERS && (model[at + n] > g) == changed)
				return false;
			count += changed ? n : 0;
		}
		if (generation_count(map, (uint16_t)g) != count)
			return false;
	}
	return true;
}

static void marks_against_a_model(void)
{
	uint16_t model[MODEL_CLUSTERS] = {0};
	struct generation *map;
	struct error err;

	srand(1);
	CU_ASSERT_FATAL(generation_new(&map, MODEL_CLUSTERS * 65536ull - 5, &err) == 0);
	CU_ASSERT(generation_n_clusters(map) == MODEL_CLUSTERS);
	for (uint16_t g = 1; g <= 12; g++) {
		CU_ASSERT(generation_current(map) == g);
		for (int i = 0; i < 5; i++) {
			uint64_t at = (uint64_t)rand() % MODEL_CLUSTERS, n = 1;
			n += (uint64_t)rand() % (i == 0 ? 3000 : 20);
			n = n > MODEL_CLUSTERS - at ? MODEL_CLUSTERS - at : n;
			generation_mark(map, at, n);
			for (uint64_t j = at; j < at + n; j++)
				model[j] = g;
		}
		CU_ASSERT(map_is(map, model, g));
		CU_ASSERT(generation_advance(map) == g);
	}
	generation_mark(map, 0, MODEL_CLUSTERS);
	CU_ASSERT(generation_count(map, 12) == MODEL_CLUSTERS);
	CU_ASSERT(generation_close(map, &err) == 0);
}

static void the_numbers_run_out(void)
{
	struct generation *map;
	struct error err;

	CU_ASSERT_FATAL(generation_new(&map, 300ull << 20, &err) == 0);
	uint64_t id = generation_id(map);
	generation_mark(map, 17, 3);
	for (uint32_t g = 1; g < GENERATION_MAX; g++)
		if (generation_advance(map) != g)
			CU_FAIL_FATAL("another number");
	generation_mark(map, 40, 2);
	CU_ASSERT(generation_id(map) == id);
	CU_ASSERT(generation_count(map, GENERATION_MAX - 1) == 2);
	CU_ASSERT(generation_advance(map) == 0);
	CU_ASSERT(generation_id(map) != id);
	CU_ASSERT(generation_current(map) == 1);
	CU_ASSERT(generation_count(map, 0) == 0);
	generation_mark(map, 40, 1);
	CU_ASSERT(generation_count(map, 0) == 1);
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* Little of it written: looked through in no time. */
static void a_large_drive(void)
{
	struct generation *map;
	struct error err;
	uint64_t n, at = 0, set = 0;
	double began = scratch_processor_seconds();

	CU_ASSERT_FATAL(generation_new(&map, 1ull << 44, &err) == 0);
	generation_mark(map, 5, 1);
	generation_mark(map, (1ull << 28) - 1, 1);
	CU_ASSERT(generation_count(map, 0) == 2);
	for (; at < 1ull << 28; at += n)
		set += generation_changed(map, 0, at, &n) ? n : 0;
	CU_ASSERT(at == 1ull << 28);
	CU_ASSERT(set == 2);
	CU_ASSERT(scratch_processor_seconds() - began < 1);
	CU_ASSERT(generation_close(map, &err) == 0);
}

void test_generation_marks(void)
{
	CU_pSuite suite = CU_add_suite("generation marks", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, marks_against_a_model);
	CU_ADD_TEST(suite, the_numbers_run_out);
	CU_ADD_TEST(suite, a_large_drive);
}
