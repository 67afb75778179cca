/*
 * Ranges of an object, several asked for at a time. The first one after a move is small, and alone;
 * as long as reading goes on from there, more are asked for ahead: so little is fetched by who
 * reads here and there, and a connection's delay costs little to who reads on.
 */
#include "store/origin.h"
#include "store/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N_FETCHERS 4u
#define N_BLOCKS   6u
#define RANGE_SIZE (UINT64_C(8) << 20)	 /* of 2 MiB they cost Ceph a fifth more time */
#define FIRST_SIZE (UINT64_C(128) << 10) /* of a block after a move */
#define BLOCK_UNIT 4096u

enum block_state { BLOCK_FREE, BLOCK_WANTED, BLOCK_ASKED, BLOCK_THERE };

struct block {
	enum block_state state;
	uint64_t position, size;
	uint64_t round; /* in which it was wanted: after a move it is of no use */
	uint8_t *bytes; /* RANGE_SIZE; owned */
};

struct store_reader {
	struct origin origin;
	struct http *http;
	pthread_t threads[N_FETCHERS];
	unsigned n_threads;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct block blocks[N_BLOCKS];
	uint64_t position, up_to; /* of the next byte handed out, and as far as it may go on */
	uint64_t asked_to;	  /* blocks are wanted or there up to here */
	uint64_t round;
	unsigned ahead; /* how many blocks may be asked for */
	bool ended;
	struct error err;
};

/* ---- fetchers ---- */

static int fetch(struct store_reader *reader, struct http *http, const struct block *block,
		 struct error *err)
{
	const struct origin_range range = {block->position, block->size, block->bytes};

	return reader->origin.kind->fetch(&reader->origin, http, &range, err);
}

static struct block *take_wanted_locked(struct store_reader *reader)
{
	struct block *first = NULL;

	for (unsigned i = 0; i < N_BLOCKS; i++) {
		struct block *block = &reader->blocks[i];

		if (block->state == BLOCK_WANTED &&
		    (first == NULL || block->position < first->position))
			first = block;
	}
	return first;
}

static void *fetch_blocks(void *context)
{
	struct store_reader *reader = context;
	struct http *http = NULL;
	struct error err = {0};
	struct block *block;
	int code = http_open(&http, &err);

	pthread_mutex_lock(&reader->lock);
	while (code == 0 && !reader->ended) {
		block = take_wanted_locked(reader);
		if (block == NULL) {
			pthread_cond_wait(&reader->changed, &reader->lock);
			continue;
		}
		block->state = BLOCK_ASKED;
		pthread_mutex_unlock(&reader->lock);
		code = fetch(reader, http, block, &err);
		pthread_mutex_lock(&reader->lock);
		block->state = block->round == reader->round &&
					       block->position + block->size > reader->position
				       ? BLOCK_THERE
				       : BLOCK_FREE;
		pthread_cond_broadcast(&reader->changed);
	}
	if (code != 0 && reader->err.code == 0)
		reader->err = err;
	pthread_cond_broadcast(&reader->changed);
	pthread_mutex_unlock(&reader->lock);
	http_close(http);
	return NULL;
}

/* ---- the caller ---- */

/* What came along with the answer is the first block. */
static int find_origin(struct store_reader *reader, struct error *err)
{
	struct block *first = &reader->blocks[0];
	struct origin_range range = {0, FIRST_SIZE, first->bytes};
	size_t n = 0;

	TRY(reader->origin.kind->find(&reader->origin, reader->http, &range, &n, err));
	first->state = n > 0 ? BLOCK_THERE : BLOCK_FREE;
	first->size = n;
	return 0;
}

static int prepare_blocks(struct store_reader *reader, struct error *err)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		reader->blocks[i].bytes = malloc(RANGE_SIZE);
		if (reader->blocks[i].bytes == NULL)
			return fail_memory(err);
	}
	return 0;
}

static int start_fetchers(struct store_reader *reader, struct error *err)
{
	while (reader->n_threads < N_FETCHERS) {
		int sys = pthread_create(&reader->threads[reader->n_threads], NULL, fetch_blocks,
					 reader);

		if (sys != 0)
			return fail_start(err, sys, "starting a thread");
		reader->n_threads++;
	}
	return 0;
}

int store_reader_open(struct store_reader **out, const char *name, struct error *err)
{
	struct store_reader *reader = calloc(1, sizeof(*reader));
	int code;

	if (reader == NULL)
		return fail_memory(err);
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->changed, NULL);
	reader->origin = (struct origin){
		.name = name,
		.kind = store_is_web(name) ? &origin_web : &origin_s3,
	};
	code = reader->origin.kind->open(&reader->origin.state, name, err);
	if (code == 0)
		code = http_open(&reader->http, err);
	if (code == 0)
		code = prepare_blocks(reader, err);
	if (code == 0)
		code = find_origin(reader, err);
	if (code == 0)
		code = start_fetchers(reader, err);
	if (code != 0) {
		store_reader_close(reader);
		return code;
	}
	reader->up_to = reader->origin.size;
	reader->asked_to = reader->blocks[0].size;
	*out = reader;
	return 0;
}

