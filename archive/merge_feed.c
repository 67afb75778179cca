#include "archive/merge_feed.h"

#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/reader.h"

#include <stdlib.h>
#include <string.h>

/* A link that is being read, or whose last extents are. */
struct merge_part {
	struct opened_archive older; /* closed with it; not used for the newest */
	const struct opened_archive *opened;
	const char *path; /* borrowed */
	atomic_uint n_users;
};

#define NO_DRIVE UINT32_MAX

struct piece {
	struct merge_part *part;
	bool whole; /* goes out as it is stored */
	uint64_t place;
	struct section extent; /* drives are still the link's; or with zeros alone the newest's */
	uint32_t drive[SLOTS_MAX]; /* the newest's, of data that no newer link held; NO_DRIVE */
	uint8_t *stored;	   /* owned; PAYLOAD_SIZE_MAX */
	uint8_t scratch[CLUSTER_SIZE];
};

/* ---- links ---- */

static void part_release(struct merge_part *part)
{
	if (part == NULL || atomic_fetch_sub(&part->n_users, 1) > 1)
		return;
	archive_close(&part->older);
	free(part);
}

static int begin_part(struct merge_feed *feed, unsigned link, struct merge_part *part,
		      struct error *err)
{
	part->path = feed->chain->links[link].path;
	part->opened = link == 0 ? feed->newest : &part->older;
	if (link > 0)
		TRY(chain_open(&part->older, feed->chain, link, 0, err));
	return layers_begin(&feed->layers, part->opened->archive, err);
}

/* Goes on to the next link. 1: done, 0: there is none. */
static int next_part(struct merge_feed *feed, struct error *err)
{
	struct merge_part *part;
	int code;

	if (feed->part != NULL)
		feed->place += input_taken(feed->part->opened->input);
	part_release(feed->part);
	feed->part = NULL;
	if (feed->n_links == feed->chain->n)
		return 0;
	part = calloc(1, sizeof(*part));
	if (part == NULL)
		return fail_memory(err);
	atomic_init(&part->n_users, 1);
	feed->part = part;
	code = begin_part(feed, feed->n_links++, part, err);
	if (code != 0)
		error_in_file(err, part->path);
	return code == 0 ? 1 : code;
}

/* ---- what is current ---- */

/* A last cluster of a drive that had another size may hold blocks that it has no more. */
static bool has_same_end(const struct merge_feed *feed, const struct slot *slot, uint32_t drive)
{
	uint64_t size = feed->newest->archive->drives[drive].size_bytes;
	uint64_t old = feed->part->opened->archive->drives[slot->drive].size_bytes;
	uint64_t end = (slot->cluster + slot->n_clusters) * CLUSTER_SIZE;

	return size == old || (end <= size && end <= old);
}

static bool is_whole(const struct merge_feed *feed, const struct section *extent)
{
	uint32_t drive;
	bool held;

	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		uint64_t n = slot->n_clusters;

		if (layers_wanted(&feed->layers, slot, &drive) < n ||
		    !has_same_end(feed, slot, drive) ||
		    cluster_set_run(&feed->layers.held[drive], slot->cluster, n, &held) < n || held)
			return false;
	}
	return feed->as_stored && extent->raw_size > 0;
}

static int take_whole(struct merge_feed *feed, struct section *extent, struct error *err)
{
	for (uint32_t i = 0; i < extent->n_slots; i++) {
		struct slot *slot = &extent->slots[i];

		slot->drive = feed->layers.drive_of[slot->drive];
		TRY(cluster_set_include(&feed->layers.held[slot->drive], slot->cluster,
					slot->n_clusters, err));
		if (slot->mask != 0)
			feed->n_copied++;
	}
	return 0;
}

