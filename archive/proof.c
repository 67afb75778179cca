/*
 * The drive is walked along twice. The survey reads nothing of it: it goes by what its storage says
 * of holes, by the parent's sums and the list, and sorts the clusters that are not listed into
 * sets, one for each rule and no cluster in two. Then these are read.
 *
 * A cluster that both storage and parent call zeros is in no set: there is nothing to be read.
 */
#include "archive/proof.h"

#include "archive/changes.h"
#include "archive/proof_live.h"
#include "archive/proof_read.h"
#include "base/bytes.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "writer/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Storage that knows little about its holes calls many of the parent's zeros data. As many of these
 * as an audit reads are read, of more of them only some: the other rules are there for the rest. */
#define CONTRARY_MIN   1024u
#define CONTRARY_SHARE 30u

/* Those that cost little come first. The name says how one found something. */
enum rule { BY_HOLES, BY_NEIGHBOURS, BY_SAMPLES, BY_AUDIT, N_RULES };

static const char *const rule_names[N_RULES] = {"holes", "neighbours", "samples", "audit"};

/* Some of many clusters, each with the same chance: reservoir sampling. */
struct picks {
	uint64_t n_seen;
	uint64_t clusters[PROOF_PICKS];
};

struct proof {
	const struct proof_job *job;
	const struct proof_options *options;
	uint64_t n_clusters; /* that the drive has now and had in the parent */
	uint64_t chance;     /* the state of the random numbers */
	void *state;	     /* owned: for the parent's sums */
	uint64_t same_to;    /* up to this cluster the storage calls all */
	bool zero;	     /*   zeros, or data */
	/* Where storage and parent disagree: holes now, of which each shows a wrong list; and data
	 * now, of which many may be zeros that take space. */
	struct picks holes, contrary;
	struct picks neighbours, samples;
	struct cluster_set sets[N_RULES]; /* owned */
	uint32_t from;			  /* the arc to be audited */
	uint64_t n_points;
};

