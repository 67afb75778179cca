#include "machine/serve/client_state.h"

#include "base/background.h"
#include "base/json.h"
#include "cow/buffer.h"
#include "machine/serve/message.h"

#define RUNS_MAX 64u /* of data or of zeros, in a chunk */

/* As a message has them, checked. */
struct run {
	uint32_t drive;
	uint64_t cluster, n_clusters;
};

struct runs {
	uint32_t n;
	struct run items[RUNS_MAX];
};

/* A worker's chunk: one piece of work, or several of piece_clusters each, one after the other. */
struct piece {
	bool has_channel;
	int channel;
	uint32_t chunk;
	bool beside_guests;
	uint32_t n_clusters, n_given;
	struct runs data, zeros; /* what is left of them */
};

static int parse_run(const struct live *live, const struct json_t *item, struct run *out)
{
	uint64_t drive, n_all;

	if (!json_item_number(item, 0, &drive) || !json_item_number(item, 1, &out->cluster) ||
	    !json_item_number(item, 2, &out->n_clusters) || drive >= live->n_drives)
		return -1;
	out->drive = (uint32_t)drive;
	n_all = clusters_of(live_drive_size(live, out->drive));
	return out->n_clusters > 0 && out->cluster < n_all &&
			       out->n_clusters <= n_all - out->cluster
		       ? 0
		       : -1;
}

static int parse_runs(const struct live *live, const struct json_t *items, struct runs *out)
{
	size_t n = json_length(items);

	if (items == NULL || n > RUNS_MAX)
		return -1;
	out->n = (uint32_t)n;
	for (uint32_t i = 0; i < out->n; i++) {
		if (parse_run(live, json_item(items, i), &out->items[i]) < 0)
			return -1;
	}
	return 0;
}

static int parse_chunk(struct live *live, const struct json_t *message, struct piece *piece,
		       struct error *err)
{
	uint64_t index, n_clusters = 0, n_pieces;
	unsigned unused = 0;

	if (!json_member_number(message, "chunk", &index) || index >= live->n_chunks ||
	    parse_runs(live, json_member(message, "data"), &piece->data) < 0 ||
	    parse_runs(live, json_member(message, "zeros"), &piece->zeros) < 0)
		return message_unexpected(err);
	for (uint32_t i = 0; i < piece->data.n; i++) {
		if (piece->data.items[i].n_clusters > CHUNK_CLUSTERS - n_clusters)
			return message_unexpected(err);
		n_clusters += piece->data.items[i].n_clusters;
	}
	n_pieces = (n_clusters + live->piece_clusters - 1) / live->piece_clusters;
	n_pieces = n_pieces > 0 ? n_pieces : 1; /* zeros */
	if (!atomic_compare_exchange_strong(&live->in_use[index], &unused, (unsigned)n_pieces + 1))
		return message_unexpected(err);
	piece->n_clusters = (uint32_t)n_clusters;
	piece->n_given = 0;
	piece->chunk = (uint32_t)index;
	piece->beside_guests = json_member_bool(message, "guests");
	return 0;
}

static int next_piece(void *context, void *opaque, struct error *err)
{
	struct live *live = context;
	struct piece *piece = opaque;
	struct json_t *message;
	int got;

	if (piece->n_given < piece->n_clusters)
		return 1;
	if (!piece->has_channel)
		piece->channel = live_take_channel(live);
	piece->has_channel = true;
	got = live_ask(live, piece->channel, &message, err);
	if (got <= 0)
		return got;
	if (parse_chunk(live, message, piece, err) < 0)
		got = err->code;
	json_free(message);
	return got;
}

static void give_back(void *context, void *loan)
{
	live_give_back(context, (uint32_t)(uintptr_t)loan);
}

static void give_run(struct batch *batch, struct piece *piece, struct run *run, uint32_t n,
		     const uint8_t *bytes)
{
	for (uint32_t i = 0; i < n; i++, bytes += CLUSTER_SIZE) {
		batch_cluster(batch, run->drive, run->cluster++, bytes);
		if (++piece->n_given % BACKGROUND_STRETCH == 0 && piece->beside_guests)
			background_pause();
	}
	run->n_clusters -= n;
}

/* Runs that were used up stay, with no clusters. */
static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	struct live *live = context;
	struct piece *piece = opaque;
	struct runs *zeros = &piece->zeros;
	uint8_t *bytes = live->memory + (size_t)piece->chunk * CHUNK_SIZE;
	uint32_t end = piece->n_given + live->piece_clusters;

	(void)err;
	if (end > piece->n_clusters)
		end = piece->n_clusters;
	batch_borrow(batch, bytes + (size_t)piece->n_given * CLUSTER_SIZE, give_back, live,
		     (void *)(uintptr_t)piece->chunk);
	for (uint32_t i = 0; piece->n_given < end; i++) {
		struct run *run = &piece->data.items[i];
		uint32_t n = end - piece->n_given;
		if (n > run->n_clusters)
			n = (uint32_t)run->n_clusters;
		give_run(batch, piece, run, n, bytes + (size_t)piece->n_given * CLUSTER_SIZE);
	}
	for (uint32_t i = 0; i < zeros->n; i++)
		batch_zeros(batch, zeros->items[i].drive, zeros->items[i].cluster,
			    zeros->items[i].n_clusters);
	zeros->n = 0;
	return 0;
}

struct feed live_feed(struct live *live, uint32_t piece_clusters)
{
	live->piece_clusters = piece_clusters;
	return (struct feed){
		.context = live,
		.piece_size = sizeof(struct piece),
		.next = next_piece,
		.in_any_order = true,
		.fill = fill_batch,
	};
}
