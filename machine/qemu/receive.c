/*
 * The guest's writes wait for the answers given here: QEMU saves the old data first, and that is a
 * write to one of these exports. So an answer waits for nothing but memory, and never reports an
 * error, which would become an error of the guest's write.
 *
 * There are two kinds of writes. Those of the job's own pass are long and can wait: they do while
 * the buffer is half full, which keeps the other half for the guest. Those that save what the guest
 * is about to overwrite are as long as the guest's write, mostly one cluster: nothing up to that
 * size is held. A long write of the guest is taken for one of the pass; it waits only when the
 * output is slower than all input, and then less than it would with a full buffer.
 *
 * Each drive has a pass, and many of them together would fill the buffer in a moment, whereas it
 * takes longer to tell all jobs to slow down. So the more drives there are, the longer a write is
 * held that begins where its pass must be: with all before it, and nothing there.
 *
 * Each drive has two maps with a bit for each cluster, whose bits are only ever set. "taken" is set
 * by the thread that puts the cluster into the buffer; a thread that finds it set drops its copy.
 * That happens after a connection broke, when QEMU repeats unanswered requests; the data is the
 * same. "told" is set for zeros; they go into the buffer at the end, in runs.
 */
#include "machine/qemu/receive.h"

#include "base/bits.h"
#include "base/clock.h"
#include "nbd/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes. QEMU would send a mebibyte, and what a guest waits for comes behind it on the same
 * connection. */
#define REQUEST_MAX  262144u
#define HOLD_FILL    500u /* thousandths of the buffer */
#define HOLD_MS	     25	  /* long enough for QEMU to be told to slow down */
#define HOLD_MORE_MS 10	  /* for each further drive */
#define HOLD_MOST_MS 1000 /* QEMU may have to wait for it when a device is reset */
#define GRACE_MS     2000u

struct drive_state {
	struct receiver *receiver;
	uint32_t number;
	uint64_t size_bytes;
	bool may_leave_out;
	const struct cluster_set *expected; /* borrowed; NULL: all */
	char name[12];
	_Atomic uint64_t *taken, *told; /* owned */
	_Atomic uint64_t passed;	/* all clusters before this one have come, or been told */
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
	return receiver->buffer == NULL || buffer_has_failed(receiver->buffer);
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

/* Not of a job that leaves clusters out. */
static bool is_of_pass(struct drive_state *drive, uint64_t cluster)
{
	uint64_t n = clusters_of(drive->size_bytes), at, next = atomic_load(&drive->passed);

	do {
		at = next;
		next = bits_find_atomic(drive->taken, at, n, false);
		next = bits_find_atomic(drive->told, next, n, false);
	} while (next != at);
	atomic_store(&drive->passed, at);
	return at == cluster;
}

static void hold(struct drive_state *drive, uint64_t cluster)
{
	struct receiver *receiver = drive->receiver;
	int64_t most = HOLD_MS + (int64_t)(receiver->n_drives - 1) * HOLD_MORE_MS, until;

	if (most > HOLD_MOST_MS)
		most = HOLD_MOST_MS;
	if (most > HOLD_MS && !is_of_pass(drive, cluster))
		most = HOLD_MS;
	until = clock_ms() + most;
	receiver->held_requests++;
	while (is_half_full(receiver) && clock_ms() < until)
		clock_sleep_ms(most / HOLD_MS);
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
		hold(drive, offset / CLUSTER_SIZE);
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
	uint64_t first = offset / CLUSTER_SIZE, end = clusters_of(offset + n), n_new;

	(void)flags;
	if (is_discarding(receiver) || !check_range(drive, offset, n))
		return 0;
	n_new = bits_set_atomic(drive->told, first, end);
	receiver->zero_clusters += n_new;
	receiver->again_clusters += end - first - n_new;
	return 0;
}

/* QEMU reads only to find out whether it has saved all (machine/qemu/snapshot.h), and throws this
 * away. */
static int give_zeros(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)offset;
	(void)flags;
	memset(to, 0, n);
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
	.read = give_zeros,
	.write = take_data,
	.zero = take_zeros,
	.flush = take_flush,
};

/* ---- the end ---- */

/* From this cluster on those that are expected, or told to be zeros: where they begin, and end.
 * False: there are none. */
static bool next_expected(const struct drive_state *drive, uint64_t *cluster, uint64_t *end)
{
	uint64_t n = clusters_of(drive->size_bytes), at = *cluster, length = 0, told;
	bool in = drive->expected == NULL;

	*end = n;
	if (in || at >= n)
		return at < n;
	told = bits_find_atomic(drive->told, at, n, true);
	for (; !in && at < n; at += in ? 0 : length)
		length = cluster_set_run(drive->expected, at, n - at, &in);
	*cluster = least(at, told);
	*end = at <= told ? at + length : least(at, bits_find_atomic(drive->told, told, n, false));
	return *cluster < n;
}

