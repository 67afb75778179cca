/* Proofs of change lists: what is read, what finds a lie, and that the audit leaves nothing out. */
#include "archive/changes.h"
#include "archive/proof.h"
#include "base/bytes.h"
#include "tests/unit/fake_drive.h"
#include "tests/unit/suites.h"
#include "writer/writer.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

#define N_CLUSTERS 2048u

static struct archive *archive;
static struct fake_drive fake;
static uint8_t (*then)[CHECKSUM_SIZE]; /* the parent's sums; zeros: a cluster of zeros */
static struct changes changes;
static struct drive_mark parent_mark;
static struct error err;

/* In runs, as long as they are alike. */
static int get_sum(void *context, void *state, uint32_t drive, uint64_t cluster,
		   const uint8_t **sum, uint64_t *n, struct error *unused)
{
	(void)context, (void)state, (void)drive, (void)unused;
	*sum = then[cluster];
	for (*n = 1; cluster + *n < N_CLUSTERS && *n < 100 && all_zero(*sum, CHECKSUM_SIZE) &&
		     all_zero(then[cluster + *n], CHECKSUM_SIZE);)
		++*n;
	return 0;
}

static const struct parent_sums sums = {.state_size = 1, .get = get_sum};

static void set_sum(uint64_t cluster)
{
	const uint8_t *bytes = fake.bytes + cluster * CLUSTER_SIZE;

	memset(then[cluster], 0, CHECKSUM_SIZE);
	if (!all_zero(bytes, CLUSTER_SIZE))
		checksum_cluster(CLUSTER_XXH3_128, bytes, then[cluster]);
}

static void put_byte(uint64_t cluster, uint8_t byte)
{
	fake_fill(&fake, cluster * CLUSTER_SIZE + 100, 1, &byte);
}

/* A drive of data, as the parent has it; nothing is listed. */
static int make(void)
{
	archive = calloc(1, sizeof(*archive));
	then = calloc(N_CLUSTERS, sizeof(*then));
	fake_make(&fake, (uint64_t)N_CLUSTERS * CLUSTER_SIZE);
	memset(fake.holes, 0, N_CLUSTERS * CLUSTER_BLOCKS * sizeof(*fake.holes));
	fake.counting = true;
	archive->n_drives = 1;
	archive->created_ns = 1700000000000000000;
	archive->drives[0].name = (struct text){(const uint8_t *)"root", 4};
	archive->drives[0].size_bytes = fake.drive.size_bytes;
	memset(archive->uuid, 1, UUID_SIZE);
	for (uint64_t i = 0; i < N_CLUSTERS; i++) {
		put_byte(i, 1);
		set_sum(i);
	}
	return 0;
}

static int unmake(void)
{
	fake_free(&fake);
	free(then);
	free(archive);
	return 0;
}

static void reset(void)
{
	cluster_set_free(&changes.set);
	memset(&parent_mark, 0, sizeof(parent_mark));
	memset(fake.n_reads, 0, N_CLUSTERS * sizeof(*fake.n_reads));
	err = (struct error){0};
}

static struct proof_job job_of(void)
{
	return (struct proof_job){.archive = archive,
				  .source = &fake.drive,
				  .changes = &changes,
				  .sums = &sums,
				  .parent_bytes = fake.drive.size_bytes,
				  .parent_mark = &parent_mark};
}

static struct drive_proof prove(uint32_t slices)
{
	struct proof_options options = {.slices = slices, .n_threads = 1};
	struct drive_proof proof = {0};
	struct proof_job job = job_of();

	CU_ASSERT_EQUAL_FATAL(proof_run(&job, &options, &proof, NULL, &err), 0);
	return proof;
}

static uint64_t count_reads(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < N_CLUSTERS; i++) {
		CU_ASSERT(fake.n_reads[i] <= 1);
		n += fake.n_reads[i];
	}
	return n;
}

static void list(uint64_t cluster, uint64_t n)
{
	CU_ASSERT_FATAL(cluster_set_include(&changes.set, cluster, n, &err) >= 0);
}

