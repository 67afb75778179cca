/*
 * The urgent side of the buffer: rooms for single clusters, and runs of zeros.
 */
#include "cow/buffer_state.h"

#include <string.h>

static void fail_full_locked(struct buffer *buffer)
{
	struct error err;
	uint64_t spill_bytes =
		buffer->spill != NULL ? spill_places(buffer->spill) * CLUSTER_SIZE : 0;

	fail(&err, ERR_FULL,
	     "the guest overwrites data faster than the output takes the old: %llu MiB of memory "
	     "and %llu MiB of spill file are full",
	     (unsigned long long)buffer->n_chunks * CHUNK_SIZE / MIB,
	     (unsigned long long)spill_bytes / MIB);
	buffer_fail_locked(buffer, &err);
}

static uint8_t *take_room_locked(struct buffer *buffer)
{
	if (buffer->filling == NULL)
		buffer->filling = buffer_take_free_locked(buffer);
	struct buffer_slot *slot = buffer->filling;
	if (slot == NULL)
		return NULL;
	unsigned i = lowest(~slot->taken);
	struct error err;
	if (buffer_back(buffer, slot, i, 1, &err) != 0) {
		buffer_fail_locked(buffer, &err);
		return NULL;
	}
	slot->taken |= (uint64_t)1 << i;
	if (slot->taken == UINT64_MAX)
		buffer_close_locked(buffer);
	return slot->chunk.bytes + (size_t)i * CLUSTER_SIZE;
}

/* 1: taken, 0: the spill file is full, 2: all bounce buffers are in use. */
static int take_bounce_locked(struct buffer *buffer, struct buffer_room *room)
{
	struct bounce *bounce = buffer->free_bounce;

	if (buffer->spill == NULL || buffer->spill_broken)
		return 0;
	if (bounce == NULL)
		return 2;
	if (!spill_reserve(buffer->spill, &bounce->place))
		return 0;
	buffer->free_bounce = bounce->next;
	*room = (struct buffer_room){bounce->bytes, bounce};
	return 1;
}

/* Returns with a room, or when the buffer has failed. */
static void find_room_locked(struct buffer *buffer, struct buffer_room *room)
{
	while (!buffer->failed) {
		uint8_t *bytes = take_room_locked(buffer);
		if (bytes != NULL) {
			*room = (struct buffer_room){bytes, NULL};
			return;
		}
		if (buffer->failed)
			return;
		int taken = take_bounce_locked(buffer, room);
		if (taken == 1)
			return;
		if (taken == 0 && buffer->when_full == FULL_FAIL)
			fail_full_locked(buffer);
		else
			pthread_cond_wait(&buffer->room, &buffer->lock);
	}
}

int buffer_put(struct buffer *buffer, struct buffer_room *room, bool wait, struct error *err)
{
	int code = 0;

	pthread_mutex_lock(&buffer->lock);
	if (wait) {
		find_room_locked(buffer, room);
	} else if (!buffer->failed) {
		*room = (struct buffer_room){take_room_locked(buffer), NULL};
		code = room->bytes != NULL ? 0 : 2;
	}
	if (code == 0)
		code = buffer_result_locked(buffer, err);
	pthread_mutex_unlock(&buffer->lock);
	return code;
}

static struct buffer_slot *slot_of_room(struct buffer *buffer, const uint8_t *bytes, unsigned *i)
{
	size_t at = (size_t)(bytes - buffer->memory);

	*i = (unsigned)(at % CHUNK_SIZE / CLUSTER_SIZE);
	return &buffer->slots[at / CHUNK_SIZE];
}

static void commit_locked(struct buffer *buffer, const uint8_t *bytes, uint32_t drive,
			  uint64_t cluster)
{
	unsigned i;
	struct buffer_slot *slot = slot_of_room(buffer, bytes, &i);

	slot->chunk.clusters[i] = (struct chunk_cluster){drive, cluster};
	slot->filled |= (uint64_t)1 << i;
	buffer_room_done_locked(buffer, slot);
}