uint64_t store_reader_size(const struct store_reader *reader)
{
	return reader->origin.size;
}

static struct block *block_at_locked(struct store_reader *reader, uint64_t position)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		struct block *block = &reader->blocks[i];

		if (block->state != BLOCK_FREE && block->round == reader->round &&
		    position >= block->position && position - block->position < block->size)
			return block;
	}
	return NULL;
}

/* What lies before the position, or is of an earlier round, is of no use any more. */
static void free_blocks_locked(struct store_reader *reader)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		struct block *block = &reader->blocks[i];

		if (block->state != BLOCK_ASKED &&
		    (block->round != reader->round ||
		     block->position + block->size <= reader->position))
			block->state = BLOCK_FREE;
	}
}

/* Nothing is asked for at the position: all begins anew there. */
static void begin_round_locked(struct store_reader *reader)
{
	reader->round++;
	reader->asked_to = reader->position;
	reader->ahead = 0;
	free_blocks_locked(reader);
}

void store_reader_seek(struct store_reader *reader, uint64_t position, uint64_t up_to)
{
	pthread_mutex_lock(&reader->lock);
	reader->up_to = up_to < reader->origin.size ? up_to : reader->origin.size;
	reader->position = position;
	if (block_at_locked(reader, position) == NULL)
		begin_round_locked(reader);
	free_blocks_locked(reader);
	pthread_mutex_unlock(&reader->lock);
}

/* More of what follows: a block in the beginning, and then more and more. How far reading goes from
 * the start of an archive is not known: that block is small. */
static void ask_ahead_locked(struct store_reader *reader)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_BLOCKS; i++)
		n += reader->blocks[i].state != BLOCK_FREE;
	for (unsigned i = 0; i < N_BLOCKS && n < N_BLOCKS; i++) {
		struct block *block = &reader->blocks[i];
		uint64_t end =
			reader->asked_to < reader->up_to ? reader->up_to : reader->origin.size;
		uint64_t most = reader->ahead == 0 && reader->up_to == reader->origin.size
					? FIRST_SIZE
					: RANGE_SIZE;

		if (block->state != BLOCK_FREE)
			continue;
		/* Past what is expected only what is asked for now. */
		if (reader->asked_to >= reader->origin.size || n >= reader->ahead + 1 ||
		    (reader->asked_to >= reader->up_to && reader->asked_to > reader->position))
			break;
		block->state = BLOCK_WANTED;
		block->round = reader->round;
		block->position = reader->asked_to;
		/* Up to a border: there the store's own pieces end, too. */
		block->size = least(most - reader->asked_to % most, end - reader->asked_to);
		reader->asked_to += block->size;
		n++;
	}
	pthread_cond_broadcast(&reader->changed);
}

/* Waits for the block of the position. */
static int await_locked(struct store_reader *reader, struct block **out, struct error *err)
{
	for (;;) {
		struct block *block = block_at_locked(reader, reader->position);

		if (reader->err.code != 0) {
			*err = reader->err;
			return err->code;
		}
		if (block != NULL && block->state == BLOCK_THERE) {
			*out = block;
			return 0;
		}
		/* One that a move passed by while it was in flight has been dropped. */
		if (block == NULL && reader->position != reader->asked_to)
			begin_round_locked(reader);
		if (block == NULL)
			ask_ahead_locked(reader);
		pthread_cond_wait(&reader->changed, &reader->lock);
	}
}

int store_read(struct store_reader *reader, void *to, size_t n, size_t *got, struct error *err)
{
	struct block *block;
	int code = 0;

	*got = 0;
	pthread_mutex_lock(&reader->lock);
	if (n > 0 && reader->position < reader->origin.size) {
		code = await_locked(reader, &block, err);
		if (code == 0) {
			uint64_t at = reader->position - block->position;

			*got = least(n, block->size - at);
			/* Nobody else gives up a block that is there. */
			pthread_mutex_unlock(&reader->lock);
			memcpy(to, block->bytes + at, *got);
			pthread_mutex_lock(&reader->lock);
			reader->position += *got;
			if (at + *got == block->size) {
				block->state = BLOCK_FREE;
				reader->ahead = reader->ahead == 0 ? 2 : reader->ahead * 2;
				reader->ahead = reader->ahead < N_BLOCKS ? reader->ahead : N_BLOCKS;
				ask_ahead_locked(reader);
			}
		}
	}
	pthread_mutex_unlock(&reader->lock);
	return code;
}

void store_reader_close(struct store_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->origin.state != NULL)
		reader->origin.kind->stop(reader->origin.state);
	pthread_mutex_lock(&reader->lock);
	reader->ended = true;
	pthread_cond_broadcast(&reader->changed);
	pthread_mutex_unlock(&reader->lock);
	while (reader->n_threads > 0)
		pthread_join(reader->threads[--reader->n_threads], NULL);
	for (unsigned i = 0; i < N_BLOCKS; i++)
		free(reader->blocks[i].bytes);
	pthread_mutex_destroy(&reader->lock);
	pthread_cond_destroy(&reader->changed);
	http_close(reader->http);
	reader->origin.kind->close(reader->origin.state);
	free(reader);
}
