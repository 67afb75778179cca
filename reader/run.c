/*
 * The reader on all processors. Workers take turns reading the next extent into buffers of their
 * own. Checking, decompressing and writing to the targets then need no lock: reader_next rejects
 * duplicate clusters, so no two workers ever write to the same place, and targets can seek, so the
 * order does not matter. A slow target blocks its worker and, once all are blocked, the input, so
 * the memory is limited.
 */
#include "base/clusterset.h"
#include "reader/random.h"
#include "drive/target.h"
#include "reader/input/input.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct run {
	struct reader *reader;
	struct random *random; /* NULL: in sequence */
	bool *wanted;	       /* for random: the drives that have a target */
	bool looks;	       /* with random: payloads that targets need are read, and no others */
	const struct archive *archive;
	const struct reader_job *job;
	pthread_mutex_t lock; /* guards the reader and all below */
	bool ended;	      /* nothing more to read */
	int code;
	struct error err; /* of code; the one nearest to the beginning of the archive */
};

/* A range of a drive to be written to the target; adjacent ranges are joined into one call. */
struct range {
	struct target *target;
	uint64_t offset;
	uint64_t n;
	const uint8_t *bytes; /* NULL: zeros */
};

struct worker {
	struct run *run;
	pthread_t thread;
	struct range pending;
	struct section extent;
	bool superseded[SLOTS_MAX]; /* slots that need no writing; with layers only */
	bool held[SLOTS_MAX];	    /* data that the target has already; with rollback only */
	bool differs;		    /* some is not; of the last look */
	uint8_t there[CLUSTER_SIZE];
	uint8_t scratch[CLUSTER_SIZE];
	uint8_t stored[PAYLOAD_SIZE_MAX];
	uint8_t raw[PAYLOAD_SIZE_MAX];
};

static int flush_range(struct worker *worker, struct error *err)
{
	struct range *range = &worker->pending;
	uint64_t n = range->n;

	range->n = 0;
	if (n == 0)
		return 0;
	return range->bytes != NULL
		       ? target_write(range->target, range->offset, range->bytes, n, err)
		       : target_zero(range->target, range->offset, n, err);
}

static int add_range(struct worker *worker, const struct range *more, struct error *err)
{
	struct range *range = &worker->pending;
	bool same_kind = (range->bytes == NULL) == (more->bytes == NULL);

	if (range->n != 0 && range->target == more->target && same_kind &&
	    range->offset + range->n == more->offset &&
	    (more->bytes == NULL || range->bytes + range->n == more->bytes)) {
		range->n += more->n;
		return 0;
	}
	TRY(flush_range(worker, err));
	*range = *more;
	return 0;
}

static uint64_t drive_size(const struct run *run, uint32_t drive)
{
	return run->job->layers != NULL ? run->job->layers[drive].size_bytes
					: run->archive->drives[drive].size_bytes;
}

/* Whole clusters, data or zeros. A cluster in scratch is flushed: scratch is reused for the next
 * one. */
static int put_clusters(struct worker *worker, const struct slot *slot, struct range *range,
			const uint8_t *cluster, struct error *err)
{
	uint64_t size_bytes = drive_size(worker->run, slot->drive);

	range->n = slot->n_clusters * CLUSTER_SIZE;
	if (range->n > size_bytes - range->offset)
		range->n = size_bytes - range->offset;
	range->bytes = slot->mask != 0 ? cluster : NULL;
	TRY(add_range(worker, range, err));
	return range->bytes == worker->scratch ? flush_range(worker, err) : 0;
}

/* The target gets nothing past the end of the drive. */
static int put_slot(struct worker *worker, const struct slot *slot, const uint8_t *blocks,
		    const uint8_t *cluster, struct error *err)
{
	uint64_t size_bytes = drive_size(worker->run, slot->drive);
	struct range range = {.target = worker->run->job->targets[slot->drive],
			      .offset = slot->cluster * CLUSTER_SIZE};

	if (slot->mask == 0 || slot->mask == 0xffff || target_compares(range.target) ||
	    target_takes_clusters(range.target))
		return put_clusters(worker, slot, &range, cluster, err);
	for (uint32_t j = 0; j < CLUSTER_BLOCKS && range.offset < size_bytes; j++) {
		bool stored = (slot->mask >> j & 1) != 0;
		uint64_t left = size_bytes - range.offset;
		range.n = left < BLOCK_SIZE ? left : BLOCK_SIZE;
		range.bytes = stored ? blocks : NULL;
		TRY(add_range(worker, &range, err));
		blocks += stored ? BLOCK_SIZE : 0;
		range.offset += BLOCK_SIZE;
	}
	return 0;
}