/* Zeros are set aside. *any: some of the data is current. */
static int take_slots(struct merge_feed *feed, struct piece *piece, bool *any, struct error *err)
{
	uint32_t drive;

	for (uint32_t i = 0; i < piece->extent.n_slots; i++) {
		const struct slot *slot = &piece->extent.slots[i];
		uint64_t n = layers_wanted(&feed->layers, slot, &drive);

		piece->drive[i] = NO_DRIVE;
		if (slot->mask != 0 && n > 0 &&
		    !cluster_set_has(&feed->layers.held[drive], slot->cluster)) {
			piece->drive[i] = drive;
			*any = true;
			TRY(cluster_set_include(&feed->layers.held[drive], slot->cluster, 1, err));
		}
		if (slot->mask != 0 || n == 0)
			continue;
		feed->zeros[feed->n_zeros] = *slot;
		feed->zeros[feed->n_zeros].drive = drive;
		feed->zeros[feed->n_zeros++].n_clusters = n;
	}
	return 0;
}

/* The parts of runs of zeros that no newer link held. They may be many more than the runs. */
static int give_zeros(struct merge_feed *feed, struct section *out, struct error *err)
{
	out->n_slots = out->raw_size = 0;
	while (feed->next_zeros < feed->n_zeros && out->n_slots < SLOTS_MAX) {
		struct slot *run = &feed->zeros[feed->next_zeros],
			    *part = &out->slots[out->n_slots];
		struct cluster_set *held = &feed->layers.held[run->drive];
		bool is_held;

		*part = *run;
		part->n_clusters = cluster_set_run(held, run->cluster, run->n_clusters, &is_held);
		run->cluster += part->n_clusters;
		run->n_clusters -= part->n_clusters;
		feed->next_zeros += run->n_clusters == 0;
		if (is_held)
			continue;
		TRY(cluster_set_include(held, part->cluster, part->n_clusters, err));
		out->n_slots++;
	}
	return 0;
}

/* 1: it has something for the new archive, 0: nothing. */
static int take_extent(struct merge_feed *feed, struct piece *piece, struct error *err)
{
	bool any = false;

	piece->whole = is_whole(feed, &piece->extent);
	if (piece->whole) {
		TRY(take_whole(feed, &piece->extent, err));
		return 1;
	}
	feed->n_zeros = feed->next_zeros = 0;
	TRY(take_slots(feed, piece, &any, err));
	return any;
}

/* ---- the feed ---- */

static int read_piece(struct merge_feed *feed, struct piece *piece, struct error *err)
{
	int code = 0;

	while (code == 0) {
		if (feed->next_zeros < feed->n_zeros) {
			piece->whole = false;
			TRY(give_zeros(feed, &piece->extent, err));
			code = piece->extent.n_slots > 0;
			continue;
		}
		int got = feed->part == NULL ? 0
					     : reader_next(feed->part->opened->reader,
							   &piece->extent, piece->stored, err);
		if (got < 0)
			error_in_file(err, feed->part->path);
		if (got <= 0)
			got = got == 0 ? next_part(feed, err) : got;
		else
			code = take_extent(feed, piece, err);
		if (got <= 0)
			return got;
	}
	return code;
}

static int next_piece(void *context, void *opaque, struct error *err)
{
	struct merge_feed *feed = context;
	struct piece *piece = opaque;
	int code;

	if (piece->stored == NULL)
		piece->stored = malloc(PAYLOAD_SIZE_MAX);
	if (piece->stored == NULL)
		return fail_memory(err);
	code = read_piece(feed, piece, err);
	if (code <= 0)
		return code;
	piece->part = feed->part;
	atomic_fetch_add(&piece->part->n_users, 1);
	piece->place = feed->place + input_taken(piece->part->opened->input);
	return 1;
}

/* Only a wrong parent has data where the drive of the newest archive has no more room. */
static int check_end(const struct merge_feed *feed, const struct slot *slot, uint32_t drive,
		     const uint8_t *cluster, struct error *err)
{
	uint64_t left =
		feed->newest->archive->drives[drive].size_bytes - slot->cluster * CLUSTER_SIZE;

	if (left >= CLUSTER_SIZE || all_zero(cluster + left, CLUSTER_SIZE - left))
		return 0;
	return fail(err, ERR_DAMAGED,
		    "drive @%u: cluster %llu has data past the end that the drive has in %s",
		    slot->drive + 1, (unsigned long long)slot->cluster, feed->newest->name);
}

