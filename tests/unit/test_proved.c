/* Since when a chain is proved, by the arcs of its archives. */
#include "archive/proved.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdlib.h>

static struct error err;

static struct drive_mark arc(uint32_t eighth, uint32_t n, int64_t since_ns)
{
	return (struct drive_mark){.proof = {.verdict = PROOF_RIGHT,
					     .from = eighth << 29,
					     .n_points = (uint64_t)n << 29,
					     .since_ns = since_ns}};
}

static void test_since_when(void)
{
	struct drive_mark full = {0}, last = arc(3, 4, 30), before = arc(7, 4, 20),
			  wrong = arc(7, 8, 20), gap = arc(6, 4, 20);
	struct proved proved = {0};

	proved_add(&proved, 30, &last);
	CU_ASSERT_FALSE(proved.whole);
	proved_add(&proved, 20, &before);
	CU_ASSERT(proved.whole && proved.since_ns == 20);
	proved_add(&proved, 10, &full);
	CU_ASSERT_EQUAL(proved.since_ns, 20);
	/* An archive that was read in full, with a list or without. */
	proved = (struct proved){0};
	proved_add(&proved, 30, &last);
	proved_add(&proved, 10, &full);
	CU_ASSERT(proved.whole && proved.since_ns == 10);
	proved = (struct proved){0};
	wrong.proof.verdict = PROOF_WRONG;
	proved_add(&proved, 20, &wrong);
	CU_ASSERT(proved.whole && proved.since_ns == 20);
	/* Arcs that do not follow each other do not add up, whatever comes then. */
	proved = (struct proved){0};
	proved_add(&proved, 30, &last);
	proved_add(&proved, 20, &gap);
	CU_ASSERT_FALSE(proved.whole);
	proved_add(&proved, 10, &before);
	CU_ASSERT_FALSE(proved.whole);
	proved_add(&proved, 5, &full);
	CU_ASSERT(proved.whole && proved.since_ns == 5);
}

/* The newest archive's drive, and its parents' by these marks. */
static struct drive_mark merged(const struct drive_mark *marks, unsigned n)
{
	uint8_t records[2][80];
	struct archive *links[2] = {calloc(1, sizeof(struct archive)),
				    calloc(1, sizeof(struct archive))};
	struct proved_chain chain;
	struct drive_mark out;

	for (unsigned i = 0; i < n; i++) {
		links[i]->n_drives = 1;
		links[i]->created_ns = 1000 - i;
		links[i]->drives[0].name = (struct text){(const uint8_t *)"a", 1};
		links[i]->records =
			(struct text){records[i], (uint32_t)drive_marks_size(&marks[i], 1)};
		drive_marks_build(&marks[i], 1, records[i]);
	}
	CU_ASSERT_EQUAL_FATAL(proved_open(&chain, links[0], &err), 0);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(proved_link(&chain, links[i], &err), 0);
	proved_merge(&chain, &out);
	proved_close(&chain);
	free(links[0]);
	free(links[1]);
	return out;
}

static void test_merged(void)
{
	struct drive_mark two[2] = {arc(6, 1, 30), arc(4, 2, 20)}, out = merged(two, 2);

	CU_ASSERT(out.proof.from == UINT32_C(4) << 29 && out.proof.n_points == UINT64_C(3) << 29);
	CU_ASSERT_EQUAL(out.proof.since_ns, 20);
	/* With a full archive; the next one goes on from the same point. */
	two[1] = (struct drive_mark){.proof = {0}};
	out = merged(two, 2);
	CU_ASSERT(proof_end(&out.proof) == UINT32_C(7) << 29);
	CU_ASSERT(out.proof.n_points == PROOF_CIRCLE && out.proof.since_ns == 999);
	/* More than once round. */
	two[1] = arc(7, 8, 20);
	two[1].proof.from = UINT32_C(6) << 29;
	out = merged(two, 2);
	CU_ASSERT(proof_end(&out.proof) == UINT32_C(7) << 29);
	CU_ASSERT_EQUAL(out.proof.n_points, PROOF_CIRCLE);
	/* The newest was read in full. */
	two[0] = (struct drive_mark){.proof = {0}};
	out = merged(two, 2);
	CU_ASSERT_EQUAL(out.proof.verdict, PROOF_NONE);
}

void test_proved(void)
{
	CU_pSuite suite = CU_add_suite("proved", NULL, NULL);

	CU_add_test(suite, "since when a chain is proved", test_since_when);
	CU_add_test(suite, "merged archives", test_merged);
}
