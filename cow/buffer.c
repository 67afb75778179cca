/*
 * The buffer: chunks on their way from guests and the pass to the writer.
 *
 * Each chunk is in exactly one state:
 *
 *   free     on the stack of free chunks; the last one freed goes out first, as its pages are warm
 *   filling  the chunk that receives urgent clusters now. Rooms in it are given out one by one;
 *            their owners fill them without the lock. "taken" has a bit for each room given out,
 *            "filled" one for each room committed
 *   closed   gives out no more rooms, but some are not committed yet. The last commit makes it
 *            ready
 *   ready    in one of two queues: urgent, or from the pass
 *   out      held by the pass, which fills it, or by the writer, which empties it
 *
 * Who waits for whom. The writer waits for work. It must not wait while it holds a chunk that others
 * need, so chunks come back. The pass waits until more than half of the chunks
 * are free and the spill file is empty: the other half is then available to guests, and a slow
 * output slows the pass, not the guest. A guest takes any free chunk. If there is none, its cluster
 * goes to the spill file through a bounce buffer; if the spill file is full too, when_full decides
 * whether the buffer fails or the guest waits as the pass does. The owner of a room waits for
 * nothing in here, so closed chunks become ready. A thread that waits for a bounce buffer waits for
 * others that hold one, and they only read one cluster and write it.
 *
 * Urgent runs of zeros need no room. They are kept on a stack of their own and go out with the next
 * chunk, or with an empty one.
 *
 * Clusters have no order here: each comes once and may go out at any time. So spilled clusters stay
 * in the spill file until the writer has nothing urgent in memory; then the writer's own thread
 * reads them back.
 *
 * The lock guards every member of struct buffer that is not constant or atomic. It is not held
 * while clusters are read, written or copied, with two exceptions: closing the gap of a room that
 * was given up, and allocating a room's memory, once. No other lock is taken under it.
 */
#include "cow/buffer_state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- creating ---- */

