/*
 * Many workers, one stream. A worker takes the next piece and its ticket under one lock, works on
 * it alone, and puts the sealed batch into a ring at the place of its ticket. A worker that finds
 * the next batch in order there appends it, and the batches of others that follow, while these work
 * on further pieces. So no worker waits for a slower one until all batches are in use: there are
 * two or three times as many as workers, which also limits the memory.
 */
#include "writer/internal.h"

#include <pthread.h>
#include <stdlib.h>

struct pool {
	struct writer *writer;
	const struct feed *feed;

	pthread_mutex_t feed_lock; /* guards the feed's next, ended and next_ticket */
	bool ended;
	uint64_t next_ticket;

	pthread_mutex_t
		lock; /* guards all below; never held while the feed or the output is at work */
	pthread_cond_t freed;  /* a batch became free, or something failed */
	struct batch **spare;  /* n_spare of them */
	struct batch **sealed; /* by ticket modulo n_batches */
	unsigned n_batches, n_spare;
	uint64_t append_ticket; /* the next to be appended */
	bool appending;		/* a worker is appending */
	int code;
	struct error err; /* of code */
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	struct seal *seal; /* owned */
	void *piece;	   /* owned */
	uint8_t *blocks;   /* owned: lent to the batch at work */
};

/* As in the reader: of several errors, the one nearest to the beginning of the input archive. */
static void note_error(struct pool *pool, const struct error *err)
{
	pthread_mutex_lock(&pool->lock);
	bool earlier = err->has_place && pool->err.has_place && err->place < pool->err.place;
	if (pool->code == 0 || earlier) {
		pool->code = err->code;
		pool->err = *err;
	}
	pthread_cond_broadcast(&pool->freed);
	pthread_mutex_unlock(&pool->lock);
}

/* NULL: something failed. */
static struct batch *take_batch(struct pool *pool)
{
	struct batch *batch = NULL;

	pthread_mutex_lock(&pool->lock);
	while (pool->n_spare == 0 && pool->code == 0)
		pthread_cond_wait(&pool->freed, &pool->lock);
	if (pool->code == 0)
		batch = pool->spare[--pool->n_spare];
	pthread_mutex_unlock(&pool->lock);
	return batch;
}

static void append_ready_locked(struct pool *pool)
{
	struct batch **next = &pool->sealed[pool->append_ticket % pool->n_batches];
	struct error err = {0};

	if (pool->appending)
		return;
	pool->appending = true;
	while (*next != NULL && pool->code == 0) {
		struct batch *batch = *next;
		*next = NULL;
		pthread_mutex_unlock(&pool->lock);
		int code = writer_append(pool->writer, batch, &err);
		batch_reset(batch);
		pthread_mutex_lock(&pool->lock);
		if (code != 0 && pool->code == 0) {
			pool->code = code;
			pool->err = err;
		}
		pool->spare[pool->n_spare++] = batch;
		next = &pool->sealed[++pool->append_ticket % pool->n_batches];
		pthread_cond_broadcast(&pool->freed);
	}
	pool->appending = false;
}

