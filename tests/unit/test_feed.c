/* What a source that is wrong hands to the writer: no archive comes of it, whatever the format. */
#include "archive/feeds.h"
#include "cow/chunks.h"
#include "format/format.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "writer/output/output.h"
#include "writer/writer.h"

#include <CUnit/Basic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One run after another, each a piece of its own. data: clusters of it, else a run of zeros. */
struct run {
	uint32_t drive;
	uint64_t cluster, n;
	bool data;
};

struct source {
	const struct run *runs;
	unsigned n_runs, next;
};

static int next_piece(void *context, void *piece, struct error *err)
{
	struct source *source = context;
	(void)err;
	if (source->next == source->n_runs)
		return 0;
	memcpy(piece, &source->runs[source->next++], sizeof(struct run));
	return 1;
}

static int fill_batch(void *context, void *piece, struct batch *batch, struct error *err)
{
	static _Thread_local uint8_t cluster[CLUSTER_SIZE];
	const struct run *run = piece;
	(void)context;
	(void)err;
	memset(cluster, 7, sizeof cluster);
	for (uint64_t i = 0; run->data && i < run->n; i++)
		batch_cluster(batch, run->drive, run->cluster + i, cluster);
	if (!run->data)
		batch_zeros(batch, run->drive, run->cluster, run->n);
	return 0;
}

static int write_runs(const struct archive *archive, enum wrap wrap, const struct run *runs,
		      unsigned n_runs, struct error *err)
{
	struct writer_options writing = {.level = 1, .wrap = wrap};
	struct output_options plain = {.sync = false};
	struct source source = {.runs = runs, .n_runs = n_runs};
	struct feed feed = {.context = &source,
			    .piece_size = sizeof(struct run),
			    .next = next_piece,
			    .fill = fill_batch};
	struct output *output = NULL;
	struct writer *writer = NULL;
	int code = output_open(&output, scratch("archive"), &plain, err);
	CU_ASSERT_EQUAL_FATAL(code, 0);
	CU_ASSERT_EQUAL_FATAL(writer_open(&writer, archive, output, &writing, err), 0);
	code = writer_run(writer, &feed, 2, err);
	if (code == 0)
		code = writer_finish(writer, err);
	writer_free(writer);
	output_close(output);
	return code;
}

#define HUGE_RUN (UINT64_C(1) << 60)

/* Drive 0, root, has 16 clusters, drive 1, vmstate, too: in a VMA its zeros are no runs. */
static const struct {
	struct run runs[4];
	const char *text; /* NULL: all is well */
} cases[] = {
	{{{0, 0, 16, true}, {1, 0, 16, false}}, NULL},
	{{{0, 0, 16, true}, {1, 0, 16, false}, {0, 5, 1, true}},
	 "drive root: cluster 5 was received twice"},
	{{{0, 0, 16, true}, {1, 0, 16, false}, {0, 5, 1, false}},
	 "drive root: cluster 5 was received twice"},
	{{{0, 0, 8, true}, {0, 6, 8, false}, {1, 0, 16, false}},
	 "drive root: cluster 6 was received twice"},
	{{{0, 3, 1, true}, {0, 0, 16, false}, {1, 0, 16, false}},
	 "drive root: cluster 3 was received twice"},
	/* As many as there must be. */
	{{{0, 0, 15, true}, {0, 14, 1, true}, {1, 0, 16, false}},
	 "drive root: cluster 14 was received twice"},
	{{{0, 0, 16, true}, {1, 1, 15, false}},
	 "drive vmstate: 15 of 16 clusters were received, cluster 0 is missing"},
	{{{0, 0, 16, true}, {1, 0, 15, true}},
	 "drive vmstate: 15 of 16 clusters were received, cluster 15 is missing"},
	{{{0, 16, 1, true}}, "drive root: received 1 clusters from cluster 16 on, past its end"},
	{{{0, UINT64_MAX, 1, true}}, "drive root: received 1 clusters from cluster 18446744073709551615 on"},
	{{{0, 15, 2, false}}, "drive root: received 2 clusters from cluster 15 on, past its end"},
	{{{0, 1, UINT64_MAX, false}}, "drive root: received 18446744073709551615 clusters from cluster 1 on"},
	{{{1, 0, HUGE_RUN, false}}, "drive vmstate: received 1152921504606846976 clusters from cluster 0 on"},
	{{{2, 0, 1, true}}, "received a cluster of drive @3, but there are only 2"},
	{{{UINT32_MAX, 0, 1, false}}, "received a cluster of drive @4294967296, but there are only 2"},
};