static void test_nothing_changed(void)
{
	struct drive_proof proof;

	reset();
	proof = prove(0);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(proof.n_listed, 0);
	CU_ASSERT_EQUAL(proof.n_unchanged, N_CLUSTERS);
	CU_ASSERT_EQUAL(proof.n_right, PROOF_PICKS);
	CU_ASSERT_EQUAL(count_reads(), PROOF_PICKS);
	reset();
	proof = prove(8);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(proof.n_right, count_reads());
	/* The points of groups in a row are spread evenly. */
	CU_ASSERT(proof.n_right >= PROOF_PICKS + N_CLUSTERS / 8 - 2 * PROOF_GROUP);
	CU_ASSERT(proof.n_right <= PROOF_PICKS + N_CLUSTERS / 8 + 2 * PROOF_GROUP);
	/* All is read once, and no more than that. */
	reset();
	proof = prove(1);
	CU_ASSERT_EQUAL(proof.n_right, N_CLUSTERS);
	CU_ASSERT_EQUAL(count_reads(), N_CLUSTERS);
}

static void test_listed(void)
{
	struct drive_proof proof;

	/* What is listed is not read here, whatever it holds. */
	reset();
	put_byte(500, 2);
	list(500, 3);
	proof = prove(1);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(proof.n_listed, 3);
	CU_ASSERT_EQUAL(proof.n_unchanged, N_CLUSTERS - 3);
	CU_ASSERT_EQUAL(proof.n_right, N_CLUSTERS - 3);
	CU_ASSERT_EQUAL(count_reads(), N_CLUSTERS - 3);
	put_byte(500, 1);
}

static void test_other_choices(void)
{
	static uint32_t first[N_CLUSTERS];
	uint64_t n_same = 0;

	reset();
	prove(0);
	memcpy(first, fake.n_reads, sizeof(first));
	reset();
	prove(0);
	CU_ASSERT_EQUAL(memcmp(first, fake.n_reads, sizeof(first)), 0);
	reset();
	archive->uuid[3] = 9;
	prove(0);
	for (uint32_t i = 0; i < N_CLUSTERS; i++)
		n_same += first[i] != 0 && fake.n_reads[i] != 0;
	CU_ASSERT(n_same < PROOF_PICKS / 2);
	CU_ASSERT_EQUAL(count_reads(), PROOF_PICKS);
	/* From all over the drive. */
	for (uint32_t i = 0, n = 0; i < N_CLUSTERS; i++) {
		n += fake.n_reads[i];
		if (i % (N_CLUSTERS / 4) == N_CLUSTERS / 4 - 1) {
			CU_ASSERT(n > PROOF_PICKS / 8);
			n = 0;
		}
	}
}

/* One cluster beside each listed run is written, too: as when the list is one too short. */
static void test_neighbours(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct drive_proof proof;
		uint64_t wrong = side == 0 ? 999 : 1003;

		reset();
		list(1000, 3);
		put_byte(wrong, 2);
		proof = prove(0);
		CU_ASSERT_EQUAL(proof.verdict, PROOF_WRONG);
		CU_ASSERT_EQUAL(proof.n_wrong, 1);
		CU_ASSERT_EQUAL(proof.n_points, PROOF_CIRCLE);
		CU_ASSERT_EQUAL(fake.n_reads[wrong], 1);
		CU_ASSERT(count_reads() <= 2); /* the cheap rules come first */
		put_byte(wrong, 1);
	}
}

static bool finds_hole_lie(uint64_t cluster)
{
	struct drive_proof proof = prove(0);

	CU_ASSERT_EQUAL(fake.n_reads[cluster] > 0, proof.verdict == PROOF_WRONG);
	return proof.verdict == PROOF_WRONG && count_reads() <= 16;
}