static int make_memory(struct buffer *buffer, struct error *err)
{
	size_t size = (size_t)buffer->n_chunks * CHUNK_SIZE;

	buffer->fd = memfd_create("vmabak-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (buffer->fd < 0 || ftruncate(buffer->fd, (off_t)size) != 0 ||
	    fcntl(buffer->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return fail_system(err, errno, "a buffer of %zu MiB", size / MIB);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
	if (memory == MAP_FAILED)
		return fail_system(err, errno, "a buffer of %zu MiB", size / MIB);
	buffer->memory = memory;
	return 0;
}

static int make_spill(struct buffer *buffer, const struct buffer_options *options,
		      struct error *err)
{
	if (options->spill_bytes < CLUSTER_SIZE)
		return 0;
	buffer->bounces = calloc(N_BOUNCES, sizeof(*buffer->bounces));
	if (buffer->bounces == NULL)
		return fail_system(err, ENOMEM, "a buffer");
	for (uint32_t i = 0; i < N_BOUNCES; i++) {
		buffer->bounces[i].next = buffer->free_bounce;
		buffer->free_bounce = &buffer->bounces[i];
	}
	return spill_new(&buffer->spill, options->spill_dir, options->spill_bytes, err);
}

static void put_free_locked(struct buffer *buffer, struct buffer_slot *slot)
{
	slot->chunk.n_clusters = slot->chunk.n_zeros = 0;
	slot->chunk.urgent = false;
	slot->taken = slot->filled = 0;
	slot->next = buffer->free;
	buffer->free = slot;
	buffer->n_free++;
	pthread_cond_broadcast(&buffer->room);
	pthread_cond_broadcast(&buffer->work);
}

int buffer_new(struct buffer **out, const struct buffer_options *options, struct error *err)
{
	assert(options->n_chunks >= 4);
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	if (buffer == NULL)
		return fail_system(err, ENOMEM, "a buffer");
	buffer->fd = -1;
	buffer->n_chunks = options->n_chunks;
	buffer->when_full = options->when_full;
	pthread_mutex_init(&buffer->lock, NULL);
	pthread_cond_init(&buffer->room, NULL);
	pthread_cond_init(&buffer->work, NULL);
	pthread_cond_init(&buffer->failure, NULL);
	buffer->slots = calloc(buffer->n_chunks, sizeof(*buffer->slots));
	buffer->runs = calloc(RUNS_MAX, sizeof(*buffer->runs));
	int code = buffer->slots != NULL && buffer->runs != NULL
			   ? make_memory(buffer, err)
			   : fail_system(err, ENOMEM, "a buffer");
	if (code == 0)
		code = make_spill(buffer, options, err);
	if (code != 0) {
		buffer_free(buffer);
		return code;
	}
	for (uint32_t i = buffer->n_chunks; i-- > 0;) {
		buffer->slots[i].chunk.index = i;
		buffer->slots[i].chunk.bytes = buffer->memory + (size_t)i * CHUNK_SIZE;
		put_free_locked(buffer, &buffer->slots[i]);
	}
	*out = buffer;
	return 0;
}

void buffer_free(struct buffer *buffer)
{
	if (buffer == NULL)
		return;
	if (buffer->memory != NULL)
		munmap(buffer->memory, (size_t)buffer->n_chunks * CHUNK_SIZE);
	if (buffer->fd >= 0)
		close(buffer->fd);
	spill_free(buffer->spill);
	pthread_cond_destroy(&buffer->failure);
	pthread_cond_destroy(&buffer->work);
	pthread_cond_destroy(&buffer->room);
	pthread_mutex_destroy(&buffer->lock);
	free(buffer->bounces);
	free(buffer->runs);
	free(buffer->slots);
	free(buffer);
}

int buffer_fd(const struct buffer *buffer)
{
	return buffer->fd;
}

int buffer_begin(struct buffer *buffer, uint32_t n_clusters, uint8_t **out, struct error *err)
{
	*out = buffer->memory;
	return buffer_back(buffer, &buffer->slots[0], 0, n_clusters, err);
}

int buffer_back(const struct buffer *buffer, struct buffer_slot *slot, unsigned first, unsigned n,
		struct error *err)
{
	uint64_t wanted = UINT64_MAX >> (CHUNK_CLUSTERS - n) << first;
	off_t offset = (off_t)((uint64_t)slot->chunk.index * CHUNK_SIZE + first * CLUSTER_SIZE);

	if ((slot->backed & wanted) == wanted)
		return 0;
	while (fallocate(buffer->fd, 0, offset, (off_t)n * CLUSTER_SIZE) != 0) {
		if (errno != EINTR)
			return fail_system(err, ENOMEM, "the buffer of the backup");
	}
	slot->backed |= wanted;
	return 0;
}

/* ---- states of chunks ---- */

struct buffer_slot *buffer_take_free_locked(struct buffer *buffer)
{
	struct buffer_slot *slot = buffer->free;

	if (slot == NULL)
		return NULL;
	buffer->free = slot->next;
	buffer->n_free--;
	uint64_t used = (uint64_t)(buffer->n_chunks - buffer->n_free) * CHUNK_SIZE;
	if (used > buffer->counts.peak_bytes)
		buffer->counts.peak_bytes = used;
	return slot;
}

static void push_locked(struct buffer *buffer, struct queue *queue, struct buffer_slot *slot)
{
	slot->next = NULL;
	if (queue->first != NULL)
		queue->last->next = slot;
	else
		queue->first = slot;
	queue->last = slot;
	pthread_cond_broadcast(&buffer->work);
}

static struct buffer_slot *pop(struct queue *queue)
{
	struct buffer_slot *slot = queue->first;

	if (slot != NULL)
		queue->first = slot->next;
	return slot;
}

/* A room that was given up leaves a gap; the last cluster moves into it. */
static void close_gaps(struct buffer_slot *slot)
{
	struct chunk *chunk = &slot->chunk;

	chunk->n_clusters = (uint32_t)__builtin_popcountll(slot->filled);
	while (slot->filled != UINT64_MAX && lowest(~slot->filled) < chunk->n_clusters) {
		unsigned to = lowest(~slot->filled);
		unsigned from = 63u - (unsigned)__builtin_clzll(slot->filled);
		memcpy(chunk->bytes + (size_t)to * CLUSTER_SIZE,
		       chunk->bytes + (size_t)from * CLUSTER_SIZE, CLUSTER_SIZE);
		chunk->clusters[to] = chunk->clusters[from];
		slot->filled ^= (uint64_t)1 << from | (uint64_t)1 << to;
	}
}

/* For a chunk of urgent clusters that gives out no more rooms and has none outstanding. */
static void settle_locked(struct buffer *buffer, struct buffer_slot *slot)
{
	if (slot->filled == 0) {
		put_free_locked(buffer, slot);
		return;
	}
	close_gaps(slot);
	slot->chunk.urgent = true;
	push_locked(buffer, &buffer->urgent, slot);
}

void buffer_close_locked(struct buffer *buffer)
{
	struct buffer_slot *slot = buffer->filling;

	buffer->filling = NULL;
	if (slot->taken == slot->filled)
		settle_locked(buffer, slot);
	else
		buffer->n_closed++;
}

void buffer_room_done_locked(struct buffer *buffer, struct buffer_slot *slot)
{
	if (slot != buffer->filling && slot->taken == slot->filled) {
		buffer->n_closed--;
		settle_locked(buffer, slot);
	} else {
		pthread_cond_broadcast(&buffer->work);
	}
}

/* ---- failing ---- */

void buffer_fail_locked(struct buffer *buffer, const struct error *why)
{
	if (buffer->failed)
		return;
	buffer->why = *why;
	if (buffer->why.code == 0)
		buffer->why.code = ERR_SYSTEM;
	buffer->failed = true;
	pthread_cond_broadcast(&buffer->failure);
	pthread_cond_broadcast(&buffer->room);
	pthread_cond_broadcast(&buffer->work);
}

void buffer_fail(struct buffer *buffer, const struct error *why)
{
	pthread_mutex_lock(&buffer->lock);
	buffer_fail_locked(buffer, why);
	pthread_mutex_unlock(&buffer->lock);
}

bool buffer_has_failed(const struct buffer *buffer)
{
	return atomic_load(&buffer->failed);
}

int buffer_result_locked(const struct buffer *buffer, struct error *err)
{
	if (!buffer->failed)
		return 0;
	*err = buffer->why;
	return buffer->why.code;
}

int buffer_error(struct buffer *buffer, struct error *err)
{
	pthread_mutex_lock(&buffer->lock);
	int code = buffer_result_locked(buffer, err);
	pthread_mutex_unlock(&buffer->lock);
	return code;
}

int buffer_await_failure(struct buffer *buffer, struct error *err)
{
	pthread_mutex_lock(&buffer->lock);
	while (!buffer->failed)
		pthread_cond_wait(&buffer->failure, &buffer->lock);
	int code = buffer_result_locked(buffer, err);
	pthread_mutex_unlock(&buffer->lock);
	return code;
}

/* ---- for the pass ---- */

static bool has_room_for_the_pass(const struct buffer *buffer)
{
	return buffer->n_free > buffer->n_chunks / 2 &&
	       (buffer->spill == NULL || spill_used(buffer->spill) == 0);
}

struct chunk *buffer_take_empty(struct buffer *buffer, bool wait)
{
	struct buffer_slot *slot = NULL;

	pthread_mutex_lock(&buffer->lock);
	while (wait && !buffer->failed && !has_room_for_the_pass(buffer))
		pthread_cond_wait(&buffer->room, &buffer->lock);
	if (!buffer->failed && has_room_for_the_pass(buffer))
		slot = buffer_take_free_locked(buffer);
	if (slot != NULL)
		buffer->n_passing++;
	pthread_mutex_unlock(&buffer->lock);
	return slot != NULL ? &slot->chunk : NULL;
}

int buffer_get_memory(const struct buffer *buffer, struct chunk *chunk, uint32_t n_clusters,
		      struct error *err)
{
	return buffer_back(buffer, (struct buffer_slot *)chunk, 0, n_clusters, err);
}

void buffer_hand_in(struct buffer *buffer, struct chunk *chunk)
{
	struct buffer_slot *slot = (struct buffer_slot *)chunk;

	buffer->counts.passed_clusters += chunk->n_clusters;
	pthread_mutex_lock(&buffer->lock);
	buffer->n_passing--;
	if (chunk->n_clusters == 0 && chunk->n_zeros == 0)
		put_free_locked(buffer, slot);
	else
		push_locked(buffer, &buffer->passed, slot);
	pthread_mutex_unlock(&buffer->lock);
}

void buffer_end(struct buffer *buffer)
{
	pthread_mutex_lock(&buffer->lock);
	buffer->ended = true;
	pthread_cond_broadcast(&buffer->work);
	pthread_mutex_unlock(&buffer->lock);
}

/* ---- for the writer ---- */

/* Releases the lock while it reads. NULL: nothing to read back, no chunk to read into, or a
 * failure. */
static struct buffer_slot *read_back_locked(struct buffer *buffer)
{
	uint32_t n = buffer->spill != NULL && !buffer->reading_back && buffer->free != NULL
			     ? spill_ready(buffer->spill, CHUNK_CLUSTERS)
			     : 0;

	if (n == 0)
		return NULL;
	struct buffer_slot *slot = buffer_take_free_locked(buffer);
	buffer->reading_back = true;
	pthread_mutex_unlock(&buffer->lock);
	struct error err;
	int code = buffer_back(buffer, slot, 0, n, &err);
	if (code == 0)
		code = spill_read(buffer->spill, n, slot->chunk.bytes, &err);
	pthread_mutex_lock(&buffer->lock);
	buffer->reading_back = false;
	if (code != 0) {
		buffer_fail_locked(buffer, &err);
		put_free_locked(buffer, slot);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct chunk_cluster *cluster = &slot->chunk.clusters[i];
		spill_look(buffer->spill, i, &cluster->drive, &cluster->cluster);
	}
	spill_forget(buffer->spill, n);
	slot->chunk.n_clusters = n;
	slot->chunk.urgent = true;
	pthread_cond_broadcast(&buffer->room);
	pthread_cond_broadcast(&buffer->work);
	return slot;
}

static struct buffer_slot *pick_locked(struct buffer *buffer, bool whole)
{
	struct buffer_slot *slot = pop(&buffer->urgent);

	if (slot == NULL)
		slot = read_back_locked(buffer);
	if (slot == NULL)
		slot = pop(&buffer->passed);
	if (slot != NULL || whole)
		return slot;
	if (buffer->filling != NULL && buffer->filling->filled != 0) {
		buffer_close_locked(buffer);
		slot = pop(&buffer->urgent);
	}
	if (slot == NULL && buffer->n_runs > 0)
		slot = buffer_take_free_locked(buffer);
	return slot;
}

static void add_runs_locked(struct buffer *buffer, struct chunk *chunk)
{
	if (buffer->n_runs == 0)
		return;
	while (buffer->n_runs > 0 && chunk->n_zeros < CHUNK_ZEROS)
		chunk->zeros[chunk->n_zeros++] = buffer->runs[--buffer->n_runs];
	pthread_cond_broadcast(&buffer->room);
}

static bool is_empty(const struct buffer *buffer)
{
	return buffer->urgent.first == NULL && buffer->passed.first == NULL &&
	       buffer->n_closed == 0 && buffer->n_passing == 0 && buffer->n_runs == 0 &&
	       (buffer->filling == NULL || buffer->filling->taken == 0) &&
	       (buffer->spill == NULL || spill_used(buffer->spill) == 0);
}

/* Returns as buffer_next does. */
static int next_locked(struct buffer *buffer, struct chunk **out, enum buffer_wait wait)
{
	while (!buffer->failed) {
		struct buffer_slot *slot = pick_locked(buffer, wait == BUFFER_WHOLE);
		if (slot != NULL) {
			add_runs_locked(buffer, &slot->chunk);
			*out = &slot->chunk;
			return 1;
		}
		if (buffer->ended && is_empty(buffer))
			return 0;
		if (wait <= BUFFER_NOW ||
		    (wait == BUFFER_FOR_CHANCES && has_room_for_the_pass(buffer)))
			return 2;
		pthread_cond_wait(&buffer->work, &buffer->lock);
	}
	return ERR_SYSTEM;
}

int buffer_next(struct buffer *buffer, struct chunk **out, enum buffer_wait wait, struct error *err)
{
	pthread_mutex_lock(&buffer->lock);
	int code = next_locked(buffer, out, wait);
	if (code < 0)
		code = buffer_result_locked(buffer, err);
	pthread_mutex_unlock(&buffer->lock);
	return code;
}

void buffer_release(struct buffer *buffer, struct chunk *chunk)
{
	pthread_mutex_lock(&buffer->lock);
	put_free_locked(buffer, (struct buffer_slot *)chunk);
	pthread_mutex_unlock(&buffer->lock);
}

uint32_t buffer_fill(const struct buffer *buffer)
{
	struct buffer *b = (struct buffer *)buffer; /* for the lock */
	uint64_t spilled = 0;

	pthread_mutex_lock(&b->lock);
	if (b->spill != NULL)
		spilled = spill_used(b->spill) * 1000 / spill_places(b->spill);
	uint64_t used = (uint64_t)(b->n_chunks - b->n_free) * 1000 / b->n_chunks;
	pthread_mutex_unlock(&b->lock);
	return (uint32_t)(used + spilled);
}

const struct buffer_counts *buffer_counts(const struct buffer *buffer)
{
	return &buffer->counts;
}