static void count(const struct run *run, const struct slot *slot)
{
	struct reader_counts *counts = run->job->counts;
	bool unwanted = run->job->targets != NULL && run->job->targets[slot->drive] == NULL;

	if (counts == NULL || unwanted)
		return;
	uint64_t n = slot->n_clusters * CLUSTER_SIZE;
	uint64_t left = drive_size(run, slot->drive) - slot->cluster * CLUSTER_SIZE;
	counts->covered_bytes += n < left ? n : left;
	counts->drive = slot->drive;
}

/* The parts of a run of zeros that no newer archive held. */
static int zero_layer(struct worker *worker, const struct slot *slot, uint64_t n, struct error *err)
{
	const struct run *run = worker->run;
	struct cluster_set *newer = run->job->layers[slot->drive].newer;
	struct slot part = *slot;
	bool superseded;

	for (uint64_t end = slot->cluster + n; part.cluster < end;
	     part.cluster += part.n_clusters) {
		struct range range = {.target = run->job->targets[slot->drive],
				      .offset = part.cluster * CLUSTER_SIZE};
		part.n_clusters =
			cluster_set_run(newer, part.cluster, end - part.cluster, &superseded);
		if (superseded)
			continue;
		TRY(put_clusters(worker, &part, &range, NULL, err));
		count(run, &part);
	}
	return cluster_set_include(newer, slot->cluster, n, err);
}

/* Decides slot by slot, in the order in which extents are taken, and so under the lock; zeros cost
 * little and are made at once. *any: something has to be decoded. */
static int take_layer_locked(struct worker *worker, bool *any, struct error *err)
{
	const struct run *run = worker->run;

	*any = false;
	for (uint32_t i = 0; i < worker->extent.n_slots; i++) {
		const struct slot *slot = &worker->extent.slots[i];
		const struct reader_layer *layer = &run->job->layers[slot->drive];
		uint64_t n = slot->n_clusters, n_all;

		worker->superseded[i] = true;
		if (run->job->targets[slot->drive] == NULL)
			continue;
		n_all = layer->n_clusters;
		if (slot->cluster >= n_all) /* the drive was larger then */
			continue;
		n = n < n_all - slot->cluster ? n : n_all - slot->cluster;
		if (slot->mask == 0) {
			TRY(zero_layer(worker, slot, n, err));
			continue;
		}
		worker->superseded[i] = cluster_set_has(layer->newer, slot->cluster);
		*any |= !worker->superseded[i];
		TRY(cluster_set_include(layer->newer, slot->cluster, 1, err));
	}
	return flush_range(worker, err);
}

static bool is_wanted(const struct worker *worker, uint32_t slot)
{
	const struct reader_job *job = worker->run->job;

	return (job->layers == NULL || !worker->superseded[slot]) && job->targets != NULL &&
	       job->targets[worker->extent.slots[slot].drive] != NULL;
}

static uint64_t bytes_of(const struct run *run, const struct slot *slot)
{
	uint64_t left = drive_size(run, slot->drive) - slot->cluster * CLUSTER_SIZE;

	return left < CLUSTER_SIZE ? left : CLUSTER_SIZE;
}

/* Whether the target has a cluster, by the checksum of the slot, or by its bytes where the archive
 * has none. What cannot be read is to be written. */