/* 1: a piece and its ticket, 0: no more. */
static int take_piece(struct pool *pool, void *piece, uint64_t *ticket, struct error *err)
{
	const struct feed *feed = pool->feed;
	int got = feed->in_any_order ? feed->next(feed->context, piece, err) : 0;

	pthread_mutex_lock(&pool->feed_lock);
	if (!feed->in_any_order && !pool->ended) {
		got = feed->next(feed->context, piece, err);
		pool->ended = got <= 0;
	}
	if (got > 0)
		*ticket = pool->next_ticket++;
	pthread_mutex_unlock(&pool->feed_lock);
	return got;
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct pool *pool = worker->pool;
	struct error err = {0};
	struct batch *batch;
	uint64_t ticket = 0;
	int code = 0;

	while (code == 0 && (batch = take_batch(pool)) != NULL) {
		batch->blocks = worker->blocks;
		int got = take_piece(pool, worker->piece, &ticket, &err);
		code = got < 0 ? got : 0;
		if (got > 0)
			code = pool->feed->fill(pool->feed->context, worker->piece, batch, &err);
		if (got > 0 && code == 0)
			batch_tell(batch, writer_options(pool->writer)->checksums);
		if (got > 0 && code == 0)
			code = seal_batch(worker->seal, batch, &err);
		batch_return(batch, &worker->blocks);
		pthread_mutex_lock(&pool->lock);
		if (got > 0 && code == 0) {
			pool->sealed[ticket % pool->n_batches] = batch;
			append_ready_locked(pool);
		} else {
			pool->spare[pool->n_spare++] = batch;
			pthread_cond_broadcast(&pool->freed);
		}
		pthread_mutex_unlock(&pool->lock);
		if (got == 0)
			break;
	}
	if (code != 0)
		note_error(pool, &err);
	return NULL;
}

static int make_batches(struct pool *pool, unsigned n, struct error *err)
{
	pool->spare = calloc(n, sizeof(*pool->spare));
	pool->sealed = calloc(n, sizeof(*pool->sealed));
	if (pool->spare == NULL || pool->sealed == NULL)
		return fail_memory(err);
	for (pool->n_batches = 0; pool->n_batches < n; pool->n_batches++) {
		TRY(batch_new(&pool->spare[pool->n_batches], writer_archive(pool->writer),
			      writer_options(pool->writer)->parent, err));
		pool->n_spare++;
	}
	return 0;
}

static void free_batches(struct pool *pool)
{
	for (unsigned i = 0; pool->spare != NULL && i < pool->n_spare; i++)
		batch_free(pool->spare[i]);
	for (unsigned i = 0; pool->sealed != NULL && i < pool->n_batches; i++)
		batch_free(pool->sealed[i]);
	free(pool->spare);
	free(pool->sealed);
}

static int start_worker(struct pool *pool, struct worker *worker, struct error *err)
{
	worker->pool = pool;
	worker->piece = calloc(1, pool->feed->piece_size);
	worker->blocks = blocks_new();
	if (worker->piece == NULL || worker->blocks == NULL)
		return fail_memory(err);
	TRY(seal_new(&worker->seal, writer_archive(pool->writer), writer_options(pool->writer),
		     err));
	int sys = pthread_create(&worker->thread, NULL, work, worker);
	return sys != 0 ? fail_start(err, sys, "cannot start a thread") : 0;
}

int writer_run(struct writer *writer, const struct feed *feed, unsigned n_threads,
	       struct error *err)
{
	struct pool pool = {.writer = writer, .feed = feed};
	struct worker *workers = calloc(n_threads, sizeof(*workers));
	unsigned n_started = 0;

	pthread_mutex_init(&pool.feed_lock, NULL);
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.freed, NULL);
	int code = workers == NULL ? fail_memory(err)
				   : make_batches(&pool, n_threads * (feed->uneven ? 3 : 2), err);
	while (code == 0 && n_started < n_threads) {
		code = start_worker(&pool, &workers[n_started], err);
		n_started += code == 0 ? 1 : 0;
	}
	if (code != 0)
		note_error(&pool, err);
	for (unsigned i = 0; i < n_started; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; workers != NULL && i < n_threads; i++) {
		seal_free(workers[i].seal);
		if (workers[i].piece != NULL && feed->drop != NULL)
			feed->drop(workers[i].piece);
		free(workers[i].piece);
		free(workers[i].blocks);
	}
	free(workers);
	free_batches(&pool);
	pthread_cond_destroy(&pool.freed);
	pthread_mutex_destroy(&pool.lock);
	pthread_mutex_destroy(&pool.feed_lock);
	if (pool.code != 0)
		*err = pool.err;
	else if (feed->ended != NULL)
		return feed->ended(feed->ended_context, err);
	return pool.code;
}
