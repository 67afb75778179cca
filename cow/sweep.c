/*
 * The pass over several drives.
 *
 * drive_status answers in bytes, in parts of any length. Pieces are made of whole clusters and must
 * not depend on how the answers are split, or the same drive would give a different archive on
 * another file system. So answers are merged first: "known" is a range of zeros followed by a range
 * of data, either of which may be empty, and the drive is asked again only when both are used up. A
 * cluster is zero if the whole of it lies in the zeros.
 *
 * A piece is one window of a drive, or several windows that are known to be all zeros, as one run.
 * Windows are aligned to the beginning of the drive: so the grouping depends only on the content,
 * not on what the file system knows of holes, and a change in one place does not move anything in
 * another.
 */
#include "cow/sweep.h"

#include "base/clusterset.h"
#include "drive/drive.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define AHEAD 4u /* pieces announced to the drives before they are handed out */

struct sweep {
	struct drive *const *drives;
	const struct cluster_set *const *sets; /* NULL: all of every drive */
	uint32_t n_drives;
	uint32_t window;		 /* clusters */
	struct sweep_piece ahead[AHEAD]; /* a ring of n_ahead from first on */
	uint32_t first, n_ahead;
	/* The position of the pass; for the one caller of sweep_next. */
	uint32_t drive;
	uint64_t cluster;  /* the next */
	uint64_t zeros_to; /* byte: zeros from cluster up to here */
	uint64_t data_to;  /* byte: data from there up to here */
};

int sweep_new(struct sweep **out, struct drive *const *drives, uint32_t n_drives, uint32_t window,
	      struct error *err)
{
	assert(window >= 1 && window <= SWEEP_RUNS_MAX);
	struct sweep *sweep = calloc(1, sizeof(*sweep));
	if (sweep == NULL)
		return fail_system(err, ENOMEM, "the pass over the drives");
	sweep->drives = drives;
	sweep->n_drives = n_drives;
	sweep->window = window;
	*out = sweep;
	return 0;
}

void sweep_free(struct sweep *sweep)
{
	free(sweep);
}

void sweep_restrict(struct sweep *sweep, const struct cluster_set *const *sets)
{
	sweep->sets = sets;
}

/* The first cluster from this one on that is wanted, at most end, and how many in a row are. */
static uint64_t find_wanted(const struct sweep *sweep, uint32_t drive, uint64_t cluster,
			    uint64_t end, uint64_t *n)
{
	const struct cluster_set *set = sweep->sets == NULL ? NULL : sweep->sets[drive];
	bool in = true;

	*n = end - cluster;
	if (set == NULL || cluster == end)
		return cluster;
	*n = cluster_set_run(set, cluster, end - cluster, &in);
	if (in)
		return cluster;
	cluster += *n;
	*n = cluster == end ? 0 : cluster_set_run(set, cluster, end - cluster, &in);
	return cluster;
}

/* Asks the drive what follows the cluster. */
static int learn(struct sweep *sweep, struct error *err)
{
	struct drive *drive = sweep->drives[sweep->drive];
	uint64_t at = sweep->cluster * CLUSTER_SIZE;
	bool zero = true;

	sweep->data_to = sweep->zeros_to = at;
	while (zero && at < drive_size(drive)) {
		uint64_t n;
		TRY(drive_status(drive, at, &n, &zero, err));
		at += n;
		sweep->data_to = at;
		if (zero)
			sweep->zeros_to = at;
	}
	return 0;
}

/* The run of like clusters at the position, as far as is known without asking again. */
static int look(struct sweep *sweep, struct sweep_run *run, struct error *err)
{
	uint64_t size = drive_size(sweep->drives[sweep->drive]), wanted;

	if (sweep->cluster * CLUSTER_SIZE >= sweep->data_to)
		TRY(learn(sweep, err));
	uint64_t zeros_end =
		sweep->zeros_to == size ? clusters_of(size) : sweep->zeros_to / CLUSTER_SIZE;
	run->cluster = sweep->cluster;
	run->zero = zeros_end > sweep->cluster;
	run->n_clusters = (run->zero ? zeros_end : clusters_of(sweep->data_to)) - sweep->cluster;
	find_wanted(sweep, sweep->drive, sweep->cluster, clusters_of(size), &wanted);
	run->n_clusters = least(run->n_clusters, wanted);
	return 0;
}

/* A window of n_clusters has at most as many runs. */
static void add_run(struct sweep_piece *piece, const struct sweep_run *run)
{
	struct sweep_run *last = piece->n_runs > 0 ? &piece->runs[piece->n_runs - 1] : NULL;

	if (last != NULL && last->zero == run->zero &&
	    last->cluster + last->n_clusters == run->cluster) {
		last->n_clusters += run->n_clusters;
	} else {
		assert(piece->n_runs < SWEEP_RUNS_MAX);
		piece->runs[piece->n_runs++] = *run;
	}
	if (!run->zero)
		piece->n_data += (uint32_t)run->n_clusters;
}

