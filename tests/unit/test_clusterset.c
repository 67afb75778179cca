/* The set of clusters against a plain array, and what it takes of memory for runs of any length. */
#include "base/clusterset.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define N_MODEL 600000u /* clusters: three levels of nodes */

static bool *model; /* N_MODEL */
static uint64_t state;

static uint64_t random_below(uint64_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % n;
}

/* Of every length from one cluster to a good part of the drive. */
static uint64_t random_length(uint64_t room)
{
	uint64_t n = 1 + random_below(UINT64_C(1) << random_below(20));
	return n < room ? n : room;
}

static bool model_has_any(uint64_t at, uint64_t n)
{
	return memchr(model + at, true, n) != NULL;
}

static uint64_t model_run(uint64_t at)
{
	uint64_t end = at;
	while (end < N_MODEL && model[end] == model[at])
		end++;
	return end - at;
}

static void compare(const struct cluster_set *set)
{
	uint64_t at = 0, n, n_in = 0;
	bool in;
	for (; at < N_MODEL; at += n) {
		n = cluster_set_run(set, at, N_MODEL - at, &in);
		CU_ASSERT_FATAL(n == model_run(at) && in == model[at]);
		CU_ASSERT(cluster_set_has(set, at) == in && cluster_set_has(set, at + n - 1) == in);
		n_in += in ? n : 0;
	}
	CU_ASSERT_EQUAL(set->n_clusters, n_in);
}

/* Until all is in it, in pieces of any size and order, none of which may be noticed as known. */
static void fill(struct cluster_set *set)
{
	struct error err;
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t at = random_below(N_MODEL), n = random_length(N_MODEL - at);
		if (model_has_any(at, n))
			continue;
		CU_ASSERT_EQUAL_FATAL(cluster_set_add(set, at, n, &err), 1);
		memset(model + at, true, n);
	}
	compare(set);
	for (uint64_t at = 0, n; at < N_MODEL; at += n) {
		n = model_run(at);
		if (model[at])
			continue;
		CU_ASSERT_EQUAL_FATAL(cluster_set_add(set, at, n, &err), 1);
		memset(model + at, true, n);
	}
	compare(set);
}

static void test_model(void)
{
	struct cluster_set set = {0};
	model = malloc(N_MODEL);
	for (state = 1; state < 6; state++) {
		uint64_t seed = state;
		memset(model, false, N_MODEL);
		fill(&set);
		cluster_set_free(&set);
		state = seed;
	}
	free(model);
}

/* A run is noticed if any one cluster of it is there, whichever that is. */
static void test_twice(void)
{
	static const uint64_t lengths[] = {1, 2, 63, 64, 65, 4096, 5000, 262144, 300000};
	struct error err;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (unsigned j = 0; j < 50; j++) {
			uint64_t at = random_below(1000000), n = lengths[i];
			struct cluster_set set = {0};
			CU_ASSERT_EQUAL(cluster_set_add(&set, at + random_below(n), 1, &err), 1);
			CU_ASSERT_EQUAL(cluster_set_add(&set, at, n, &err), 0);
			cluster_set_free(&set);
			CU_ASSERT_EQUAL(cluster_set_add(&set, at, n, &err), 1);
			CU_ASSERT_EQUAL(cluster_set_add(&set, at + random_below(n), 1, &err), 0);
			cluster_set_free(&set);
		}
}

static void test_include(void)
{
	struct cluster_set set = {0};
	struct error err;
	uint64_t n;
	bool in;
	CU_ASSERT_EQUAL(cluster_set_include(&set, 100, 50, &err), 0);
	CU_ASSERT_EQUAL(cluster_set_include(&set, 1000000, 1, &err), 0);
	CU_ASSERT_EQUAL(cluster_set_include(&set, 120, 900000, &err), 0);
	CU_ASSERT_EQUAL(cluster_set_include(&set, 100, 900020, &err), 0);
	n = cluster_set_run(&set, 0, UINT64_MAX, &in);
	CU_ASSERT(n == 100 && !in);
	n = cluster_set_run(&set, 100, UINT64_MAX, &in);
	CU_ASSERT(n == 900020 && in);
	n = cluster_set_run(&set, 1000001, 1u << 30, &in);
	CU_ASSERT(n == 1u << 30 && !in);
	cluster_set_free(&set);
}

static size_t memory_used(void)
{
	return mallinfo2().uordblks;
}

/* A hole of 2^47 clusters costs nothing to speak of, whole or with its ends left out; and clusters
 * that come one by one cost nothing once all of a part is there. */
static void test_memory(void)
{
	uint64_t most = UINT64_C(1) << 47;
	size_t before = memory_used();
	struct cluster_set set = {0};
	struct error err;
	CU_ASSERT_EQUAL(cluster_set_add(&set, 0, most, &err), 1);
	CU_ASSERT(memory_used() - before < 65536);
	cluster_set_free(&set);
	CU_ASSERT_EQUAL(cluster_set_add(&set, 1, most - 2, &err), 1);
	CU_ASSERT(memory_used() - before < 65536);
	CU_ASSERT_FALSE(cluster_set_has(&set, 0));
	CU_ASSERT_FALSE(cluster_set_has(&set, most - 1));
	CU_ASSERT(cluster_set_has(&set, 1));
	CU_ASSERT_EQUAL(cluster_set_add(&set, 0, 1, &err), 1);
	CU_ASSERT_EQUAL(cluster_set_add(&set, most - 1, 1, &err), 1);
	CU_ASSERT_EQUAL(set.n_clusters, most);
	cluster_set_free(&set);
	for (uint64_t i = 0; i < 1000000; i++)
		CU_ASSERT_EQUAL_FATAL(cluster_set_add(&set, i, 1, &err), 1);
	CU_ASSERT(memory_used() - before < 65536);
	cluster_set_free(&set);
	CU_ASSERT(memory_used() <= before + 4096);
}

void test_clusterset(void)
{
	CU_pSuite suite = CU_add_suite("clusterset", NULL, NULL);
	CU_ADD_TEST(suite, test_model);
	CU_ADD_TEST(suite, test_twice);
	CU_ADD_TEST(suite, test_include);
	CU_ADD_TEST(suite, test_memory);
}
