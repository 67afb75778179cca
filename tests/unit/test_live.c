/* The judge of the tests of live backup: it must find what is wrong, or those tests mean nothing.
 */
#include "tests/live/replay.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_DRIVES 2u
#define N_STEPS	 400u

static const struct chain_set plain = {.seed = 1,
				       .n_chains = 2,
				       .n_drives = N_DRIVES,
				       .align = 1,
				       .longest = 65536,
				       .zeroes = true,
				       .size_bytes = {1000003, 700000}};
static const struct chain_set trims = {.seed = 2,
				       .n_chains = 1,
				       .n_drives = N_DRIVES,
				       .align = 512,
				       .longest = 65536,
				       .zeroes = true,
				       .trims = true,
				       .size_bytes = {1000003, 700000}};

struct drives {
	uint8_t *bytes[N_DRIVES];
};

static struct drives drives_new(const struct chain_set *set)
{
	struct drives drives;

	for (uint32_t i = 0; i < N_DRIVES; i++) {
		drives.bytes[i] = malloc(set->size_bytes[i]);
		memset(drives.bytes[i], 0xa5, set->size_bytes[i]);
	}
	return drives;
}

static void drives_free(struct drives *drives)
{
	for (uint32_t i = 0; i < N_DRIVES; i++)
		free(drives->bytes[i]);
}

static void do_step(const struct chain_set *set, struct drives *drives, const struct step *step)
{
	uint8_t *at = drives->bytes[step->drive] + step->offset;

	if (step->kind == STEP_WRITE)
		chain_fill(set, step, at);
	else if (step->kind == STEP_ZERO || step->operation % 2) /* or a trim that does nothing */
		memset(at, 0, step->n);
}

/* Drives after the first n[chain][drive] steps that go to each drive. */
static struct drives drives_at(const struct chain_set *set, uint64_t n[][N_DRIVES])
{
	struct drives drives = drives_new(set);
	struct step step;

	for (uint32_t chain = 0; chain < set->n_chains; chain++) {
		for (uint32_t i = 0; i < N_DRIVES; i++) {
			chain_header(set, chain, i, 0, &step);
			do_step(set, &drives, &step);
		}
		for (uint64_t place = 0; place < N_STEPS; place++) {
			chain_step(set, chain, place, &step);
			if (chain_steps_of(set, step.drive, place) < n[chain][step.drive])
				do_step(set, &drives, &step);
		}
	}
	return drives;
}

/* The verdict on images by a replay that begins anew. */
static bool judge(const struct chain_set *set, const struct drives *images)
{
	struct drives initial = drives_new(set);
	struct replay *replay = replay_new(set, initial.bytes);
	uint64_t n_operations;
	char text[400];
	bool ok = replay_check(replay, (const uint8_t *const *)images->bytes, &n_operations, text,
			       sizeof text);

	replay_free(replay);
	drives_free(&initial);
	return ok;
}

static bool judge_at(const struct chain_set *set, uint64_t n[][N_DRIVES])
{
	struct drives drives = drives_at(set, n);
	bool ok = judge(set, &drives);

	drives_free(&drives);
	return ok;
}

static void every_step(const struct chain_set *set)
{
	for (uint64_t steps = 0; steps < 60; steps++) {
		uint64_t n[2][N_DRIVES];
		for (uint32_t i = 0; i < N_DRIVES; i++) {
			n[0][i] = chain_steps_of(set, i, steps);
			n[1][i] = chain_steps_of(set, i, 2 * steps + 1);
		}
		CU_ASSERT(judge_at(set, n));
	}
}

static void test_right(void)
{
	every_step(&plain);
	every_step(&trims);
}

/* Each drive is right for itself, but they are not of one instant. The 11th step of the second
 * drive is a write, not one of those that could have been done without a trace. */
