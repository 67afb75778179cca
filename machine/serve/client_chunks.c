#include "machine/serve/client_state.h"

#include "base/clock.h"
#include "machine/message.h"

#include <errno.h>

/* ---- what the server says ---- */

static int parse_run(const struct machine *client, const struct json_t *item,
		     struct chunk_zeros *out)
{
	uint64_t drive, n_all;

	if (!json_item_number(item, 0, &drive) || !json_item_number(item, 1, &out->cluster) ||
	    !json_item_number(item, 2, &out->n_clusters) || drive >= client->n_drives)
		return -1;
	out->drive = (uint32_t)drive;
	n_all = clusters_of(client->drives[drive].size_bytes);
	return out->n_clusters > 0 && out->cluster < n_all &&
			       out->n_clusters <= n_all - out->cluster
		       ? 0
		       : -1;
}

static int parse_data(const struct machine *client, const struct json_t *runs, struct chunk *chunk)
{
	size_t n = json_length(runs);
	struct chunk_zeros run;

	chunk->n_clusters = 0;
	for (size_t i = 0; i < n; i++) {
		if (parse_run(client, json_item(runs, i), &run) < 0 ||
		    run.n_clusters > CHUNK_CLUSTERS - chunk->n_clusters)
			return -1;
		for (uint64_t j = 0; j < run.n_clusters; j++)
			chunk->clusters[chunk->n_clusters++] =
				(struct chunk_cluster){run.drive, run.cluster + j};
	}
	return runs == NULL ? -1 : 0;
}

static int parse_zeros(const struct machine *client, const struct json_t *runs, struct chunk *chunk)
{
	size_t n = json_length(runs);

	if (runs == NULL || n > CHUNK_ZEROS)
		return -1;
	chunk->n_zeros = (uint32_t)n;
	for (uint32_t i = 0; i < chunk->n_zeros; i++) {
		if (parse_run(client, json_item(runs, i), &chunk->zeros[i]) < 0)
			return -1;
	}
	return 0;
}

static int parse_chunk(struct machine *client, const struct json_t *message,
		       struct chunk_piece *piece, struct error *err)
{
	uint32_t size = client->source.piece_clusters, n_pieces;
	struct chunk *chunk = &piece->own;
	unsigned unused = 0;
	uint64_t index;

	if (!json_member_number(message, "chunk", &index) || index >= client->n_chunks ||
	    parse_data(client, json_member(message, "data"), chunk) < 0 ||
	    parse_zeros(client, json_member(message, "zeros"), chunk) < 0)
		return message_unexpected(err);
	n_pieces = (chunk->n_clusters + size - 1) / size;
	n_pieces = n_pieces > 0 ? n_pieces : 1; /* zeros */
	if (!atomic_compare_exchange_strong(&client->in_use[index], &unused, n_pieces + 1))
		return message_unexpected(err);
	chunk->index = (uint32_t)index;
	chunk->bytes = client->memory + (size_t)index * CHUNK_SIZE;
	piece->chunk = chunk;
	piece->loan = (void *)(uintptr_t)index;
	piece->beside_guests = json_member_bool(message, "guests");
	return 0;
}

/* ---- what it is asked ---- */

/* {"execute": what, "chunks": those given back} */
static struct json_t *make_request_locked(struct machine *client, const char *what)
{
	struct json_t *request = json_make("{s:s}", "execute", what);
	struct json_t *chunks = json_put_array(request, "chunks");

	while (client->n_given_back > 0) {
		uint32_t chunk = client->given_back[--client->n_given_back];

		atomic_store(&client->in_use[chunk], 0);
		json_add_number(chunks, chunk);
	}
	return request;
}

/* A message of its own wakes up one more thread, so a chunk that is given back waits for the next
 * question; but not while guests are at work, which may need the memory before this thread has
 * written what it has. If they begin meanwhile they have the half of it that the sweep never uses.
 * Other threads find out when the server has gone, but not when memory is lacking for the message:
 * the server would wait for these chunks. */
static void give_back(void *context, void *loan)
{
	struct machine *client = context;
	uint32_t chunk = (uint32_t)(uintptr_t)loan;
	struct json_t *request = NULL;
	struct error err;
	bool at_once;

	if (atomic_fetch_sub(&client->in_use[chunk], 1) > 2)
		return;
	pthread_mutex_lock(&client->lock);
	client->given_back[client->n_given_back++] = chunk;
	at_once = client->guests_at_work;
	if (at_once)
		request = make_request_locked(client, "release");
	pthread_mutex_unlock(&client->lock);
	if (at_once && message_send(client->call.fd, request, -1, &err) < 0 && err.sys == ENOMEM) {
		client_fail(client, &err);
		client_cut(client);
	}
}

/* 1: a chunk, 0: that was all. */
static int look_at(struct machine *client, const struct json_t *message, struct error *err)
{
	struct json_t *done = json_member(message, "done");

	if (done != NULL && !json_read(done, "{}"))
		return message_unexpected(err);
	pthread_mutex_lock(&client->lock);
	if (done != NULL && client->counts == NULL)
		client->counts = json_share(done);
	client->guests_at_work = json_member_bool(message, "guests");
	pthread_mutex_unlock(&client->lock);
	return done == NULL ? 1 : 0;
}

static int exchange(struct machine *client, int channel, struct json_t *request,
		    struct json_t **reply, struct error *err)
{
	int got;

	if (message_send(channel, request, -1, err) < 0)
		return err->sys == ENOMEM ? err->code : client_find_reason(client, err);
	got = message_receive(channel, reply, NULL, err);
	return got == 0 ? client_find_reason(client, err) : got;
}

/* Asks for the next chunk. 1: what came, owned by the caller; 0: there is no more; negative. */
static int ask(struct machine *client, int channel, struct json_t **chunk, struct error *err)
{
	struct json_t *request = NULL;
	bool all_came;
	int got;

	/* Once one thread was told that this is all, no other need ask. */
	pthread_mutex_lock(&client->lock);
	all_came = client->counts != NULL;
	if (!all_came)
		request = make_request_locked(client, "next");
	pthread_mutex_unlock(&client->lock);
	if (all_came)
		return 0;
	if (!client->snapshot && atomic_fetch_add(&client->n_asking, 1) == 0)
		atomic_store(&client->heard_ms, clock_ms());
	got = exchange(client, channel, request, chunk, err);
	atomic_store(&client->heard_ms, clock_ms());
	if (!client->snapshot)
		atomic_fetch_sub(&client->n_asking, 1);
	if (got <= 0)
		return got;
	got = look_at(client, *chunk, err);
	if (got <= 0)
		json_free(*chunk);
	return got;
}

/* ---- the source ---- */

static int take_channel(struct machine *client)
{
	uint32_t i = atomic_fetch_add(&client->n_taken, 1);

	return i < client->n_channels ? client->channels[i] : -1;
}

static int next_chunk(void *context, struct chunk_piece *piece, struct error *err)
{
	struct machine *client = context;
	struct json_t *message;
	int got;

	if (!piece->has_channel)
		piece->channel = take_channel(client);
	piece->has_channel = true;
	got = ask(client, piece->channel, &message, err);
	if (got <= 0)
		return got;
	if (parse_chunk(client, message, piece, err) < 0)
		got = err->code;
	json_free(message);
	return got;
}

struct chunk_source client_chunks(struct machine *client, uint32_t piece_clusters)
{
	return (struct chunk_source){
		.context = client,
		.piece_clusters = piece_clusters,
		.in_any_order = true,
		.next = next_chunk,
		.give_back = give_back,
	};
}