static bool has_cluster(struct worker *worker, const struct slot *slot, const uint8_t *cluster)
{
	const struct run *run = worker->run;
	size_t n = (size_t)bytes_of(run, slot);
	uint8_t sum[CHECKSUM_SIZE];

	if (!target_compares(run->job->targets[slot->drive]) ||
	    target_read(run->job->targets[slot->drive], slot->cluster * CLUSTER_SIZE, worker->there,
			n) != 0)
		return false;
	if (cluster != NULL)
		return memcmp(worker->there, cluster, n) == 0;
	memset(worker->there + n, 0, CLUSTER_SIZE - n);
	checksum_cluster(run->archive->cluster_checksum, worker->there, sum);
	return memcmp(sum, slot->checksum, CHECKSUM_SIZE) == 0;
}

/* Before anything is decoded. True: some data differs, or may. */
static bool look_at_targets(struct worker *worker)
{
	bool any = false, can_tell = worker->run->archive->cluster_checksum != CLUSTER_UNPROTECTED;

	for (uint32_t i = 0; i < worker->extent.n_slots; i++) {
		const struct slot *slot = &worker->extent.slots[i];
		bool wanted = slot->mask != 0 && is_wanted(worker, i);

		worker->held[i] = wanted && can_tell && has_cluster(worker, slot, NULL);
		any |= wanted && !worker->held[i];
	}
	return any;
}

/* For random_next. What lies elsewhere takes longer than this, so that the lock may be held. */
static int needs_payload(void *context, struct error *err)
{
	struct worker *worker = context;
	bool any;

	if (worker->run->job->layers != NULL)
		TRY(take_layer_locked(worker, &any, err));
	return worker->differs = look_at_targets(worker);
}

/* Writes a slot to its target, or leaves there what is the same. */
static int put_or_keep(struct worker *worker, uint32_t i, const uint8_t *blocks,
		       const uint8_t *cluster, struct error *err)
{
	const struct run *run = worker->run;
	const struct slot *slot = &worker->extent.slots[i];
	bool can_tell = run->archive->cluster_checksum != CLUSTER_UNPROTECTED;

	if (!run->job->rollback || slot->mask == 0 ||
	    !(can_tell ? worker->held[i] : has_cluster(worker, slot, cluster)))
		return put_slot(worker, slot, blocks, cluster, err);
	target_keep(run->job->targets[slot->drive], slot->cluster * CLUSTER_SIZE,
		    bytes_of(run, slot));
	return 0;
}

static int handle_extent(struct worker *worker, struct error *err)
{
	const struct run *run = worker->run;
	const struct section *extent = &worker->extent;
	const uint8_t *blocks = NULL, *cluster = NULL;
	bool scrub = run->job->scrub && run->archive->format == FORMAT_VMAB;
	bool decode = !scrub && (!run->job->rollback ||
				 (run->looks ? worker->differs : look_at_targets(worker)));

	if (scrub)
		TRY(extent_scrub(run->archive, extent, worker->stored, err));
	if (decode)
		TRY(extent_open(run->archive, extent, worker->stored, worker->raw, &blocks, err));
	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		bool skip = run->job->layers != NULL && worker->superseded[i];
		bool held = run->job->rollback && worker->held[i];
		if (slot->mask != 0 && decode && !skip && !held)
			TRY(extent_cluster(run->archive, extent, i, blocks, worker->scratch,
					   &cluster, err));
		if (is_wanted(worker, i))
			TRY(put_or_keep(worker, i, blocks, cluster, err));
		if (decode)
			blocks += (uint32_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
		if (!skip)
			count(run, slot);
	}
	return flush_range(worker, err);
}

/* Which of several errors is reported does not depend on timing: extents are taken in order, and
 * each one taken is processed, so the first bad one is always among them. */
static void note_error_locked(struct run *run, const struct error *err)
{
	bool earlier = err->has_place && run->err.has_place && err->place < run->err.place;

	if (run->code == 0 || earlier) {
		run->code = err->code;
		run->err = *err;
	}
}

