/*
 * What guests put into the buffer: rooms for single clusters, and runs of zeros.
 */
#include "cow/buffer_state.h"

#include <string.h>

static void fail_full_locked(struct buffer *buffer)
{
	struct error err;
	uint64_t scratch = buffer->spill ? spill_places(buffer->spill) * CLUSTER_SIZE : 0;

	fail(&err, ERR_FULL,
	     "the guest overwrites faster than the output takes what was there: %llu MiB of memory "
	     "and %llu MiB of scratch file are full",
	     (unsigned long long)buffer->n_chunks * CHUNK_SIZE / MIB,
	     (unsigned long long)scratch / MIB);
	buffer_fail_locked(buffer, &err);
}

static uint8_t *take_room_locked(struct buffer *buffer)
{
	if (!buffer->filling)
		buffer->filling = buffer_take_free_locked(buffer);
	struct slot *slot = buffer->filling;
	if (!slot)
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

/* 1: taken, 0: full, 2: all bounces are out. */
static int take_bounce_locked(struct buffer *buffer, struct buffer_room *room)
{
	struct bounce *bounce = buffer->free_bounce;

	if (!buffer->spill || buffer->spill_broken)
		return 0;
	if (!bounce)
		return 2;
	if (!spill_reserve(buffer->spill, &bounce->place))
		return 0;
	buffer->free_bounce = bounce->next;
	*room = (struct buffer_room){bounce->bytes, bounce};
	return 1;
}

/* Comes back with room, or when the buffer has failed. */
static void find_room_locked(struct buffer *buffer, struct buffer_room *room)
{
	while (!buffer->failed) {
		uint8_t *bytes = take_room_locked(buffer);
		if (bytes) {
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
	int rc = 0;

	pthread_mutex_lock(&buffer->lock);
	if (wait) {
		find_room_locked(buffer, room);
	} else if (!buffer->failed) {
		*room = (struct buffer_room){take_room_locked(buffer), NULL};
		rc = room->bytes ? 0 : 2;
	}
	if (rc == 0)
		rc = buffer_result_locked(buffer, err);
	pthread_mutex_unlock(&buffer->lock);
	return rc;
}

static struct slot *slot_of(struct buffer *buffer, const uint8_t *bytes, unsigned *i)
{
	size_t at = (size_t)(bytes - buffer->memory);

	*i = (unsigned)(at % CHUNK_SIZE / CLUSTER_SIZE);
	return &buffer->slots[at / CHUNK_SIZE];
}

static void commit_locked(struct buffer *buffer, const uint8_t *bytes, uint32_t drive,
			  uint64_t cluster)
{
	unsigned i;
	struct slot *slot = slot_of(buffer, bytes, &i);

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

/* The scratch file cannot be written: the cluster goes to memory if there is a way to wait for it,
 * else the buffer fails. */
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
	if (room->keep) {
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
	if (room->keep) {
		struct bounce *bounce = room->keep;
		spill_settle(buffer->spill, bounce->place, 0, 0, false);
		return_bounce_locked(buffer, bounce);
	} else {
		unsigned i;
		struct slot *slot = slot_of(buffer, room->bytes, &i);
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
	int rc = buffer_result_locked(buffer, err);
	if (rc == 0 && buffer->n_runs == RUNS_MAX) {
		rc = 2;
	} else if (rc == 0) {
		uint32_t n = buffer->n_runs;
		if (n > 0 && follows(&buffer->runs[n - 1], run))
			buffer->runs[n - 1].n_clusters += run->n_clusters;
		else
			buffer->runs[buffer->n_runs++] = *run;
		pthread_cond_broadcast(&buffer->work);
	}
	pthread_mutex_unlock(&buffer->lock);
	return rc;
}
