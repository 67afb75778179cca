#include "cli/live_state.h"

#include "base/background.h"
#include "cli/control.h"
#include "cow/buffer.h"

#include <string.h>

struct piece {
	uint32_t chunk;
	uint32_t first, n_clusters; /* of the chunk */
	struct runs zeros;
	struct run data[RUNS_MAX]; /* n_data of them */
	uint32_t n_data;
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

static int parse_chunk(struct live *live, const struct json_t *message, struct error *err)
{
	struct current *current = &live->current;
	uint64_t index, n_clusters = 0;
	uint32_t n_pieces;

	if (!json_member_number(message, "chunk", &index) || index >= live->n_chunks ||
	    parse_runs(live, json_member(message, "data"), &current->data) < 0 ||
	    parse_runs(live, json_member(message, "zeros"), &current->zeros) < 0 ||
	    atomic_load(&live->in_use[index]) != 0)
		return live_fail_nonsense(err);
	for (uint32_t i = 0; i < current->data.n; i++) {
		if (current->data.items[i].n_clusters > CHUNK_CLUSTERS - n_clusters)
			return live_fail_nonsense(err);
		n_clusters += current->data.items[i].n_clusters;
	}
	current->index = (uint32_t)index;
	current->n_clusters = (uint32_t)n_clusters;
	current->n_given = 0;
	n_pieces = (current->n_clusters + live->piece_clusters - 1) / live->piece_clusters;
	atomic_store(&live->in_use[index], n_pieces > 0 ? n_pieces : 1);
	return 0;
}

/* 1: a chunk, 0: there is no more, negative. While it is worked on the next one is on its way. */
static int receive_chunk(struct live *live, struct error *err)
{
	struct json_t *message;
	enum state state;
	int code;

	pthread_mutex_lock(&live->lock);
	while (live->state == WAITING)
		pthread_cond_wait(&live->changed, &live->lock);
	state = live->state;
	message = live->message;
	live->message = NULL;
	if (state == CHUNK)
		live->state = WAITING;
	if (state == FAILED)
		*err = live->err;
	pthread_cond_broadcast(&live->changed);
	pthread_mutex_unlock(&live->lock);
	if (state != CHUNK)
		return state == DONE ? 0 : err->code;
	code = parse_chunk(live, message, err);
	json_free(message);
	if (code == 0)
		code = live_ask_next(live, err);
	return code == 0 ? 1 : code;
}

/* The runs of the next n clusters, taken off the front. */
static void take_runs(struct runs *from, uint32_t n, struct piece *to)
{
	uint32_t used = 0;

	for (to->n_data = 0; n > 0; to->n_data++) {
		struct run *run = &from->items[used], *part = &to->data[to->n_data];
		*part = *run;
		if (part->n_clusters > n)
			part->n_clusters = n;
		n -= (uint32_t)part->n_clusters;
		run->cluster += part->n_clusters;
		run->n_clusters -= part->n_clusters;
		used += run->n_clusters == 0;
	}
	from->n -= used;
	memmove(from->items, from->items + used, from->n * sizeof(from->items[0]));
}

static int next_piece(void *context, void *opaque, struct error *err)
{
	struct live *live = context;
	struct current *current = &live->current;
	struct piece *piece = opaque;
	uint32_t left = current->n_clusters - current->n_given;

	if (left == 0) {
		int got = receive_chunk(live, err);
		if (got <= 0)
			return got;
		left = current->n_clusters;
	}
	piece->chunk = current->index;
	piece->first = current->n_given;
	piece->n_clusters = left < live->piece_clusters ? left : live->piece_clusters;
	take_runs(&current->data, piece->n_clusters, piece);
	current->n_given += piece->n_clusters;
	piece->zeros = current->zeros;
	current->zeros.n = 0;
	return 1;
}

/* A server that has gone is found out by the feed's next. */
static void give_back(void *context, void *loan)
{
	struct live *live = context;
	uintptr_t index = (uintptr_t)loan;
	struct json_t *message;
	struct error ignored;

	if (atomic_fetch_sub(&live->in_use[index], 1) != 1)
		return;
	message = control_request("release");
	json_put_number(message, "chunk", index);
	control_send(live->fd, message, -1, &ignored);
}

static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	struct live *live = context;
	const struct piece *piece = opaque;
	uint8_t *bytes = live->memory + (size_t)piece->chunk * CHUNK_SIZE +
			 (size_t)piece->first * CLUSTER_SIZE;
	uint32_t n_packed = 0;

	(void)err;
	batch_borrow(batch, bytes, give_back, live, (void *)(uintptr_t)piece->chunk);
	for (uint32_t i = 0; i < piece->n_data; i++) {
		const struct run *run = &piece->data[i];
		for (uint64_t n = 0; n < run->n_clusters; n++, bytes += CLUSTER_SIZE) {
			batch_cluster(batch, run->drive, run->cluster + n, bytes);
			if (++n_packed % BACKGROUND_STRETCH == 0)
				background_pause();
		}
	}
	for (uint32_t i = 0; i < piece->zeros.n; i++)
		batch_zeros(batch, piece->zeros.items[i].drive, piece->zeros.items[i].cluster,
			    piece->zeros.items[i].n_clusters);
	return 0;
}

struct feed live_feed(struct live *live, uint32_t piece_clusters)
{
	live->piece_clusters = piece_clusters;
	return (struct feed){
		.context = live,
		.piece_size = sizeof(struct piece),
		.next = next_piece,
		.fill = fill_batch,
	};
}
