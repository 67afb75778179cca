/*
 * The guest's writes wait for what is answered here: QEMU saves the old data first, and that is a
 * write to one of these exports. So an answer waits for nothing but memory, and no error is ever
 * given: one would become an error of the guest's write.
 *
 * Two kinds of writes come. Those of the job's own pass are long and can wait:
 * they do while the buffer is half full, so that the other half is there for the guest. Those that
 * save what the guest is about to overwrite are as long as the guest's write, and mostly one
 * cluster: up to that size nothing is held. A long write of the guest's is taken for one of the
 * pass; it waits only when the output is slower than all that comes in, and then less than it would
 * if the buffer were full.
 *
 * Each drive has two maps of a bit a cluster, both only ever set. "taken" is set by who puts the
 * cluster into the buffer: whoever finds it set already leaves it. That happens after a connection
 * broke, when QEMU sends again what was not answered; it is the same data. "told" is set for zeros;
 * they go into the buffer at the end, in runs.
 */
#include "machine/qemu/receive.h"

#include "base/bits.h"
#include "nbd/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes. QEMU would send a mebibyte, and what a guest waits for comes behind it on the same
 * connection. */
#define REQUEST_MAX 262144u
#define HOLD_FILL   500u /* thousandths of the buffer */
#define HOLD_NS	    1000000
#define HOLD_STEPS  25u /* of HOLD_NS: long enough for QEMU to be told to slow down */
#define GRACE_MS    2000u

struct drive_state {
	struct receiver *receiver;
	uint32_t number;
	uint64_t size_bytes;
	bool may_leave_out;
	char name[12];
	_Atomic uint64_t *taken, *told; /* owned */
};

struct receiver {
	struct buffer *buffer; /* borrowed; NULL: nothing is kept */
	struct nbdserver *server;
	uint32_t n_drives;
	struct drive_state *drives; /* owned */
	_Atomic uint64_t data_clusters, zero_clusters, again_clusters, held_requests;
};

/* ---- what comes ---- */

static bool is_discarding(const struct receiver *receiver)
{
	return !receiver->buffer || buffer_has_failed(receiver->buffer);
}

/* Whole clusters; the last one of the drive may be partial. Anything else comes from no backup job,
 * and what it would mean for the archive is not known. */
static bool check_range(struct drive_state *drive, uint64_t offset, uint64_t n)
{
	struct error err;
	uint64_t end = offset + n;

	if (offset % CLUSTER_SIZE == 0 && (end % CLUSTER_SIZE == 0 || end == drive->size_bytes))
		return true;
	fail(&err, ERR_SYSTEM,
	     "drive %u: QEMU writes %" PRIu64 " bytes at byte %" PRIu64
	     ", which are not whole clusters of 64 KiB",
	     drive->number, n, offset);
	buffer_fail(drive->receiver->buffer, &err);
	return false;
}

static bool is_half_full(const struct receiver *receiver)
{
	return buffer_fill(receiver->buffer) >= HOLD_FILL && !buffer_has_failed(receiver->buffer);
}

static void hold(struct receiver *receiver)
{
	const struct timespec pause = {.tv_nsec = HOLD_NS};

	receiver->held_requests++;
	for (unsigned i = 0; i < HOLD_STEPS && is_half_full(receiver); i++)
		nanosleep(&pause, NULL);
}

static int put_cluster(struct drive_state *drive, uint64_t cluster, const uint8_t *from, size_t n)
{
	struct receiver *receiver = drive->receiver;
	struct buffer_room room;
	struct error err;

	if (bits_set_atomic(drive->taken, cluster, cluster + 1) == 0) {
		receiver->again_clusters++;
		return 0;
	}
	if (buffer_put(receiver->buffer, &room, true, &err) != 0)
		return -1;
	memcpy(room.bytes, from, n);
	memset(room.bytes + n, 0, CLUSTER_SIZE - n);
	buffer_commit(receiver->buffer, &room, drive->number, cluster);
	receiver->data_clusters++;
	return 0;
}

