/* Tokens and proofs in heads, and the circle that audits go round. spec/vmab.md, sections 4.2, 4.3.
 */
#include "format/drive_marks.h"
#include "format/sums.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

static struct error err;

/* Whatever the slices and whatever the parent's arc was, no group is left out once the arcs have
 * gone round; and as long as they have not, no group comes twice. */
static void test_circle(void)
{
	static uint8_t seen[100000];
	uint32_t random = 1;

	for (unsigned round = 0; round < 50; round++) {
		struct drive_proof proof = {.from = random * 2654435761u};
		uint64_t sum = 0;

		memset(seen, 0, sizeof(seen));
		while (sum < PROOF_CIRCLE) {
			random = random * 1103515245u + 12345u;
			proof = (struct drive_proof){
				.from = proof_end(&proof),
				.n_points = proof_share(round < 5 ? round + 1
								  : 1 + (random >> 16) % 40)};
			sum += proof.n_points;
			for (uint64_t g = 0; g < sizeof(seen); g++)
				seen[g] += proof_covers(proof.from, proof.n_points,
							g * PROOF_GROUP + g % PROOF_GROUP);
		}
		for (uint64_t g = 0; g < sizeof(seen); g++)
			CU_ASSERT(seen[g] >= 1 && seen[g] <= 2);
	}
	for (uint64_t g = 1; g < UINT64_C(1) << 45; g *= 3) {
		uint32_t point = PROOF_POINT(g);

		CU_ASSERT(proof_covers(point, 1, g * PROOF_GROUP));
		CU_ASSERT(proof_covers(point - 6, 7, g * PROOF_GROUP + 15));
		CU_ASSERT_FALSE(proof_covers(point - 7, 7, g * PROOF_GROUP));
		CU_ASSERT_FALSE(proof_covers(point + 1, 7, g * PROOF_GROUP));
		CU_ASSERT(proof_covers(point + 1, PROOF_CIRCLE, g * PROOF_GROUP));
		CU_ASSERT_FALSE(proof_covers(point, 0, g * PROOF_GROUP));
	}
	CU_ASSERT_EQUAL(proof_share(1), PROOF_CIRCLE);
	CU_ASSERT_EQUAL(proof_share(3) * 3, PROOF_CIRCLE + 2);
	CU_ASSERT_EQUAL(proof_share(0), 0);
}

static const struct drive_mark examples[3] = {
	{.token = {(const uint8_t *)"qcow2:monday", 12}},
	{.proof = {0}, .left_out_bytes = 65536},
	{.token = {(const uint8_t *)"x", 1},
	 .proof = {.verdict = PROOF_RIGHT,
		   .slices = 30,
		   .from = 0xfedcba98,
		   .n_points = 143165577,
		   .since_ns = -5,
		   .n_listed = UINT64_C(1) << 40,
		   .n_unchanged = 3,
		   .n_right = 2}},
};

static void test_instants(void)
{
	const struct drive_mark two = {.token = {(const uint8_t *)"rbd:1\nqcow2:a\n", 14}};

	CU_ASSERT(drive_mark_names(&two, "rbd:1"));
	CU_ASSERT(drive_mark_names(&two, "qcow2:a"));
	CU_ASSERT_FALSE(drive_mark_names(&two, "rbd:"));
	CU_ASSERT_FALSE(drive_mark_names(&two, "rbd:1\nqcow2:a"));
	CU_ASSERT_FALSE(drive_mark_names(&two, ""));
	CU_ASSERT_FALSE(drive_mark_names(&examples[1], ""));
	CU_ASSERT(drive_mark_names(&examples[0], "qcow2:monday"));
}

static bool is_example(const struct drive_mark *marks)
{
	bool same = true;

	for (unsigned i = 0; i < 3; i++)
		same = same && marks[i].token.length == examples[i].token.length &&
		       memcmp(marks[i].token.bytes != NULL ? marks[i].token.bytes
							   : (const uint8_t *)"",
			      examples[i].token.bytes != NULL ? examples[i].token.bytes
							      : (const uint8_t *)"",
			      marks[i].token.length) == 0 &&
		       marks[i].left_out_bytes == examples[i].left_out_bytes &&
		       memcmp(&marks[i].proof, &examples[i].proof, sizeof(marks[i].proof)) == 0;
	return same;
}

/* Through the head of an archive and that of its sums; configs and note stay out of the sums. */
static void test_records(void)
{
	uint64_t size = drive_marks_size(examples, 3);
	struct archive *new = calloc(1, sizeof(*new)), *read = calloc(1, sizeof(*read));
	struct archive *of_sums = calloc(1, sizeof(*of_sums));
	uint8_t *records = malloc(size), *head, *sums_head;
	struct drive_mark marks[3];

	drive_marks_build(examples, 3, records);
	memset(new->uuid, 3, UUID_SIZE);
	new->format = FORMAT_VMAB;
	new->cluster_checksum = CLUSTER_XXH3_128;
	new->n_drives = 3;
	for (unsigned i = 0; i < 3; i++)
		new->drives[i].name = (struct text){(const uint8_t *)"abc" + i, 1};
	new->records = (struct text){records, (uint32_t)size};
	CU_ASSERT_EQUAL(archive_check(new, &err), 0);
	head = calloc(1, head_size(new));
	head_build(new, head);
	CU_ASSERT_EQUAL_FATAL(head_parse(head, head_size(new), read, &err), 0);
	drive_marks_read(read, marks);
	CU_ASSERT(is_example(marks));
	sums_head = calloc(1, sums_head_size(read));
	sums_head_build(read, sums_head);
	CU_ASSERT_EQUAL_FATAL(sums_head_parse(sums_head, sums_head_size(read), of_sums, &err), 0);
	memset(marks, 0, sizeof(marks));
	drive_marks_read(of_sums, marks);
	CU_ASSERT(is_example(marks));
	free(head);
	free(sums_head);
	free(records);
	free(new);
	free(read);
	free(of_sums);
}

/* What is wrong in a record counts as not there. */
static void test_bad_records(void)
{
	static const struct {
		unsigned at; /* in the records of example 2 alone: a token of 24 bytes, a proof */
		uint8_t byte;
		bool token, proof;
	} cases[] = {
		{0, 1, true, true},   {8, 0, true, true},   {8, 1, false, true},
		{12, 1, false, true}, {16, 0, false, true}, {24, 3, true, false},
		{32, 1, true, false}, {36, 3, true, false}, {36, 0, true, false},
		{38, 1, true, false}, {52, 1, true, false}, {53, 1, true, false},
		{88, 1, true, false}, {4, 8, false, true},
	};
	struct archive *archive = calloc(1, sizeof(*archive));
	struct drive_mark marks[1];
	uint8_t records[96];

	CU_ASSERT_EQUAL_FATAL(drive_marks_size(&examples[2], 1), sizeof(records));
	archive->n_drives = 1;
	archive->records = (struct text){records, sizeof(records)};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		drive_marks_build(&examples[2], 1, records);
		records[cases[i].at] = cases[i].byte;
		drive_marks_read(archive, marks);
		CU_ASSERT_EQUAL(marks[0].token.length > 0, cases[i].token);
		CU_ASSERT_EQUAL(marks[0].proof.verdict != PROOF_NONE, cases[i].proof);
	}
	free(archive);
}

void test_drive_marks(void)
{
	CU_pSuite suite = CU_add_suite("drive_marks", NULL, NULL);

	CU_add_test(suite, "the circle", test_circle);
	CU_add_test(suite, "names of an instant", test_instants);
	CU_add_test(suite, "records come back", test_records);
	CU_add_test(suite, "bad records", test_bad_records);
}