static void test_wrong_sources(void)
{
	static const struct {
		enum archive_format format;
		enum cluster_checksum sum;
		enum wrap wrap;
	} formats[] = {{FORMAT_VMAB, CLUSTER_XXH3_128, WRAP_NONE},
		       {FORMAT_VMA1, CLUSTER_XXH3_64, WRAP_NONE},
		       {FORMAT_VMA1, CLUSTER_UNPROTECTED, WRAP_ZSTD}};
	struct archive *archive = calloc(1, sizeof *archive);
	memset(archive->uuid, 1, UUID_SIZE);
	archive->n_drives = 2;
	archive->drives[0] = (struct archive_drive){{(const uint8_t *)"root", 4}, 1 << 20};
	archive->drives[1] = (struct archive_drive){{(const uint8_t *)"vmstate", 7}, 1 << 20};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t j = 0; j < sizeof formats / sizeof *formats; j++) {
			struct error err = {0};
			unsigned n_runs = 0;
			archive->format = formats[j].format;
			archive->cluster_checksum = formats[j].sum;
			while (n_runs < 4 && cases[i].runs[n_runs].n != 0)
				n_runs++;
			int code =
				write_runs(archive, formats[j].wrap, cases[i].runs, n_runs, &err);
			CU_ASSERT_EQUAL(code, cases[i].text == NULL ? 0 : ERR_SYSTEM);
			bool said =
				cases[i].text == NULL || strstr(err.text, cases[i].text) != NULL;
			CU_ASSERT(said);
			if (!said)
				printf("case %zu.%zu: %s\n", i, j, err.text);
		}
	free(archive);
}

/* ---- chunks ---- */

/* Two drives of 100 clusters: the first comes in chunks of 64 and 36 clusters, zeros of the second
 * with the second chunk, data of it in a chunk of its own. */
struct chunks {
	uint8_t memory[3][CHUNK_SIZE];
	struct chunk chunks[3];
	atomic_uint n_next;
	atomic_uint given_back[3];
};

static int next_chunk(void *context, struct chunk_piece *piece, struct error *err)
{
	struct chunks *chunks = context;
	unsigned n = atomic_fetch_add(&chunks->n_next, 1);

	(void)err;
	if (n >= 4)
		return 0;
	if (n == 3) { /* one with zeros alone, that lies in the piece */
		piece->own = (struct chunk){.n_zeros = 1, .zeros = {{1, 10, 90}}};
		piece->own.bytes = chunks->memory[0];
		piece->chunk = &piece->own;
		piece->loan = NULL;
	} else {
		piece->chunk = &chunks->chunks[n];
		piece->loan = &chunks->given_back[n];
	}
	return 1;
}

static void give_chunk_back(void *context, void *loan)
{
	(void)context;
	if (loan != NULL)
		++*(atomic_uint *)loan;
}

static void add_data(struct chunk *chunk, uint8_t *memory, uint32_t drive, uint64_t first,
		     uint32_t n)
{
	chunk->bytes = memory;
	chunk->n_clusters = n;
	for (uint32_t i = 0; i < n; i++) {
		chunk->clusters[i] = (struct chunk_cluster){drive, first + i};
		memset(memory + (size_t)i * CLUSTER_SIZE, (int)(1 + first + i), CLUSTER_SIZE);
	}
}

static void test_chunks(void)
{
	struct chunks *chunks = calloc(1, sizeof(*chunks));
	struct chunk_source source = {
		.context = chunks,
		.piece_clusters = 27,
		.in_any_order = true,
		.next = next_chunk,
		.give_back = give_chunk_back,
	};
	struct archive *archive = calloc(1, sizeof(*archive));
	struct writer_counts counts = {0};
	struct writer_options writing = {.level = 1, .counts = &counts};
	struct output_options plain = {.sync = false};
	struct feed feed = feed_of_chunks(&source);
	struct output *output = NULL;
	struct writer *writer = NULL;
	struct error err = {0};

	CU_ASSERT_FATAL(chunks != NULL && archive != NULL);
	add_data(&chunks->chunks[0], chunks->memory[0], 0, 0, 64);
	add_data(&chunks->chunks[1], chunks->memory[1], 0, 64, 36);
	add_data(&chunks->chunks[2], chunks->memory[2], 1, 0, 9);
	chunks->chunks[1].n_zeros = 1;
	chunks->chunks[1].zeros[0] = (struct chunk_zeros){1, 9, 1};
	memset(archive->uuid, 1, UUID_SIZE);
	archive->cluster_checksum = CLUSTER_XXH3_128;
	archive->n_drives = 2;
	archive->drives[0] = (struct archive_drive){{(const uint8_t *)"a", 1}, 100 * CLUSTER_SIZE};
	archive->drives[1] = (struct archive_drive){{(const uint8_t *)"b", 1}, 100 * CLUSTER_SIZE};
	CU_ASSERT_FATAL(output_open(&output, scratch("chunks"), &plain, &err) == 0);
	CU_ASSERT_FATAL(writer_open(&writer, archive, output, &writing, &err) == 0);
	/* The writer itself refuses an archive in which a cluster is lacking or comes twice. */
	CU_ASSERT_EQUAL(writer_run(writer, &feed, 2, &err), 0);
	CU_ASSERT_EQUAL(writer_finish(writer, &err), 0);
	CU_ASSERT_EQUAL(writer_totals(writer)->n_data, 109);
	CU_ASSERT_EQUAL(writer_totals(writer)->n_zero, 91);
	CU_ASSERT_EQUAL(chunks->given_back[0], 3);
	CU_ASSERT_EQUAL(chunks->given_back[1], 2);
	CU_ASSERT_EQUAL(chunks->given_back[2], 1);
	writer_free(writer);
	output_close(output);
	free(archive);
	free(chunks);
}

void test_feed(void)
{
	CU_pSuite suite = CU_add_suite("feed", scratch_make, scratch_remove);
	CU_ADD_TEST(suite, test_wrong_sources);
	CU_add_test(suite, "chunks", test_chunks);
}