static void test_not_one_instant(void)
{
	static const struct {
		uint64_t first, second;
		bool ok;
	} rows[] = {
		{20, 20, true},	 {21, 20, true},  {22, 20, true},  {22, 21, true},  {22, 22, true},
		{20, 21, false}, {20, 22, false}, {21, 21, false}, {21, 22, false}, {23, 20, false},
		{24, 20, false}, {23, 21, false}, {20, 40, false}, {40, 20, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t n[2][N_DRIVES] = {{rows[i].first, rows[i].second}, {8, 8}};
		uint64_t m[2][N_DRIVES] = {{8, 8}, {rows[i].first, rows[i].second}};
		CU_ASSERT_EQUAL(judge_at(&plain, n), rows[i].ok);
		CU_ASSERT_EQUAL(judge_at(&plain, m), rows[i].ok);
	}
}

/* Chains do not wait for each other. */
static void test_chains_apart(void)
{
	uint64_t n[2][N_DRIVES] = {{100, 100}, {3, 2}};

	CU_ASSERT(judge_at(&plain, n));
}

static void test_one_byte(void)
{
	uint64_t n[2][N_DRIVES] = {{100, 100}, {40, 40}};

	for (uint32_t drive = 0; drive < N_DRIVES; drive++) {
		struct drives drives = drives_at(&plain, n);
		for (uint64_t at = 0; at < plain.size_bytes[drive]; at += 9973) {
			drives.bytes[drive][at] ^= 1;
			CU_ASSERT_FALSE(judge(&plain, &drives));
			drives.bytes[drive][at] ^= 1;
		}
		uint64_t last = plain.size_bytes[drive] - 1;
		drives.bytes[drive][last] ^= 1;
		CU_ASSERT_FALSE(judge(&plain, &drives));
		drives.bytes[drive][last] ^= 1;
		CU_ASSERT(judge(&plain, &drives));
		drives_free(&drives);
	}
}

static bool overlap(const struct step *a, const struct step *b)
{
	return a->offset < b->offset + b->n && b->offset < a->offset + a->n;
}

/* Two neighbouring writes to one place, the other way round, and either of them left out. */
static void test_swapped(void)
{
	uint64_t n[2][N_DRIVES] = {{0, 0}, {0, 0}};
	struct step a, b;
	unsigned tried = 0;

	for (uint64_t op = 1; op < 2000 && tried < 5; op++) {
		chain_data(&plain, 0, 0, op, &a);
		chain_data(&plain, 0, 0, op + 1, &b);
		if (!overlap(&a, &b) || a.kind != STEP_WRITE || b.kind != STEP_WRITE ||
		    (a.pattern | b.pattern) == 0 || 2 * N_DRIVES * (op + 1) > N_STEPS)
			continue;
		tried++;
		n[0][0] = n[0][1] = 2 * (op + 1);
		struct drives drives = drives_at(&plain, n);
		CU_ASSERT(judge(&plain, &drives));
		do_step(&plain, &drives, &a);
		CU_ASSERT_FALSE(judge(&plain, &drives));
		do_step(&plain, &drives, &b);
		CU_ASSERT(judge(&plain, &drives));
		drives_free(&drives);
	}
	CU_ASSERT(tried > 0);
}

/* What was trimmed reads as before or as zeros, but not as anything else, and nothing else does. */
static void test_trimmed(void)
{
	uint64_t n[2][N_DRIVES] = {{0, 0}, {0, 0}};
	struct step step = {0};
	uint64_t op = 0;

	do
		chain_data(&trims, 0, 0, ++op, &step);
	while (step.kind != STEP_TRIM);
	n[0][0] = n[0][1] = 2 * op;
	struct drives drives = drives_at(&trims, n);
	uint8_t *at = drives.bytes[0] + step.offset;
	CU_ASSERT(judge(&trims, &drives));
	memset(at, 0, step.n / 2);
	CU_ASSERT(judge(&trims, &drives));
	memset(at, 0x77, 1);
	CU_ASSERT_FALSE(judge(&trims, &drives));
	memset(at, 0, step.n);
	CU_ASSERT(judge(&trims, &drives));
	memset(at + step.n, 0, 16);
	CU_ASSERT_FALSE(judge(&trims, &drives));
	drives_free(&drives);
}

/* One replay follows from instant to instant, and refuses one that is older than the last. */
static void test_follows(void)
{
	struct drives initial = drives_new(&plain);
	struct replay *replay = replay_new(&plain, initial.bytes);
	char text[400];

	for (uint64_t steps = 1; steps < 300; steps += 7) {
		uint64_t back = steps == 295 ? 8 : 0, done = 0;
		uint64_t n[2][N_DRIVES] = {{0}};
		for (uint32_t i = 0; i < N_DRIVES; i++)
			n[0][i] = n[1][i] = chain_steps_of(&plain, i, steps - back);
		struct drives now = drives_at(&plain, n);
		bool ok = replay_check(replay, (const uint8_t *const *)now.bytes, &done, text,
				       sizeof text);
		CU_ASSERT_EQUAL(ok, back == 0);
		CU_ASSERT(!ok || done == 2 * (n[0][0] / 2));
		drives_free(&now);
	}
	replay_free(replay);
	drives_free(&initial);
}

void test_live(void)
{
	CU_pSuite suite = CU_add_suite("the judge of live backups", NULL, NULL);

	CU_add_test(suite, "every step is an instant", test_right);
	CU_add_test(suite, "drives of two instants", test_not_one_instant);
	CU_add_test(suite, "chains are apart", test_chains_apart);
	CU_add_test(suite, "one byte", test_one_byte);
	CU_add_test(suite, "operations swapped", test_swapped);
	CU_add_test(suite, "trimmed", test_trimmed);
	CU_add_test(suite, "instant after instant", test_follows);
}