/* The next run of clusters from *cluster on that did not come as data. False: there is none. */
static bool next_zeros(const struct drive_state *drive, uint64_t *cluster, struct chunk_zeros *out)
{
	uint64_t first, end;

	while (next_expected(drive, cluster, &end)) {
		first = bits_find_atomic(drive->taken, *cluster, end, false);
		*cluster = bits_find_atomic(drive->taken, first, end, true);
		*out = (struct chunk_zeros){drive->number, first, *cluster - first};
		if (out->n_clusters > 0)
			return true;
	}
	return false;
}

static int check_told(const struct drive_state *drive, const struct chunk_zeros *run,
		      struct error *err)
{
	uint64_t end = run->cluster + run->n_clusters;
	uint64_t missing = bits_find_atomic(drive->told, run->cluster, end, false);

	if ((drive->may_leave_out && drive->expected == NULL) || missing == end)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "drive %u: QEMU's job reports success, but cluster %" PRIu64 " never came",
		    drive->number, missing);
}

/* In chunks of the kind that can wait, as there may be very many runs. */
static int put_zeros(struct receiver *receiver, struct chunk **chunk, const struct chunk_zeros *run,
		     struct error *err)
{
	if (*chunk == NULL)
		*chunk = buffer_take_empty(receiver->buffer, true);
	if (*chunk == NULL) {
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
	int code = 0;

	for (uint32_t i = 0; i < receiver->n_drives && code == 0; i++) {
		const struct drive_state *drive = &receiver->drives[i];
		struct chunk_zeros run;
		uint64_t cluster = 0;

		while (code == 0 && next_zeros(drive, &cluster, &run)) {
			code = check_told(drive, &run, err);
			if (code == 0)
				code = put_zeros(receiver, &chunk, &run, err);
		}
	}
	if (chunk != NULL)
		buffer_hand_in(receiver->buffer, chunk);
	if (code == 0)
		buffer_end(receiver->buffer);
	else
		buffer_fail(receiver->buffer, err);
	return code;
}

/* ---- making it ---- */

static int make_drive(struct receiver *receiver, uint32_t i, const struct receiver_drive *drive,
		      struct error *err)
{
	struct drive_state *state = &receiver->drives[i];
	uint64_t n_words = bits_words(clusters_of(drive->size_bytes));

	*state = (struct drive_state){
		.receiver = receiver,
		.number = i,
		.size_bytes = drive->size_bytes,
		.may_leave_out = drive->may_leave_out,
	};
	snprintf(state->name, sizeof(state->name), "%u", i);
	if (receiver->buffer == NULL)
		return 0;
	state->taken = calloc(n_words, sizeof(*state->taken));
	state->told = calloc(n_words, sizeof(*state->told));
	return state->taken == NULL || state->told == NULL ? fail_memory(err) : 0;
}

static int make_server(struct receiver *receiver, struct error *err)
{
	struct nbdserver_export *exports = calloc(receiver->n_drives, sizeof(*exports));
	struct nbdserver_options options = {.n_connections = 2 * receiver->n_drives + 8};
	int code;

	if (exports == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < receiver->n_drives; i++)
		exports[i] = (struct nbdserver_export){
			.name = receiver->drives[i].name,
			.size_bytes = receiver->drives[i].size_bytes,
			.block_max = REQUEST_MAX,
			.ops = &ops,
			.context = &receiver->drives[i],
		};
	code = nbdserver_new(&receiver->server, exports, receiver->n_drives, &options, err);
	free(exports);
	return code;
}

static int make(struct receiver *receiver, const struct receiver_drive *drives, uint32_t n_drives,
		struct error *err)
{
	receiver->drives = calloc(n_drives, sizeof(*receiver->drives));
	if (receiver->drives == NULL)
		return fail_memory(err);
	receiver->n_drives = n_drives;
	for (uint32_t i = 0; i < n_drives; i++)
		TRY(make_drive(receiver, i, &drives[i], err));
	return make_server(receiver, err);
}

int receiver_new(struct receiver **out, const struct receiver_drive *drives, uint32_t n_drives,
		 struct buffer *buffer, struct error *err)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));

	if (receiver == NULL)
		return fail_memory(err);
	receiver->buffer = buffer;
	if (make(receiver, drives, n_drives, err) != 0) {
		receiver_free(receiver);
		return err->code;
	}
	*out = receiver;
	return 0;
}

int receiver_listen(struct receiver *receiver, const char *path, struct error *err)
{
	char place[256] = "unix:";

	if (strlen(path) >= sizeof(place) - 5)
		return fail(err, ERR_USAGE, "%.200s: too long for the path of a socket", path);
	strcat(place, path);
	return nbdserver_listen(receiver->server, place, false, err);
}

void receiver_expect(struct receiver *receiver, uint32_t drive, const struct cluster_set *set)
{
	receiver->drives[drive].expected = set;
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
	if (receiver == NULL)
		return;
	if (receiver->server != NULL) {
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
