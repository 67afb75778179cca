/*
 * Ranges of an object, several asked for at a time. The first one after a move is small, and alone;
 * as long as reading goes on from there, more are asked for ahead: so little is fetched by who
 * reads here and there, and a connection's delay costs little to who reads on.
 *
 * Each answer must be the range asked for, of the object that was there at first (its tag): a store
 * that knows no ranges answers with all of it, and a replaced object with bytes of another.
 */
#include "store/s3.h"
#include "store/settings.h"
#include "store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FETCHERS 8u
#define N_BLOCKS   16u
#define RANGE_SIZE (UINT64_C(2) << 20)
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
	struct s3 s3;
	struct http *http;
	uint64_t size;
	char etag[HTTP_WORD];
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
	char range[80], tag[HTTP_WORD + 20], expected[80];
	const char *const headers[] = {range, tag, NULL};
	const struct s3_call call = {
		.method = "GET", .headers = headers, .into = block->bytes, .room = block->size};
	uint64_t last = block->position + block->size - 1;
	struct s3_answer answer;

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, block->position, last);
	snprintf(tag, sizeof(tag), "If-Match: %s", reader->etag);
	snprintf(expected, sizeof(expected), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		 block->position, last, reader->size);
	TRY(s3_do(&reader->s3, http, &call, &answer, err));
	if (answer.http.status != 206 || strcmp(answer.http.range, expected) != 0)
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not answer with the range that was "
			    "asked for, bytes %" PRIu64 " to %" PRIu64,
			    reader->s3.name, block->position, last);
	if (answer.http.n_body != block->size || answer.http.cut ||
	    strcmp(answer.http.etag, reader->etag) != 0)
		return fail(err, ERR_SYSTEM, "%.200s: was replaced while it was read, or is cut",
			    reader->s3.name);
	return 0;
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

static int find_object(struct store_reader *reader, struct error *err)
{
	const struct s3_call call = {.method = "HEAD"};
	struct s3_answer answer;

	if (s3_do(&reader->s3, reader->http, &call, &answer, err) != 0) {
		s3_ask_why(&reader->s3, reader->http, &answer, err);
		return answer.http.status == 404 && strcmp(answer.code, "NoSuchBucket") != 0
			       ? fail(err, ERR_SYSTEM, "%.200s: there is no such object",
				      reader->s3.name)
			       : err->code;
	}
	if (answer.http.size == UINT64_MAX || answer.http.etag[0] == '\0')
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not tell its size and tag",
			    reader->s3.name);
	reader->size = answer.http.size;
	memcpy(reader->etag, answer.http.etag, sizeof(reader->etag));
	return 0;
}

static int start_fetchers(struct store_reader *reader, struct error *err)
{
	for (unsigned i = 0; i < N_BLOCKS; i++) {
		reader->blocks[i].bytes = malloc(RANGE_SIZE);
		if (reader->blocks[i].bytes == NULL)
			return fail_memory(err);
	}
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
	code = s3_open(&reader->s3, name, store_endpoint, err);
	if (code == 0)
		code = http_open(&reader->http, err);
	if (code == 0)
		code = find_object(reader, err);
	if (code == 0)
		code = start_fetchers(reader, err);
	if (code != 0) {
		store_reader_close(reader);
		return code;
	}
	store_reader_seek(reader, 0, reader->size);
	*out = reader;
	return 0;
}

uint64_t store_reader_size(const struct store_reader *reader)
{
	return reader->size;
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
	reader->up_to = up_to < reader->size ? up_to : reader->size;
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
		uint64_t end = reader->asked_to < reader->up_to ? reader->up_to : reader->size;
		uint64_t most = reader->ahead == 0 && reader->up_to == reader->size ? FIRST_SIZE
										    : RANGE_SIZE;

		if (block->state != BLOCK_FREE)
			continue;
		/* Past what is expected only what is asked for now. */
		if (reader->asked_to >= reader->size || n >= reader->ahead + 1 ||
		    (reader->asked_to >= reader->up_to && reader->asked_to > reader->position))
			break;
		block->state = BLOCK_WANTED;
		block->round = reader->round;
		block->position = reader->asked_to;
		block->size = least(most, end - reader->asked_to);
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
	if (n > 0 && reader->position < reader->size) {
		code = await_locked(reader, &block, err);
		if (code == 0) {
			uint64_t at = reader->position - block->position;

			*got = least(n, block->size - at);
			memcpy(to, block->bytes + at, *got);
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
	atomic_store(&reader->s3.stop, true);
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
	s3_close(&reader->s3);
	free(reader);
}
