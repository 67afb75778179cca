#include "archive/diff.h"

#include "archive/open.h"

#include <stdlib.h>
#include <string.h>

struct run {
	const struct diff_teller *teller;
	struct sums_cursor *cursors; /* two */
	uint64_t begin, end;	     /* bytes that differ and were not told; equal: none */
	bool same;
};

static void tell(struct run *run)
{
	if (run->begin < run->end)
		run->teller->range(run->teller->context, run->begin, run->end - run->begin);
	run->begin = run->end = 0;
}

static void add(struct run *run, uint64_t offset, uint64_t end)
{
	run->same = false;
	if (run->end != offset) {
		tell(run);
		run->begin = offset;
	}
	run->end = end;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Where both drives have clusters; the last one may reach past the end of one of them, as zeros. */
static int compare_clusters(struct run *run, const struct found_sums *a, uint32_t i,
			    const struct found_sums *b, uint32_t j, struct error *err)
{
	uint64_t size_a = sums_archive(a->sums)->drives[i].size_bytes;
	uint64_t size_b = sums_archive(b->sums)->drives[j].size_bytes;
	uint64_t larger = size_a < size_b ? size_b : size_a;
	uint64_t n = smaller(clusters_of(size_a), clusters_of(size_b));

	for (uint64_t number = 0; number * SUMS_PER_PAGE < n; number++) {
		const uint8_t *left, *right;
		TRY(sums_page(a->sums, &run->cursors[0], i, number, &left, err));
		TRY(sums_page(b->sums, &run->cursors[1], j, number, &right, err));
		if (memcmp(left, right, SUMS_PAGE_CONTENT) == 0)
			continue;
		for (uint64_t k = 0, c = number * SUMS_PER_PAGE; k < SUMS_PER_PAGE && c < n;
		     k++, c++)
			if (memcmp(left + k * CHECKSUM_SIZE, right + k * CHECKSUM_SIZE,
				   CHECKSUM_SIZE) != 0)
				add(run, c * CLUSTER_SIZE, smaller((c + 1) * CLUSTER_SIZE, larger));
	}
	return 0;
}

static int compare_drives(struct run *run, const struct found_sums *a, uint32_t i,
			  const struct found_sums *b, uint32_t j, struct error *err)
{
	uint64_t size_a = sums_archive(a->sums)->drives[i].size_bytes;
	uint64_t size_b = sums_archive(b->sums)->drives[j].size_bytes;
	uint64_t begin = smaller(size_a, size_b), end = size_a < size_b ? size_b : size_a;

	run->begin = run->end = 0;
	TRY(compare_clusters(run, a, i, b, j, err));
	if (begin < end)
		add(run, run->begin < run->end && run->end > begin ? run->end : begin, end);
	tell(run);
	return 0;
}

static int compare_all(struct run *run, const struct found_sums *a, const struct found_sums *b,
		       struct error *err)
{
	const struct archive *left = sums_archive(a->sums), *right = sums_archive(b->sums);
	const struct diff_teller *teller = run->teller;

	for (uint32_t i = 0; i < left->n_drives; i++) {
		uint32_t j = archive_find_drive(right, &left->drives[i].name);

		run->same &= j != right->n_drives;
		teller->drive(teller->context, &left->drives[i],
			      j != right->n_drives ? &right->drives[j] : NULL);
		if (j != right->n_drives)
			TRY(compare_drives(run, a, i, b, j, err));
	}
	for (uint32_t j = 0; j < right->n_drives; j++) {
		if (archive_find_drive(left, &right->drives[j].name) != left->n_drives)
			continue;
		run->same = false;
		teller->drive(teller->context, NULL, &right->drives[j]);
	}
	return 0;
}

int diff_run(const struct found_sums *a, const struct found_sums *b,
	     const struct diff_teller *teller, bool *same, struct error *err)
{
	struct run run = {.teller = teller, .same = true};
	int code;

	run.cursors = calloc(2, sizeof(*run.cursors));
	if (run.cursors == NULL)
		return fail_memory(err);
	code = compare_all(&run, a, b, err);
	*same = run.same;
	free(run.cursors);
	return code;
}
