#include "archive/compare_live.h"

#include "archive/parent.h"
#include "base/bytes.h"
#include "base/pace.h"
#include "base/watcher.h"

#include <stdio.h>
#include <stdlib.h>

/* What is asked for at a time of a drive that is read at a rate. What a guest overwrites of that
 * before it was taken waits in a buffer, which would be too small for a whole drive; it has room
 * for this. */
#define PART_CLUSTERS ((UINT64_C(512) << 20) / CLUSTER_SIZE)

struct comparing {
	const struct compare_job *job;
	struct compared *out;
	void *state; /* owned: for the sums */
	struct cluster_set came;
	struct pace pace;
	_Atomic uint64_t done_bytes;
};

static int take(void *context, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	struct comparing *comparing = context;
	const struct compare_job *job = comparing->job;
	const struct parent_sums *sums = &job->parent->sums;
	const uint8_t *sum;
	bool is_data, is_same;
	uint64_t unused;

	if (cluster >= clusters_of(job->size_bytes))
		return fail(err, ERR_SYSTEM, "drive %s: the machine has more of it than it said",
			    job->name);
	if (cluster_set_has(&comparing->came, cluster))
		return 0;
	TRY(cluster_set_include(&comparing->came, cluster, 1, err));
	atomic_fetch_add(&comparing->done_bytes, CLUSTER_SIZE);
	if (bytes != NULL)
		pace_wait(&comparing->pace, CLUSTER_SIZE);
	TRY(sums->get(sums->context, comparing->state, job->drive, cluster, &sum, &unused, err));
	is_data = bytes != NULL && !all_zero(bytes, CLUSTER_SIZE);
	is_same = sum != NULL && proof_is_as_before(sum, bytes);
	comparing->out->n_data += is_data;
	comparing->out->n_same += is_data && is_same;
	if (is_same)
		return 0;
	return cluster_set_add(&comparing->out->differ, cluster, 1, err) < 0 ? err->code : 0;
}

/* What has not come was not compared. */
static int check_all_came(const struct comparing *comparing, struct error *err)
{
	uint64_t n_clusters = clusters_of(comparing->job->size_bytes), n;
	bool in = true;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(&comparing->came, at, n_clusters - at, &in);
		if (!in)
			return fail(err, ERR_SYSTEM,
				    "drive %s: the machine did not hand over byte %llu",
				    comparing->job->name, (unsigned long long)(at * CLUSTER_SIZE));
	}
	return 0;
}

/* Where sizes differ the cluster with the smaller one's end may be as before, and yet another one
 * in what is restored: it counts as changed. */
static int add_edge(const struct comparing *comparing, struct error *err)
{
	const struct compare_job *job = comparing->job;
	uint64_t old = parent_drive_size(job->parent, job->drive);
	uint64_t edge = least(old, job->size_bytes) / CLUSTER_SIZE;

	if (old == job->size_bytes || edge >= clusters_of(job->size_bytes) ||
	    cluster_set_has(&comparing->out->differ, edge))
		return 0;
	return cluster_set_add(&comparing->out->differ, edge, 1, err) < 0 ? err->code : 0;
}

static int read_part(struct comparing *comparing, uint64_t cluster, uint64_t n, struct error *err)
{
	const struct proof_live *live = comparing->job->live;
	const struct proof_taker taker = {take, comparing};
	struct cluster_set part = {0};
	int code;

	if (cluster_set_add(&part, cluster, n, err) < 0)
		return err->code;
	code = live->read(live->context, &part, &taker, err);
	cluster_set_free(&part);
	return code;
}

static int read_all(struct comparing *comparing, struct error *err)
{
	const struct compare_job *job = comparing->job;
	uint64_t n_clusters = clusters_of(job->size_bytes), n;

	comparing->state = calloc(1, job->parent->sums.state_size);
	if (comparing->state == NULL)
		return fail_memory(err);
	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = n_clusters - at;
		if (pace_limits(&comparing->pace))
			n = least(n, PART_CLUSTERS);
		TRY(read_part(comparing, at, n, err));
	}
	TRY(check_all_came(comparing, err));
	return add_edge(comparing, err);
}

int compare_live(const struct compare_job *job, struct compared *out, struct error *err)
{
	struct comparing comparing = {.job = job, .out = out};
	char label[100];
	const struct progress_view view = {
		.label = label,
		.done_bytes = &comparing.done_bytes,
		.total_bytes = clusters_of(job->size_bytes) * CLUSTER_SIZE,
	};
	int code;

	*out = (struct compared){0};
	snprintf(label, sizeof(label), "comparing %s", job->name);
	pace_start(&comparing.pace, job->rate);
	watcher_begin(job->watcher, &view);
	code = read_all(&comparing, err);
	watcher_end(job->watcher, code == 0);
	cluster_set_free(&comparing.came);
	free(comparing.state);
	return code;
}
