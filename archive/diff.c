#include "archive/diff.h"

#include "archive/match.h"
#include "archive/select.h"
#include "base/grain.h"

#include <stdlib.h>
#include <string.h>

struct run {
	const struct found_sums *a, *b;
	uint32_t *of_a, *of_b; /* owned: of each drive of the one, the number in the other */
	const struct diff_teller *teller;
	struct sums_cursor *cursors; /* two */
	uint64_t begin, end;	     /* bytes that differ and were not told; equal: none */
	bool same;
};

static int tell(struct run *run, struct error *err)
{
	uint64_t begin = run->begin, end = run->end;

	run->begin = run->end = 0;
	return begin < end ? run->teller->range(run->teller->context, begin, end - begin, err) : 0;
}

static int add(struct run *run, uint64_t offset, uint64_t end, struct error *err)
{
	run->same = false;
	if (run->end != offset) {
		TRY(tell(run, err));
		run->begin = offset;
	}
	run->end = end;
	return 0;
}

/* How many pages are empty on both sides. */
static int both_empty(struct run *run, uint32_t i, uint32_t j, uint64_t number, uint64_t *n,
		      struct error *err)
{
	uint64_t n_right;

	TRY(sums_empty(run->a->sums, &run->cursors[0], i, number, n, err));
	if (*n == 0)
		return 0;
	TRY(sums_empty(run->b->sums, &run->cursors[1], j, number, &n_right, err));
	*n = least(*n, n_right);
	return 0;
}

static int compare_page(struct run *run, uint32_t i, uint32_t j, uint64_t number, struct error *err)
{
	uint64_t size_a = sums_archive(run->a->sums)->drives[i].size_bytes;
	uint64_t size_b = sums_archive(run->b->sums)->drives[j].size_bytes;
	uint64_t larger = size_a < size_b ? size_b : size_a;
	uint64_t n = least(clusters_of(size_a), clusters_of(size_b));
	const uint8_t *left, *right;

	TRY(sums_page(run->a->sums, &run->cursors[0], i, number, &left, err));
	TRY(sums_page(run->b->sums, &run->cursors[1], j, number, &right, err));
	if (memcmp(left, right, SUMS_PAGE_CONTENT) == 0)
		return 0;
	for (uint64_t k = 0, c = number * SUMS_PER_PAGE; k < SUMS_PER_PAGE && c < n; k++, c++)
		if (memcmp(left + k * CHECKSUM_SIZE, right + k * CHECKSUM_SIZE, CHECKSUM_SIZE) != 0)
			TRY(add(run, c * CLUSTER_SIZE, least((c + 1) * CLUSTER_SIZE, larger), err));
	return 0;
}

/* Where both drives have clusters; the last one may reach past the end of one of them, as zeros. */
static int compare_clusters(struct run *run, uint32_t i, uint32_t j, struct error *err)
{
	uint64_t size_a = sums_archive(run->a->sums)->drives[i].size_bytes;
	uint64_t size_b = sums_archive(run->b->sums)->drives[j].size_bytes;
	uint64_t n_pages = least(sums_pages(size_a), sums_pages(size_b)), n;

	for (uint64_t number = 0; number < n_pages; number += n) {
		TRY(both_empty(run, i, j, number, &n, err));
		if (n == 0) {
			TRY(compare_page(run, i, j, number, err));
			n = 1;
		}
	}
	return 0;
}

static int compare_drives(struct run *run, uint32_t i, uint32_t j, struct error *err)
{
	uint64_t size_a = sums_archive(run->a->sums)->drives[i].size_bytes;
	uint64_t size_b = sums_archive(run->b->sums)->drives[j].size_bytes;
	uint64_t begin = least(size_a, size_b), end = size_a < size_b ? size_b : size_a;

	run->begin = run->end = 0;
	TRY(compare_clusters(run, i, j, err));
	if (begin < end)
		TRY(add(run, run->begin < run->end && run->end > begin ? run->end : begin, end,
			err));
	return tell(run, err);
}

static int compare_all(struct run *run, struct error *err)
{
	const struct archive *left = sums_archive(run->a->sums);
	const struct archive *right = sums_archive(run->b->sums);
	const struct diff_teller *teller = run->teller;

	TRY(match_drives(left, right, run->of_a, err));
	TRY(match_drives(right, left, run->of_b, err));
	for (uint32_t i = 0; i < left->n_drives; i++) {
		uint32_t j = run->of_a[i];

		run->same &= j != right->n_drives;
		TRY(teller->drive(teller->context, &left->drives[i],
				  j != right->n_drives ? &right->drives[j] : NULL, err));
		if (j != right->n_drives)
			TRY(compare_drives(run, i, j, err));
	}
	for (uint32_t j = 0; j < right->n_drives; j++) {
		if (run->of_b[j] != left->n_drives)
			continue;
		run->same = false;
		TRY(teller->drive(teller->context, NULL, &right->drives[j], err));
	}
	return 0;
}

/* The number of the drive in the archive of the other side; side: the drive. */
static int find_in(const struct diff_side *side, const struct diff_side *other, uint32_t *out,
		   struct error *err)
{
	const struct archive *archive = sums_archive(other->sums.sums);
	const char *name = side->argument.name, *target;

	*out = 0;
	if (other->drive != NULL || (name == NULL && archive->n_drives == 1))
		return 0;
	if (name == NULL)
		return fail(err, ERR_USAGE, "%s: %s has %u drives: say which with NAME=URI",
			    side->operand, other->operand, archive->n_drives);
	if (select_drive(name, archive, out, &target, err) == 0)
		return 0;
	error_in_file(err, other->operand);
	return err->code;
}

/* Of two sides one at least of which is a drive. */
static int compare_one(struct run *run, const struct diff_side sides[2], struct error *err)
{
	const struct diff_teller *teller = run->teller;
	uint32_t of[2] = {0};

	for (unsigned i = 0; i < 2; i++)
		if (sides[i].drive != NULL)
			TRY(find_in(&sides[i], &sides[1 - i], &of[1 - i], err));
	TRY(teller->drive(teller->context, &sums_archive(run->a->sums)->drives[of[0]],
			  &sums_archive(run->b->sums)->drives[of[1]], err));
	return compare_drives(run, of[0], of[1], err);
}

int diff_run(const struct diff_side sides[2], const struct diff_teller *teller, bool *same,
	     struct error *err)
{
	const struct found_sums *a = &sides[0].sums, *b = &sides[1].sums;
	struct run run = {.a = a, .b = b, .teller = teller, .same = true};
	int code;

	run.cursors = calloc(2, sizeof(*run.cursors));
	run.of_a = calloc(sums_archive(a->sums)->n_drives + 1u, sizeof(*run.of_a));
	run.of_b = calloc(sums_archive(b->sums)->n_drives + 1u, sizeof(*run.of_b));
	if (run.cursors == NULL || run.of_a == NULL || run.of_b == NULL)
		code = fail_memory(err);
	else if (sides[0].drive != NULL || sides[1].drive != NULL)
		code = compare_one(&run, sides, err);
	else
		code = compare_all(&run, err);
	*same = code == 0 && run.same;
	free(run.cursors);
	free(run.of_a);
	free(run.of_b);
	return code;
}