/* Moves on to a cluster that is wanted. Returns how many its drive has in total; 0: no more. */
static uint64_t find_cluster(struct sweep *sweep)
{
	for (; sweep->drive < sweep->n_drives; sweep->drive++) {
		uint64_t n = clusters_of(drive_size(sweep->drives[sweep->drive])), n_wanted;
		sweep->cluster = find_wanted(sweep, sweep->drive, sweep->cluster, n, &n_wanted);
		if (sweep->cluster < n)
			return n;
		sweep->cluster = sweep->zeros_to = sweep->data_to = 0;
	}
	return 0;
}

/* How much of the run belongs to the piece: the rest of its window, or all windows that a run of
 * zeros fills. */
static uint64_t cut_run(const struct sweep *sweep, const struct sweep_run *run, uint64_t end)
{
	uint64_t in_window = sweep->cluster % sweep->window;
	uint64_t left = sweep->window - in_window;

	if (run->n_clusters <= left)
		return run->n_clusters;
	if (!run->zero || in_window != 0)
		return left;
	if (run->cluster + run->n_clusters == end)
		return run->n_clusters;
	return run->n_clusters - run->n_clusters % sweep->window;
}

static int plan_piece(struct sweep *sweep, struct sweep_piece *out, struct error *err)
{
	uint64_t end = find_cluster(sweep), n_wanted;
	uint64_t window = sweep->cluster / sweep->window;

	if (end == 0)
		return 0;
	out->drive = sweep->drive;
	out->n_runs = out->n_data = 0;
	do {
		struct sweep_run run;
		TRY(look(sweep, &run, err));
		run.n_clusters = cut_run(sweep, &run, end);
		add_run(out, &run);
		sweep->cluster = find_wanted(sweep, sweep->drive, sweep->cluster + run.n_clusters,
					     end, &n_wanted);
	} while (sweep->cluster < end && sweep->cluster / sweep->window == window);
	return 1;
}

static void expect_piece(struct sweep *sweep, struct sweep_piece *piece)
{
	struct drive *drive = sweep->drives[piece->drive];

	for (uint32_t i = 0; i < piece->n_runs; i++) {
		struct sweep_run *run = &piece->runs[i];
		uint64_t offset = run->cluster * CLUSTER_SIZE, n = run->n_clusters * CLUSTER_SIZE;
		if (!run->zero)
			drive_expect(drive, offset, n, &run->cold);
	}
}

int sweep_next(struct sweep *sweep, struct sweep_piece *out, struct error *err)
{
	while (sweep->n_ahead < AHEAD) {
		struct sweep_piece *piece = &sweep->ahead[(sweep->first + sweep->n_ahead) % AHEAD];
		int code = plan_piece(sweep, piece, err);
		if (code < 0)
			return code;
		if (code == 0)
			break;
		expect_piece(sweep, piece);
		sweep->n_ahead++;
	}
	if (sweep->n_ahead == 0)
		return 0;
	*out = sweep->ahead[sweep->first];
	sweep->first = (sweep->first + 1) % AHEAD;
	sweep->n_ahead--;
	return 1;
}

/* How many clusters of a run are wanted. */
static uint64_t count_wanted(const struct sweep *sweep, uint32_t drive, uint64_t first,
			     uint64_t end)
{
	uint64_t count = 0, n;

	for (; first < end; first += n) {
		first = find_wanted(sweep, drive, first, end, &n);
		count += n;
	}
	return count;
}

/* Clusters of a drive that are wanted and not known to be zeros. */
static int count_data(const struct sweep *sweep, uint32_t i, const atomic_bool *stop,
		      uint64_t *n_clusters)
{
	struct drive *drive = sweep->drives[i];
	uint64_t at = 0, size = drive_size(drive), n, counted_to = 0;
	struct error ignored;
	bool zero;

	for (; at < size; at += n) {
		if (*stop || drive_status(drive, at, &n, &zero, &ignored) < 0)
			return -1;
		uint64_t first = at / CLUSTER_SIZE, end = clusters_of(at + n);
		first = first > counted_to ? first : counted_to;
		if (zero || end <= first)
			continue;
		*n_clusters += count_wanted(sweep, i, first, end);
		counted_to = end;
	}
	return 0;
}

uint64_t sweep_survey(const struct sweep *sweep, const atomic_bool *stop)
{
	uint64_t n_clusters = 0;

	for (uint32_t i = 0; i < sweep->n_drives; i++)
		if (count_data(sweep, i, stop, &n_clusters) < 0)
			return UINT64_MAX;
	return n_clusters * CLUSTER_SIZE;
}

static int read_run(struct drive *drive, const struct sweep_run *run, uint8_t *to,
		    struct error *err)
{
	int code = drive_read_clusters(drive, run->cluster, run->n_clusters, to, err);

	if (run->cold)
		drive_forget(drive, run->cluster * CLUSTER_SIZE, run->n_clusters * CLUSTER_SIZE);
	return code;
}

int sweep_read(struct sweep *sweep, const struct sweep_piece *piece, uint8_t *buffer,
	       struct error *err)
{
	for (uint32_t i = 0; i < piece->n_runs; i++) {
		const struct sweep_run *run = &piece->runs[i];
		if (run->zero)
			continue;
		TRY(read_run(sweep->drives[piece->drive], run, buffer, err));
		buffer += run->n_clusters * CLUSTER_SIZE;
	}
	return 0;
}