static void note_place(const struct run *run)
{
	const struct reader_job *job = run->job;

	if (job->counts == NULL)
		return;
	job->counts->read_bytes = run->random != NULL ? random_read_bytes(run->random)
						      : reader_totals(run->reader)->archive_size;
	if (run->random != NULL)
		job->counts->place = random_passed(run->random);
	else if (job->in != NULL)
		job->counts->place = input_taken(job->in);
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct run *run = worker->run;
	const struct random_need need = {needs_payload, worker};
	struct error err = {0};

	pthread_mutex_lock(&run->lock);
	while (!run->ended && run->code == 0) {
		int got = run->random != NULL
				  ? random_next(run->random, &worker->extent, worker->stored,
						run->looks ? &need : NULL, &err)
				  : reader_next(run->reader, &worker->extent, worker->stored, &err);
		run->ended = got == 0;
		note_place(run);
		bool any = true;
		if (got > 0 && run->job->layers != NULL && !run->looks &&
		    take_layer_locked(worker, &any, &err) != 0)
			got = err.code;
		if (got > 0 && any) {
			pthread_mutex_unlock(&run->lock);
			got = handle_extent(worker, &err);
			pthread_mutex_lock(&run->lock);
		}
		if (got < 0)
			note_error_locked(run, &err);
	}
	pthread_mutex_unlock(&run->lock);
	return NULL;
}

/* Decides between random access and reading all in sequence. */
static int choose_access(struct run *run, struct error *err)
{
	const struct reader_job *job = run->job;
	uint32_t n_drives = run->archive->n_drives, n_wanted = 0;
	struct random_choice choice = {.end = UINT64_MAX, .layers = job->layers};

	if (job->seek_in == NULL || job->targets == NULL)
		return 0;
	run->wanted = calloc(n_drives + 1u, sizeof(*run->wanted));
	if (run->wanted == NULL)
		return fail_memory(err);
	choice.drives = run->wanted;
	for (uint32_t i = 0; i < n_drives; i++) {
		run->wanted[i] = job->targets[i] != NULL;
		n_wanted += run->wanted[i] ? 1 : 0;
	}
	run->looks = job->rollback && input_is_far(job->seek_in) &&
		     run->archive->cluster_checksum != CLUSTER_UNPROTECTED;
	if (n_wanted == n_drives && job->n_clusters == 0 && job->layers == NULL && !run->looks)
		return 0;
	if (job->n_clusters != 0) {
		choice.begin = job->begin;
		choice.end = job->begin + job->n_clusters;
	}
	int code = random_open(&run->random, run->reader, job->seek_in, &choice, err);
	if (code == 0 && job->n_clusters != 0)
		code = fail(err, ERR_UNSUPPORTED, "the archive has no index to seek by");
	if (code <= 0) {
		random_close(run->random);
		run->random = NULL;
		run->looks = false;
	}
	return code < 0 ? code : 0;
}

/* Fewer threads than requested suffice, if there is at least one. */
static void run_workers(struct run *run, struct worker **workers, unsigned n_threads)
{
	unsigned n_started = 0;
	int sys = 0;

	for (unsigned i = 0; i < n_threads; i++) {
		workers[i] = malloc(sizeof **workers); /* for a short run zeros would cost time */
		if (workers[i] == NULL) {
			sys = ENOMEM;
			break;
		}
		workers[i]->run = run;
		workers[i]->pending.n = 0;
		sys = pthread_create(&workers[i]->thread, NULL, work, workers[i]);
		if (sys != 0)
			break;
		n_started++;
	}
	if (n_started == 0)
		run->code = fail_start(&run->err, sys, "cannot start a thread");
	for (unsigned i = 0; i < n_started; i++)
		pthread_join(workers[i]->thread, NULL);
	for (unsigned i = 0; i < n_threads; i++)
		free(workers[i]);
}

int reader_run(struct reader *reader, const struct reader_job *job, struct error *err)
{
	struct run run = {.reader = reader, .archive = reader_archive(reader), .job = job};
	struct worker **workers = calloc(job->n_threads, sizeof(*workers));

	pthread_mutex_init(&run.lock, NULL);
	run.code = workers != NULL ? choose_access(&run, &run.err)
				   : fail(&run.err, ERR_SYSTEM, "no memory");
	if (run.code == 0)
		run_workers(&run, workers, job->n_threads);
	free(workers);
	random_close(run.random);
	free(run.wanted);
	pthread_mutex_destroy(&run.lock);
	if (run.code != 0)
		*err = run.err;
	return run.code;
}