/* Storage and parent disagree about zeros: each such cluster is looked at, and before all else. */
static void test_holes(void)
{
	uint8_t *zeros = calloc(1, CLUSTER_SIZE);
	struct drive_proof proof;

	/* A hole now, data then. */
	reset();
	memset(fake.bytes + 777 * CLUSTER_SIZE, 0, CLUSTER_SIZE);
	memset(fake.holes + 777 * CLUSTER_BLOCKS, 1, CLUSTER_BLOCKS * sizeof(*fake.holes));
	CU_ASSERT(finds_hole_lie(777));
	/* A hole now, zeros then: nothing to read. */
	set_sum(777);
	reset();
	proof = prove(1);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(fake.n_reads[777], 0);
	CU_ASSERT_EQUAL(proof.n_right, N_CLUSTERS - 1);
	/* Zeros that take space now: read once, and right. */
	fake_fill(&fake, 777 * CLUSTER_SIZE, CLUSTER_SIZE, zeros);
	reset();
	proof = prove(0);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(fake.n_reads[777], 1);
	CU_ASSERT_EQUAL(proof.n_right, PROOF_PICKS + 1);
	/* Data now, zeros then. */
	put_byte(777, 1);
	reset();
	CU_ASSERT(finds_hole_lie(777));
	/* A hole in a part of it. */
	memset(fake.holes + 777 * CLUSTER_BLOCKS + 3, 1, 13 * sizeof(*fake.holes));
	reset();
	CU_ASSERT(finds_hole_lie(777));
	/* Or at its beginning, and before it. */
	memset(fake.bytes + 776 * CLUSTER_SIZE, 0, 2 * CLUSTER_SIZE);
	memset(fake.holes + 776 * CLUSTER_BLOCKS, 1, 20 * sizeof(*fake.holes));
	memset(fake.holes + 776 * CLUSTER_BLOCKS + 20, 0, 12 * sizeof(*fake.holes));
	set_sum(776);
	set_sum(777);
	fake.bytes[778 * CLUSTER_SIZE - 1] = 1;
	reset();
	CU_ASSERT(finds_hole_lie(777));
	CU_ASSERT_EQUAL(fake.n_reads[776], 0);
	memset(fake.holes + 776 * CLUSTER_BLOCKS, 0, 32 * sizeof(*fake.holes));
	for (uint64_t i = 776; i < 778; i++) {
		put_byte(i, 1);
		set_sum(i);
	}
	free(zeros);
}

/* Storage that knows no holes: not all that the parent calls zeros is read, but what is due is. */
static void test_storage_without_holes(void)
{
	struct drive_proof proof;

	for (uint64_t i = 0; i < 1500; i++) {
		put_byte(i, 0);
		set_sum(i);
	}
	reset();
	proof = prove(0);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_RIGHT);
	CU_ASSERT_EQUAL(proof.n_right, 2 * PROOF_PICKS);
	reset();
	proof = prove(1);
	CU_ASSERT_EQUAL(proof.n_right, N_CLUSTERS);
	CU_ASSERT_EQUAL(count_reads(), N_CLUSTERS);
	for (uint64_t i = 0; i < 1500; i++) {
		put_byte(i, 1);
		set_sum(i);
	}
}

static void test_shape(void)
{
	struct proof_options options = {.n_threads = 1};
	struct drive_proof proof;
	struct proof_job job = job_of();

	/* The parent's drive ended in cluster 600. */
	reset();
	job.parent_bytes = 600 * CLUSTER_SIZE + 1;
	CU_ASSERT_EQUAL(proof_run(&job, &options, &proof, NULL, &err), 0);
	CU_ASSERT_EQUAL(proof.n_listed, N_CLUSTERS - 600);
	CU_ASSERT_EQUAL(proof.n_unchanged, 600);
	CU_ASSERT_FALSE(cluster_set_has(&changes.set, 599));
	for (uint64_t i = 600; i < N_CLUSTERS; i++)
		CU_ASSERT(cluster_set_has(&changes.set, i) && fake.n_reads[i] == 0);
	/* It was larger: the cluster with the end may have lost something. */
	reset();
	fake.drive.size_bytes -= 1;
	archive->drives[0].size_bytes -= 1;
	job.parent_bytes = fake.drive.size_bytes + 1;
	CU_ASSERT_EQUAL(proof_run(&job, &options, &proof, NULL, &err), 0);
	CU_ASSERT_EQUAL(proof.n_listed, 1);
	CU_ASSERT(cluster_set_has(&changes.set, N_CLUSTERS - 1));
	fake.drive.size_bytes += 1;
	archive->drives[0].size_bytes += 1;
}

static struct {
	uint64_t n_announced, most; /* clusters that are not read yet, now and at most */
} ahead;

static void note_announced(struct drive *drive, uint64_t offset, uint64_t n, bool *cold)
{
	(void)drive, (void)offset, (void)cold;
	ahead.n_announced += n / CLUSTER_SIZE;
	if (ahead.most < ahead.n_announced)
		ahead.most = ahead.n_announced;
}

static void note_read(struct fake_drive *of, uint64_t offset, uint64_t n)
{
	(void)of, (void)offset;
	CU_ASSERT(ahead.n_announced >= n / CLUSTER_SIZE);
	ahead.n_announced -= n / CLUSTER_SIZE;
}