static void return_bounce_locked(struct buffer *buffer, struct bounce *bounce)
{
	bounce->next = buffer->free_bounce;
	buffer->free_bounce = bounce;
	pthread_cond_broadcast(&buffer->room);
	pthread_cond_broadcast(&buffer->work);
}

/* The spill file cannot be written. With FULL_WAIT the cluster waits for memory, else the buffer
 * fails. */
static void rescue_locked(struct buffer *buffer, const struct bounce *bounce, uint32_t drive,
			  uint64_t cluster, int sys)
{
	struct buffer_room room;
	struct error err;

	buffer->spill_broken = true;
	if (buffer->when_full == FULL_FAIL) {
		fail(&err, ERR_SYSTEM, "the spill file in %s cannot be written: %s",
		     spill_folder(buffer->spill), strerror(sys));
		buffer_fail_locked(buffer, &err);
		return;
	}
	find_room_locked(buffer, &room);
	if (buffer->failed)
		return;
	memcpy(room.bytes, bounce->bytes, CLUSTER_SIZE);
	commit_locked(buffer, room.bytes, drive, cluster);
}

static void commit_bounce(struct buffer *buffer, struct bounce *bounce, uint32_t drive,
			  uint64_t cluster)
{
	int sys = spill_write(buffer->spill, bounce->place, bounce->bytes);

	pthread_mutex_lock(&buffer->lock);
	spill_settle(buffer->spill, bounce->place, drive, cluster, sys == 0);
	if (sys == 0)
		buffer->counts.spilled_clusters++;
	else
		rescue_locked(buffer, bounce, drive, cluster, sys);
	return_bounce_locked(buffer, bounce);
	pthread_mutex_unlock(&buffer->lock);
}

void buffer_commit(struct buffer *buffer, struct buffer_room *room, uint32_t drive,
		   uint64_t cluster)
{
	buffer->counts.urgent_clusters++;
	if (room->keep != NULL) {
		commit_bounce(buffer, room->keep, drive, cluster);
		return;
	}
	pthread_mutex_lock(&buffer->lock);
	commit_locked(buffer, room->bytes, drive, cluster);
	pthread_mutex_unlock(&buffer->lock);
}

void buffer_give_up(struct buffer *buffer, struct buffer_room *room)
{
	pthread_mutex_lock(&buffer->lock);
	if (room->keep != NULL) {
		struct bounce *bounce = room->keep;
		spill_settle(buffer->spill, bounce->place, 0, 0, false);
		return_bounce_locked(buffer, bounce);
	} else {
		unsigned i;
		struct buffer_slot *slot = slot_of_room(buffer, room->bytes, &i);
		slot->taken &= ~((uint64_t)1 << i);
		buffer_room_done_locked(buffer, slot);
		pthread_cond_broadcast(&buffer->room);
	}
	pthread_mutex_unlock(&buffer->lock);
}

static bool follows(const struct chunk_zeros *last, const struct chunk_zeros *run)
{
	return last->drive == run->drive && last->cluster + last->n_clusters == run->cluster;
}

int buffer_put_zeros(struct buffer *buffer, const struct chunk_zeros *run, bool wait,
		     struct error *err)
{
	pthread_mutex_lock(&buffer->lock);
	while (wait && !buffer->failed && buffer->n_runs == RUNS_MAX) {
		if (buffer->when_full == FULL_FAIL)
			fail_full_locked(buffer);
		else
			pthread_cond_wait(&buffer->room, &buffer->lock);
	}
	int code = buffer_result_locked(buffer, err);
	if (code == 0 && buffer->n_runs == RUNS_MAX) {
		code = 2;
	} else if (code == 0) {
		uint32_t n = buffer->n_runs;
		if (n > 0 && follows(&buffer->runs[n - 1], run))
			buffer->runs[n - 1].n_clusters += run->n_clusters;
		else
			buffer->runs[buffer->n_runs++] = *run;
		pthread_cond_broadcast(&buffer->work);
	}
	pthread_mutex_unlock(&buffer->lock);
	return code;
}
