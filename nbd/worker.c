/*
 * The threads of a connection.
 *
 * One thread at a time has the reader's role. It executes a request itself if that does not block,
 * and then reads on, so that a request answered from memory costs no switch of threads and no lock
 * but the one for sending. When an export would have to wait (NBDSERVER_NOW, EAGAIN), the reader
 * hands its role to another thread, which is started if none is idle, waits itself, replies, and
 * queues for the role. It does the same before it copies much data, so that two processors work on
 * one stream of long requests. When THREADS_MAX requests are waiting no thread reads until one is
 * done: a client that sends more is held up by its own socket.
 *
 * Each thread has a buffer of its own. The reader collects replies at its front while further
 * requests have already arrived, and sends them together before it waits for anything.
 */
#include "nbd/state.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define THREADS_MAX  16u /* of a connection, and so its requests that can wait at the same time */
#define BUFFER_BYTES 131072u
#define LARGE_BUDGET 268435456u /* bytes of grown buffers in the whole server */
#define STACK_BYTES  262144u
#define IDLE_MS	     5000 /* then a thread ends, unless it is the last */

static void *worker_main(void *argument);

static bool start_thread(void *(*function)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int failed = pthread_create(&thread, &attributes, function, argument);
	pthread_attr_destroy(&attributes);
	return failed == 0;
}

static struct worker *worker_new(struct connection *connection)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return NULL;
	worker->connection = connection;
	worker->size = BUFFER_BYTES;
	worker->buffer = aligned_alloc(BLOCK_SIZE, BUFFER_BYTES);
	if (worker->buffer == NULL) {
		free(worker);
		return NULL;
	}
	return worker;
}

static void worker_free(struct worker *worker)
{
	if (worker->size > BUFFER_BYTES)
		atomic_fetch_sub(&worker->connection->server->large_bytes, worker->size);
	free(worker->buffer);
	free(worker);
}

void worker_grow(struct worker *worker, size_t wanted)
{
	struct nbdserver *server = worker->connection->server;
	size_t size = (wanted + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;

	if (worker->size > BUFFER_BYTES)
		atomic_fetch_sub(&server->large_bytes, worker->size);
	size_t before = atomic_fetch_add(&server->large_bytes, size);
	uint8_t *buffer = before + size <= LARGE_BUDGET ? aligned_alloc(BLOCK_SIZE, size) : NULL;
	if (buffer != NULL) {
		free(worker->buffer);
		worker->buffer = buffer;
		worker->size = size;
		return;
	}
	atomic_fetch_sub(&server->large_bytes, size);
	if (worker->size > BUFFER_BYTES)
		atomic_fetch_add(&server->large_bytes, worker->size);
}

void worker_give_role(struct worker *worker)
{
	struct connection *connection = worker->connection;

	worker->reader = false;
	pthread_mutex_lock(&connection->lock);
	connection->has_reader = false;
	bool make = connection->n_idle == 0 && connection->n_threads < THREADS_MAX;
	if (make)
		connection->n_threads++;
	else if (connection->n_idle > 0)
		pthread_cond_signal(&connection->role_free);
	pthread_mutex_unlock(&connection->lock);
	if (!make)
		return;
	/* If no thread can be started, this one takes the role back when it is done. */
	struct worker *other = worker_new(connection);
	if (other == NULL || !start_thread(worker_main, other)) {
		if (other != NULL)
			worker_free(other);
		pthread_mutex_lock(&connection->lock);
		connection->n_threads--;
		pthread_mutex_unlock(&connection->lock);
	}
}

/* Waits until the role is free, and takes it. False: the thread is no longer needed. */
static bool take_role(struct worker *worker)
{
	struct connection *connection = worker->connection;
	int64_t until = clock_ms() + IDLE_MS;
	int waited = 0;

	pthread_mutex_lock(&connection->lock);
	connection->n_idle++;
	while (connection->has_reader && !connection->ended && waited == 0)
		waited = clock_cond_wait(&connection->role_free, &connection->lock, until);
	connection->n_idle--;
	worker->reader = !connection->has_reader && !connection->ended;
	if (worker->reader)
		connection->has_reader = true;
	pthread_mutex_unlock(&connection->lock);
	return worker->reader;
}

/* By the reader, at the end; other threads finish their requests. */
static void end_requests(struct worker *worker)
{
	struct connection *connection = worker->connection;

	pthread_mutex_lock(&connection->lock);
	connection->ended = true;
	connection->has_reader = false;
	pthread_cond_broadcast(&connection->role_free);
	pthread_mutex_unlock(&connection->lock);
	worker->reader = false;
}

static void leave(struct worker *worker)
{
	struct connection *connection = worker->connection;

	worker_free(worker);
	pthread_mutex_lock(&connection->lock);
	bool last = --connection->n_threads == 0;
	pthread_mutex_unlock(&connection->lock);
	if (last)
		connection->steps->gone(connection);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	struct connection *connection = worker->connection;

	while (take_role(worker)) {
		connection->steps->transmission(worker);
		if (worker->reader)
			end_requests(worker);
	}
	leave(worker);
	return NULL;
}

/* The first thread. */
static void *connection_main(void *argument)
{
	struct worker *worker = argument;
	struct connection *connection = worker->connection;

	if (!connection->steps->handshake(connection)) {
		leave(worker);
		return NULL;
	}
	connection->deadline_ms = 0;
	return worker_main(worker);
}

int worker_start(struct connection *connection, const struct worker_steps *steps, struct error *err)
{
	struct worker *worker = worker_new(connection);

	connection->steps = steps;
	connection->n_threads = 1;
	if (worker != NULL && start_thread(connection_main, worker))
		return 0;
	if (worker != NULL)
		worker_free(worker);
	return fail_start(err, EAGAIN, "cannot make a thread for an nbd client");
}