/* Single clusters are announced many at a time, so that a disk need not wait for each. */
static void test_announced(void)
{
	const struct drive_ops *ops = fake.drive.ops;
	struct drive_ops noting = *ops;

	reset();
	noting.expect = note_announced;
	fake.drive.ops = &noting;
	fake.before_read = note_read;
	ahead.n_announced = ahead.most = 0;
	CU_ASSERT_EQUAL(prove(0).n_right, PROOF_PICKS);
	CU_ASSERT_EQUAL(ahead.n_announced, 0);
	CU_ASSERT_EQUAL(ahead.most, 16);
	fake.drive.ops = ops;
	fake.before_read = NULL;
}

static void test_faults(void)
{
	struct proof_options options = {.slices = 1, .n_threads = 1, .strict = true};
	struct drive_proof proof = {0};
	struct proof_job job = job_of();

	reset();
	fake.fail_cluster = 1234;
	CU_ASSERT_EQUAL(proof_run(&job, &options, &proof, NULL, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(proof.verdict, PROOF_NONE);
	fake.fail_cluster = UINT64_MAX;
	reset();
	put_byte(1234, 7);
	CU_ASSERT_EQUAL(proof_run(&job, &options, &proof, NULL, &err), ERR_DAMAGED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "byte 80871424 is not in it"));
	put_byte(1234, 1);
}

/* ---- the audit ---- */

/* One cluster that no list ever names, changed after any of k increments: it is found within the
 * next k, always. The samples alone would have to be lucky 50 times. */
static void test_lies_live_k_increments(void)
{
	const uint32_t k = 5;

	for (uint32_t start = 0; start < k; start++) {
		for (uint64_t lie = 3; lie < N_CLUSTERS; lie += 211) {
			uint32_t n = 0;
			bool found = false;

			reset();
			for (; n < start; n++)
				parent_mark.proof = prove(k);
			put_byte(lie, 3);
			for (n = 0; n < k && !found; n++) {
				archive->uuid[5]++;
				memset(fake.n_reads, 0, N_CLUSTERS * sizeof(*fake.n_reads));
				parent_mark.proof = prove(k);
				found = parent_mark.proof.verdict == PROOF_WRONG;
			}
			CU_ASSERT(found);
			put_byte(lie, 1);
		}
	}
}

static void test_lineage(void)
{
	static const struct {
		const char *since, *token;
		bool unchecked;
		const char *says;
	} cases[] = {
		{"a:1", "a:1", false, NULL},
		{"a:1", "a:1", true, NULL},
		{"a:1", "a:2", false, "is since 'a:1', but the parent shows 'a:2'"},
		{"a:1", "a:2", true, "is since 'a:1', but the parent shows 'a:2'"},
		{"a:1", "a:12", false, "is since 'a:1', but the parent shows 'a:12'"},
		{"a:1", NULL, false, "the parent has no token"},
		{"a:1", NULL, true, NULL},
		{NULL, "a:1", false, "does not say since when"},
		{NULL, "a:1", true, NULL},
		{NULL, NULL, false, "does not say since when"},
		{NULL, NULL, true, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct proof_options options = {.since_unchecked = cases[i].unchecked};
		struct proof_job job = job_of();
		int code;

		reset();
		changes.since = (char *)cases[i].since;
		if (cases[i].token != NULL)
			parent_mark.token = (struct text){(const uint8_t *)cases[i].token,
							  (uint32_t)strlen(cases[i].token)};
		code = proof_check_since(&job, &options, &err);
		CU_ASSERT_EQUAL(code, cases[i].says == NULL ? 0 : ERR_USAGE);
		if (cases[i].says != NULL)
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].says));
		changes.since = NULL;
	}
}

void test_proof(void)
{
	CU_pSuite suite = CU_add_suite("proof", make, unmake);

	CU_add_test(suite, "nothing changed: some are read", test_nothing_changed);
	CU_add_test(suite, "what is listed is not read", test_listed);
	CU_add_test(suite, "other choices each time", test_other_choices);
	CU_add_test(suite, "neighbours of what is listed", test_neighbours);
	CU_add_test(suite, "holes against the parent", test_holes);
	CU_add_test(suite, "storage without holes", test_storage_without_holes);
	CU_add_test(suite, "drives of another size", test_shape);
	CU_add_test(suite, "announced before they are read", test_announced);
	CU_add_test(suite, "read errors, strictness", test_faults);
	CU_add_test(suite, "a lie lives for k increments", test_lies_live_k_increments);
	CU_add_test(suite, "lineage", test_lineage);
}