static int take_data(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	struct drive_state *drive = context;
	struct receiver *receiver = drive->receiver;
	const uint8_t *bytes = from;

	if (is_discarding(receiver) || !check_range(drive, offset, n))
		return 0;
	if (n > CLUSTER_SIZE && is_half_full(receiver)) {
		if (flags & NBDSERVER_NOW)
			return EAGAIN;
		hold(receiver);
	}
	while (n > 0) {
		uint32_t part = n < CLUSTER_SIZE ? n : CLUSTER_SIZE;
		/* The buffer has failed: what it was is told by it. */
		if (put_cluster(drive, offset / CLUSTER_SIZE, bytes, part) != 0)
			return 0;
		offset += part;
		bytes += part;
		n -= part;
	}
	return 0;
}

static int take_zeros(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	struct drive_state *drive = context;
	struct receiver *receiver = drive->receiver;

	(void)flags;
	if (is_discarding(receiver) || !check_range(drive, offset, n))
		return 0;
	uint64_t first = offset / CLUSTER_SIZE, end = clusters_of(offset + n);
	uint64_t n_new = bits_set_atomic(drive->told, first, end);
	receiver->zero_clusters += n_new;
	receiver->again_clusters += end - first - n_new;
	return 0;
}

/* What is durable is the archive's affair. */
static int take_flush(void *context, unsigned flags)
{
	(void)context;
	(void)flags;
	return 0;
}

static const struct nbdserver_ops ops = {
	.write = take_data,
	.zero = take_zeros,
	.flush = take_flush,
};

/* ---- the end ---- */

/* The next run of clusters from *cluster on that did not come as data. False: there is none. */
static bool next_zeros(const struct drive_state *drive, uint64_t *cluster, struct chunk_zeros *out)
{
	uint64_t n = clusters_of(drive->size_bytes);
	uint64_t first = bits_find_atomic(drive->taken, *cluster, n, false);

	*cluster = bits_find_atomic(drive->taken, first, n, true);
	*out = (struct chunk_zeros){drive->number, first, *cluster - first};
	return out->n_clusters > 0;
}

static int check_told(const struct drive_state *drive, const struct chunk_zeros *run,
		      struct error *err)
{
	uint64_t end = run->cluster + run->n_clusters;
	uint64_t missing = bits_find_atomic(drive->told, run->cluster, end, false);

	if (drive->may_leave_out || missing == end)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "drive %u: QEMU's job says that it is done, but cluster %" PRIu64 " never came",
		    drive->number, missing);
}

/* In chunks of the kind that can wait, as there may be very many runs. */
static int put_zeros(struct receiver *receiver, struct chunk **chunk, const struct chunk_zeros *run,
		     struct error *err)
{
	if (!*chunk)
		*chunk = buffer_take_empty(receiver->buffer, true);
	if (!*chunk) {
		buffer_error(receiver->buffer, err);
		return err->code;
	}
	(*chunk)->zeros[(*chunk)->n_zeros++] = *run;
	if ((*chunk)->n_zeros == CHUNK_ZEROS) {
		buffer_hand_in(receiver->buffer, *chunk);
		*chunk = NULL;
	}
	return 0;
}

int receiver_finish(struct receiver *receiver, struct error *err)
{
	struct chunk *chunk = NULL;
	int rc = 0;

	for (uint32_t i = 0; i < receiver->n_drives && rc == 0; i++) {
		const struct drive_state *drive = &receiver->drives[i];
		struct chunk_zeros run;
		uint64_t cluster = 0;

		while (rc == 0 && next_zeros(drive, &cluster, &run)) {
			rc = check_told(drive, &run, err);
			if (rc == 0)
				rc = put_zeros(receiver, &chunk, &run, err);
		}
	}
	if (chunk)
		buffer_hand_in(receiver->buffer, chunk);
	if (rc == 0)
		buffer_end(receiver->buffer);
	else
		buffer_fail(receiver->buffer, err);
	return rc;
}