/* A last cluster may have blocks that the drive of the newest archive has no more. */
static int add_cluster(const struct merge_feed *feed, struct piece *piece, uint32_t i,
		       const uint8_t *blocks, struct batch *batch, struct error *err)
{
	struct slot slot = piece->extent.slots[i];
	uint64_t size = feed->newest->archive->drives[piece->drive[i]].size_bytes;
	const uint8_t *cluster;

	TRY(extent_cluster(piece->part->opened->archive, &piece->extent, i, blocks, piece->scratch,
			   &cluster, err));
	TRY(check_end(feed, &slot, piece->drive[i], cluster, err));
	slot.drive = piece->drive[i];
	if (feed->to_vmab && (slot.cluster + 1) * CLUSTER_SIZE <= size)
		batch_checked(batch, &slot, blocks);
	else
		batch_cluster(batch, slot.drive, slot.cluster, cluster);
	return 0;
}

/* The blocks are packed as in feed_reader.c. */
static int fill_current(const struct merge_feed *feed, struct piece *piece, struct batch *batch,
			struct error *err)
{
	const uint8_t *blocks;

	TRY(extent_open(piece->part->opened->archive, &piece->extent, piece->stored,
			batch_buffer(batch), &blocks, err));
	for (uint32_t i = 0; i < piece->extent.n_slots; i++) {
		if (piece->drive[i] != NO_DRIVE)
			TRY(add_cluster(feed, piece, i, blocks, batch, err));
		blocks += (size_t)__builtin_popcount(piece->extent.slots[i].mask) * BLOCK_SIZE;
	}
	return 0;
}

static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	const struct merge_feed *feed = context;
	struct piece *piece = opaque;
	const struct section *extent = &piece->extent;
	int code = 0;

	batch_place(batch, piece->place);
	if (piece->whole) {
		code = extent_scrub(piece->part->opened->archive, extent, piece->stored, err);
		if (code == 0)
			batch_extent(batch, extent, &piece->stored);
	} else if (extent->raw_size > 0) {
		code = fill_current(feed, piece, batch, err);
	} else {
		for (uint32_t i = 0; i < extent->n_slots; i++)
			batch_zeros(batch, extent->slots[i].drive, extent->slots[i].cluster,
				    extent->slots[i].n_clusters);
	}
	if (code != 0)
		error_in_file(err, piece->part->path);
	part_release(piece->part);
	return code;
}

static void drop_piece(void *opaque)
{
	free(((struct piece *)opaque)->stored);
}

/* What the oldest link can have left to a parent of its own need not be here. */
static int check_complete(void *context, struct error *err)
{
	const struct merge_feed *feed = context;
	const struct chain *chain = feed->chain;

	return layers_check(&feed->layers, chain->links[0].path,
			    !all_zero(chain->links[chain->n - 1].parent, UUID_SIZE), err);
}

/* 0: of some it is not known. */
static uint64_t measure(const struct chain *chain)
{
	uint64_t total = 0;
	struct stat status;

	for (unsigned i = 0; i < chain->n; i++) {
		if (stat(chain->links[i].path, &status) != 0 || !S_ISREG(status.st_mode))
			return 0;
		total += (uint64_t)status.st_size;
	}
	return total;
}

int merge_feed_open(struct merge_feed *out, const struct chain *chain,
		    const struct opened_archive *newest, bool to_vmab, bool as_stored,
		    struct error *err)
{
	*out = (struct merge_feed){
		.chain = chain, .newest = newest, .to_vmab = to_vmab, .as_stored = as_stored};
	TRY(layers_open(&out->layers, newest->archive, err));
	out->zeros = malloc(SLOTS_MAX * sizeof(*out->zeros));
	if (out->zeros == NULL)
		return fail_memory(err);
	out->total_bytes = measure(chain);
	return 0;
}

struct feed merge_feed_of(struct merge_feed *feed)
{
	return (struct feed){
		.context = feed,
		.piece_size = sizeof(struct piece),
		.next = next_piece,
		.uneven = true,
		.fill = fill_batch,
		.drop = drop_piece,
		.ended = check_complete,
		.ended_context = feed,
		.has_places = true,
		.total_bytes = feed->total_bytes,
	};
}

void merge_feed_close(struct merge_feed *feed)
{
	part_release(feed->part);
	layers_close(&feed->layers);
	free(feed->zeros);
}