/* splitmix64: Steele, Lea and Flood, 2014. */
static uint64_t next_chance(struct proof *proof)
{
	uint64_t z = proof->chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Other choices for each archive and drive, and the same again for the same. */
static void seed(struct proof *proof)
{
	uint8_t bytes[UUID_SIZE + 4], sum[CHECKSUM_SIZE];

	memcpy(bytes, proof->job->archive->uuid, UUID_SIZE);
	put_le(bytes + UUID_SIZE, 4, proof->job->drive);
	checksum_bytes(bytes, sizeof(bytes), sum);
	proof->chance = get_le(sum, 8);
}

static void offer(struct proof *proof, struct picks *picks, uint64_t cluster)
{
	uint64_t i = picks->n_seen++;

	if (i >= PROOF_PICKS)
		i = next_chance(proof) % picks->n_seen;
	if (i < PROOF_PICKS)
		picks->clusters[i] = cluster;
}

static int take_picks(struct cluster_set *set, const struct picks *picks, struct error *err)
{
	for (uint64_t i = 0; i < least(picks->n_seen, PROOF_PICKS); i++)
		TRY(cluster_set_include(set, picks->clusters[i], 1, err));
	return 0;
}

static uint64_t count_set(const struct cluster_set *set, uint64_t from, uint64_t end)
{
	uint64_t count = 0, n;
	bool in;

	for (; from < end; from += n) {
		n = cluster_set_run(set, from, end - from, &in);
		count += in ? n : 0;
	}
	return count;
}

/* ---- the survey ---- */

/* What the storage says of the clusters from this one on. One that is partly a hole is data. */
static int ask_storage(struct proof *proof, uint64_t cluster, struct error *err)
{
	struct drive *source = proof->job->source;
	uint64_t begin = cluster * CLUSTER_SIZE, size, at = begin, n;
	bool zero = true;

	proof->zero = false;
	proof->same_to = proof->n_clusters;
	if (source == NULL)
		return 0;
	size = drive_size(source);
	TRY(drive_status(source, at, &n, &proof->zero, err));
	for (at += n; at < size; at += n) {
		TRY(drive_status(source, at, &n, &zero, err));
		if (zero != proof->zero)
			break;
	}
	if (proof->zero && at < size && at - begin < CLUSTER_SIZE) {
		proof->zero = false; /* a hole that ends in this cluster */
		proof->same_to = cluster + 1;
		return 0;
	}
	proof->same_to = proof->zero && at < size ? at / CLUSTER_SIZE : clusters_of(at);
	return 0;
}

static int ask_parent(struct proof *proof, uint64_t cluster, uint64_t *n, bool *zero,
		      struct error *err)
{
	const struct parent_sums *sums = proof->job->sums;
	const uint8_t *sum;

	TRY(sums->get(sums->context, proof->state, proof->job->drive, cluster, &sum, n, err));
	*zero = sum != NULL && all_zero(sum, CHECKSUM_SIZE);
	return 0;
}

/* Where nothing tells of holes, nothing is contrary. */
static uint64_t most_contrary(const struct proof *proof)
{
	uint64_t share = proof->n_clusters / CONTRARY_SHARE;

	if (proof->job->source == NULL)
		return 0;
	return share > CONTRARY_MIN ? share : CONTRARY_MIN;
}

/* Storage and parent disagree about these. */
static int add_contrary(struct proof *proof, uint64_t cluster, uint64_t n, struct error *err)
{
	struct picks *picks = proof->zero ? &proof->holes : &proof->contrary;

	for (uint64_t i = 0; i < n; i++)
		offer(proof, picks, cluster + i);
	if (proof->zero || picks->n_seen > most_contrary(proof))
		return 0;
	return cluster_set_include(&proof->sets[BY_HOLES], cluster, n, err);
}

/* A part of a run of clusters that are not listed and that somebody calls data. */
static int sort_part(struct proof *proof, uint64_t cluster, uint64_t n, bool contrary,
		     struct error *err)
{
	const struct cluster_set *listed = &proof->job->changes->set;

	for (uint64_t i = cluster; i < cluster + n; i++) {
		bool beside =
			(i > 0 && cluster_set_has(listed, i - 1)) || cluster_set_has(listed, i + 1);

		if (proof_covers(proof->from, proof->n_points, i))
			TRY(cluster_set_include(&proof->sets[BY_AUDIT], i, 1, err));
		else if (!contrary)
			offer(proof, beside ? &proof->neighbours : &proof->samples, i);
	}
	return contrary ? add_contrary(proof, cluster, n, err) : 0;
}

/* A run of clusters that are not listed. */
static int survey_run(struct proof *proof, uint64_t cluster, uint64_t end, struct error *err)
{
	for (uint64_t n; cluster < end; cluster += n) {
		bool zero;

		if (cluster >= proof->same_to)
			TRY(ask_storage(proof, cluster, err));
		TRY(ask_parent(proof, cluster, &n, &zero, err));
		n = least(n, least(end, proof->same_to) - cluster);
		if (!zero || !proof->zero)
			TRY(sort_part(proof, cluster, n, zero != proof->zero, err));
	}
	return 0;
}

static int survey(struct proof *proof, struct error *err)
{
	const struct cluster_set *listed = &proof->job->changes->set;
	struct cluster_set *sets = proof->sets;
	bool in;

	for (uint64_t n, at = 0; at < proof->n_clusters; at += n) {
		n = cluster_set_run(listed, at, proof->n_clusters - at, &in);
		if (!in)
			TRY(survey_run(proof, at, at + n, err));
	}
	if (proof->contrary.n_seen > most_contrary(proof)) {
		cluster_set_free(&sets[BY_HOLES]);
		TRY(take_picks(&sets[BY_HOLES], &proof->contrary, err));
	}
	TRY(take_picks(&sets[BY_HOLES], &proof->holes, err));
	TRY(take_picks(&sets[BY_NEIGHBOURS], &proof->neighbours, err));
	return take_picks(&sets[BY_SAMPLES], &proof->samples, err);
}

/* ---- the reading ---- */

static char *drive_text(const struct proof_job *job, char *out, size_t out_size)
{
	const struct text *name = &job->archive->drives[job->drive].name;

	return escape_text(out, out_size, name->bytes, name->length);
}

static int say_wrong(const struct proof *proof, enum rule rule, uint64_t cluster,
		     const struct watcher *watcher, struct error *err)
{
	const char *what =
		proof->job->live != NULL ? "the record of its changes" : "its change list";
	char name[80];

	drive_text(proof->job, name, sizeof(name));
	if (proof->options->strict)
		return fail(err, ERR_DAMAGED,
			    "drive %s: %s is wrong: byte %llu is not in it, and not as "
			    "the parent has it (found by: %s)",
			    name, what, (unsigned long long)(cluster * CLUSTER_SIZE),
			    rule_names[rule]);
	watcher_warn(watcher,
		     "drive %s: %s is wrong and not used: byte %llu is not in it, and "
		     "not as the parent has it (found by: %s); all of the drive is compared",
		     name, what, (unsigned long long)(cluster * CLUSTER_SIZE), rule_names[rule]);
	return 0;
}

/* All rules in turn, until one finds the list wrong. */
static int read_sets(struct proof *proof, struct proof_reader *reader, struct drive_proof *out,
		     const struct watcher *watcher, struct error *err)
{
	for (enum rule rule = 0; rule < N_RULES && out->n_wrong == 0; rule++) {
		/* What storage and parent disagree about may be due for audit, too. */
		const struct cluster_set *except = rule == BY_AUDIT ? &proof->sets[BY_HOLES] : NULL;
		struct proof_found found;

		TRY(proof_read(reader, &proof->sets[rule], except, proof->n_clusters, &found, err));
		out->n_right += found.n_right;
		out->n_wrong += found.n_wrong;
		if (found.n_wrong > 0)
			TRY(say_wrong(proof, rule, found.wrong, watcher, err));
	}
	return 0;
}

static int unite(struct cluster_set *set, const struct cluster_set *more, uint64_t n_clusters,
		 struct error *err)
{
	bool in;

	for (uint64_t n, at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(more, at, n_clusters - at, &in);
		if (in)
			TRY(cluster_set_include(set, at, n, err));
	}
	return 0;
}

/* All at once, as a machine has to be asked for them. */
static int read_live(struct proof *proof, struct proof_reader *reader, struct drive_proof *out,
		     const struct watcher *watcher, struct error *err)
{
	struct cluster_set all = {0};
	struct proof_found found = {0};
	enum rule rule = BY_HOLES;
	int code = 0;

	for (; rule < N_RULES && code == 0; rule++)
		code = unite(&all, &proof->sets[rule], proof->n_clusters, err);
	if (code == 0)
		code = proof_read_live(reader, proof->job->live, &all, proof->n_clusters, &found,
				       err);
	cluster_set_free(&all);
	if (code <= 0) {
		out->verdict = PROOF_NONE;
		return code;
	}
	out->n_right = found.n_right;
	out->n_wrong = found.n_wrong;
	for (rule = BY_HOLES; rule < BY_AUDIT && !cluster_set_has(&proof->sets[rule], found.wrong);)
		rule++;
	return found.n_wrong > 0 ? say_wrong(proof, rule, found.wrong, watcher, err) : 0;
}

static int read_all(struct proof *proof, struct drive_proof *out, const struct watcher *watcher,
		    struct error *err)
{
	const struct proof_job *job = proof->job;
	struct proof_reader reader = {.source = job->source,
				      .sums = job->sums,
				      .drive = job->drive,
				      .n_threads = proof->options->n_threads};
	struct progress_view view = {.done_bytes = &reader.done_bytes, .drives = job->archive};
	char name[80], label[100];
	int code;

	snprintf(label, sizeof(label), "proving %s", drive_text(job, name, sizeof(name)));
	view.label = label;
	for (enum rule rule = 0; rule < N_RULES; rule++)
		view.total_bytes +=
			count_set(&proof->sets[rule], 0, proof->n_clusters) * CLUSTER_SIZE;
	watcher_begin(watcher, &view);
	code = job->live != NULL ? read_live(proof, &reader, out, watcher, err)
				 : read_sets(proof, &reader, out, watcher, err);
	watcher_end(watcher, code == 0);
	return code;
}

/* ---- a drive ---- */

/* Where a drive has grown or shrunk, what is behind the smaller end was written or cut off. */
static int check_shape(const struct proof_job *job, uint64_t *n_clusters, struct error *err)
{
	uint64_t now = job->archive->drives[job->drive].size_bytes;
	uint64_t then = job->parent_bytes;

	*n_clusters = now == then ? clusters_of(now) : least(now, then) / CLUSTER_SIZE;
	return changes_resized(job->changes, then, now, err);
}

static struct drive_proof begin_record(const struct proof_job *job, uint32_t slices)
{
	const struct drive_proof *before = &job->parent_mark->proof;
	uint64_t n_all = clusters_of(job->archive->drives[job->drive].size_bytes);
	struct drive_proof record = {.verdict = PROOF_RIGHT,
				     .slices = slices,
				     .from = before->verdict == PROOF_NONE ? 0 : proof_end(before),
				     .n_points = proof_share(slices),
				     .since_ns = job->archive->created_ns};

	record.n_listed = count_set(&job->changes->set, 0, n_all);
	record.n_unchanged = n_all - record.n_listed;
	return record;
}

/* What was read, and changed before the instant, is not taken as unchanged. */
int proof_none(const struct proof_job *job, struct drive_proof *record, struct error *err)
{
	struct drive_proof before = *record;
	uint64_t n_clusters;

	TRY(check_shape(job, &n_clusters, err));
	*record = begin_record(job, before.verdict == PROOF_RIGHT ? before.slices : 0);
	if (before.verdict == PROOF_RIGHT)
		record->n_right = least(before.n_right, record->n_unchanged);
	return 0;
}

static int prove(struct proof *proof, struct drive_proof *out, const struct watcher *watcher,
		 struct error *err)
{
	struct drive_proof record;
	int code;

	proof->state = calloc(1, proof->job->sums->state_size);
	if (proof->state == NULL)
		return fail_memory(err);
	seed(proof);
	TRY(check_shape(proof->job, &proof->n_clusters, err));
	record = begin_record(proof->job, proof->options->slices);
	proof->from = record.from;
	proof->n_points = record.n_points;
	TRY(survey(proof, err));
	code = read_all(proof, &record, watcher, err);
	if (record.n_wrong > 0) {
		record.verdict = PROOF_WRONG;
		record.n_points = PROOF_CIRCLE;
	}
	if (code == 0 || record.n_wrong > 0)
		*out = record;
	return code;
}

int proof_run(const struct proof_job *job, const struct proof_options *options,
	      struct drive_proof *out, const struct watcher *watcher, struct error *err)
{
	struct proof *proof = calloc(1, sizeof(*proof));
	int code;

	if (proof == NULL)
		return fail_memory(err);
	proof->job = job;
	proof->options = options;
	code = prove(proof, out, watcher, err);
	for (enum rule rule = 0; rule < N_RULES; rule++)
		cluster_set_free(&proof->sets[rule]);
	free(proof->state);
	free(proof);
	return code;
}

/* ---- lineage ---- */

int proof_check_since(const struct proof_job *job, const struct proof_options *options,
		      struct error *err)
{
	const struct text *token = &job->parent_mark->token;
	const char *since = job->changes->since;
	char name[80], texts[2][200];

	drive_text(job, name, sizeof(name));
	if (since != NULL && token->length > 0) {
		if (drive_mark_names(job->parent_mark, since))
			return 0;
		return fail(err, ERR_USAGE,
			    "drive %s: its change list is since '%s', but the parent shows '%s': "
			    "make a list since that, or give none, and all of it is compared",
			    name,
			    escape_text(texts[0], sizeof(texts[0]), (const uint8_t *)since,
					strlen(since)),
			    escape_text(texts[1], sizeof(texts[1]), token->bytes, token->length));
	}
	if (options->since_unchecked)
		return 0;
	return fail(err, ERR_USAGE,
		    "drive %s: %s, so nothing shows that the one begins where the other ends: give "
		    "no list, and all of it is compared, or --since-unchecked if you know that it "
		    "does",
		    name,
		    since == NULL ? "its change list does not say since when it is"
				  : "the parent has no token (--token) to hold against its list");
}