/* ---- making it ---- */

static int make_drive(struct receiver *receiver, uint32_t i, const struct receiver_drive *drive)
{
	struct drive_state *state = &receiver->drives[i];
	uint64_t n_words = bits_words(clusters_of(drive->size_bytes));

	*state = (struct drive_state){
		.receiver = receiver,
		.number = i,
		.size_bytes = drive->size_bytes,
		.may_leave_out = drive->may_leave_out,
	};
	snprintf(state->name, sizeof state->name, "%u", i);
	if (!receiver->buffer)
		return 0;
	state->taken = calloc(n_words, sizeof *state->taken);
	state->told = calloc(n_words, sizeof *state->told);
	return state->taken && state->told ? 0 : -1;
}

static int make_server(struct receiver *receiver, struct error *err)
{
	struct nbdserver_export *exports = calloc(receiver->n_drives, sizeof *exports);
	struct nbdserver_options options = {.n_connections = 2 * receiver->n_drives + 8};

	if (!exports)
		return fail_system(err, ENOMEM, "exports");
	for (uint32_t i = 0; i < receiver->n_drives; i++)
		exports[i] = (struct nbdserver_export){
			.name = receiver->drives[i].name,
			.size_bytes = receiver->drives[i].size_bytes,
			.write_only = true,
			.block_max = REQUEST_MAX,
			.ops = &ops,
			.context = &receiver->drives[i],
		};
	int rc = nbdserver_new(&receiver->server, exports, receiver->n_drives, &options, err);
	free(exports);
	return rc;
}

int receiver_new(struct receiver **out, const struct receiver_drive *drives, uint32_t n_drives,
		 struct buffer *buffer, struct error *err)
{
	struct receiver *receiver = calloc(1, sizeof *receiver);
	int rc = 0;

	if (!receiver)
		return fail_system(err, ENOMEM, "exports");
	receiver->buffer = buffer;
	receiver->drives = calloc(n_drives, sizeof *receiver->drives);
	if (!receiver->drives)
		rc = fail_system(err, ENOMEM, "exports");
	else
		receiver->n_drives = n_drives;
	for (uint32_t i = 0; i < receiver->n_drives && rc == 0; i++)
		if (make_drive(receiver, i, &drives[i]) != 0)
			rc = fail_system(err, ENOMEM, "the maps of drives");
	if (rc == 0)
		rc = make_server(receiver, err);
	if (rc != 0) {
		receiver_free(receiver);
		return rc;
	}
	*out = receiver;
	return 0;
}

int receiver_listen(struct receiver *receiver, const char *path, struct error *err)
{
	char place[256] = "unix:";

	if (strlen(path) >= sizeof place - 5)
		return fail(err, ERR_USAGE, "%.200s: too long for the path of a socket", path);
	strcat(place, path);
	return nbdserver_listen(receiver->server, place, false, err);
}

unsigned receiver_users(const struct receiver *receiver, uint32_t drive)
{
	return nbdserver_export_users(receiver->server, drive);
}

struct receiver_counts receiver_counts(const struct receiver *receiver)
{
	return (struct receiver_counts){
		.data_clusters = receiver->data_clusters,
		.zero_clusters = receiver->zero_clusters,
		.again_clusters = receiver->again_clusters,
		.held_requests = receiver->held_requests,
	};
}

void receiver_free(struct receiver *receiver)
{
	if (!receiver)
		return;
	if (receiver->server) {
		nbdserver_stop(receiver->server, GRACE_MS);
		nbdserver_free(receiver->server);
	}
	for (uint32_t i = 0; i < receiver->n_drives; i++) {
		free((void *)receiver->drives[i].taken);
		free((void *)receiver->drives[i].told);
	}
	free(receiver->drives);
	free(receiver);
}
