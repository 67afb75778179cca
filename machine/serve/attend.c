/*
 * Threads. Each of the client's that wants chunks has a data channel, and an attendant here that
 * waits at its other end, does what it is asked for, which includes the next step of the sweep, and
 * answers. So of each such pair one works at a time: no more threads want a processor than the
 * client was told to use, and at most one chunk is on its way between them. One more attendant
 * waits at the control socket itself, for what comes while the others are at work: chunks given
 * back, and the end.
 *
 * When the client has gone, or breaks the protocol, the attendant that notices makes the buffer
 * fail, which ends all waiting, that of the others and that of guest writes, and then the capture
 * is ended. What the guest does never depends on the client.
 */
#include "machine/serve/state.h"

#include "base/background.h"
#include "base/patience.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_S 10 /* for how long a client may leave unread what it has asked for */

/* ---- what it is told ---- */

static void add_run(struct json_t *runs, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	struct json_t *run = json_add_array(runs);

	json_add_number(run, drive);
	json_add_number(run, cluster);
	json_add_number(run, n_clusters);
}

static struct json_t *describe_chunk(const struct serve_backup *backup, const struct chunk *chunk)
{
	struct json_t *message = json_new();
	struct json_t *data = json_put_array(message, "data");
	struct json_t *zeros = json_put_array(message, "zeros");
	uint32_t n;

	json_put_number(message, "chunk", chunk->index);
	json_put_bool(message, "guests", capture_guest_is_active(backup->capture));
	for (uint32_t i = 0; i < chunk->n_clusters; i += n) {
		const struct chunk_cluster *first = &chunk->clusters[i];
		for (n = 1; i + n < chunk->n_clusters && first[n].drive == first->drive &&
			    first[n].cluster == first->cluster + n;)
			n++;
		add_run(data, first->drive, first->cluster, n);
	}
	for (uint32_t i = 0; i < chunk->n_zeros; i++)
		add_run(zeros, chunk->zeros[i].drive, chunk->zeros[i].cluster,
			chunk->zeros[i].n_clusters);
	return message;
}

static struct json_t *describe_end(struct serve_backup *backup)
{
	struct json_t *message = json_new();

	serve_counts(json_put_object(message, "done"), backup->capture, backup->buffer);
	return message;
}

/* ---- the end ---- */

static void close_channels(struct serve_backup *backup)
{
	for (uint32_t i = 0; i < backup->n_channels; i++)
		shutdown(backup->channels[i].fd, SHUT_RDWR);
}

/* misuse: what the client did wrong; NULL: it has gone. Wakes all that wait for it. */
static void leave(struct serve_backup *backup, const struct error *misuse)
{
	struct error gone;

	pthread_mutex_lock(&backup->lock);
	if (!backup->over && misuse != NULL)
		backup->misuse = *misuse;
	backup->over = true;
	pthread_mutex_unlock(&backup->lock);
	fail(&gone, ERR_SYSTEM, "the client of the backup has disconnected");
	buffer_fail(backup->buffer, &gone);
	shutdown(backup->fd, SHUT_RD);
	close_channels(backup);
}

bool backup_is_over(struct serve_backup *backup)
{
	bool over;

	pthread_mutex_lock(&backup->lock);
	over = backup->over;
	pthread_mutex_unlock(&backup->lock);
	return over;
}

/* ---- what it sends ---- */

static int take_back(struct serve_backup *backup, const struct json_t *request, struct error *err)
{
	const struct json_t *chunks = json_member(request, "chunks");
	size_t n = json_length(chunks);

	for (size_t i = 0; i < n; i++) {
		struct chunk *chunk = NULL;
		uint64_t index;
		if (json_item_number(chunks, i, &index) && index < backup->n_chunks)
			chunk = atomic_exchange(&backup->lent[index], NULL);
		if (chunk == NULL)
			return fail(err, ERR_USAGE,
				    "the client gives back a chunk that it does not have");
		buffer_release(backup->buffer, chunk);
	}
	return 0;
}

/* Before an archive can be complete. */
static void settle(struct serve_backup *backup)
{
	pthread_mutex_lock(&backup->settling);
	if (!atomic_load(&backup->settled))
		instant_settle(&backup->instant);
	atomic_store(&backup->settled, true);
	pthread_mutex_unlock(&backup->settling);
}

/* A failure is told by the thread that waits for it (backup.c). An answer that is not delivered, as
 * the client reads none or as memory is lacking, fails the backup: its chunk would be missing in
 * the archive. */
static void give_next(const struct attendant *attendant)
{
	struct serve_backup *backup = attendant->backup;
	struct json_t *message = NULL;
	struct error err;
	struct chunk *chunk;
	int got = backup->snapshot ? buffer_next(backup->buffer, &chunk, BUFFER_FOR_WORK, &err)
				   : capture_next(backup->capture, &chunk, &err);

	if (got > 0) {
		message = describe_chunk(backup, chunk);
		/* From here on another thread may be given it back. */
		atomic_store(&backup->lent[chunk->index], chunk);
	} else if (got == 0) {
		settle(backup);
		message = describe_end(backup);
	}
	if (got < 0)
		return;
	if (message_send(attendant->fd, message, -1, &err) < 0)
		buffer_fail(backup->buffer, &err);
	else if (got == 0)
		atomic_store(&backup->done, true);
}

static bool is_listener(const struct attendant *attendant)
{
	return attendant == &attendant->backup->listener;
}

static int give_changes(const struct attendant *attendant, const struct json_t *request,
			struct error *err)
{
	struct json_t *message = serve_changes(attendant->backup, request, err);

	return message == NULL ? err->code : message_send(attendant->fd, message, -1, err);
}

/* That there is no checkpoint is no reason to end the backup, which is over. */
static int commit(const struct attendant *attendant, const struct json_t *request)
{
	struct serve_backup *backup = attendant->backup;
	struct capture_status status;
	uint64_t written_bytes = 0;
	struct error err;

	json_member_number(request, "written_bytes", &written_bytes);
	capture_status(backup->capture, &status);
	if (!atomic_load(&backup->done))
		return message_send_error(attendant->fd,
					  (fail(&err, ERR_USAGE, "not all was given yet"), &err),
					  &err);
	/* Of what was read some may have been as the parent has it. So it is with what changes from
	 * here on, for which this is to tell the size of an archive. */
	if (instant_commit(&backup->instant, status.read_clusters * CLUSTER_SIZE, written_bytes,
			   &err) < 0)
		return message_send_error(attendant->fd, &err, &err);
	return message_send(attendant->fd, json_make("{s:{}}", "return"), -1, &err);
}

static int answer(const struct attendant *attendant, const struct json_t *request,
		  struct error *err)
{
	const char *what = json_member_text(request, "execute");
	bool asks = !is_listener(attendant);
	int code = asks ? serve_peek(attendant->backup, attendant->fd, request, err) : 1;

	if (code <= 0)
		return code;
	if (what != NULL && asks && strcmp(what, "changes") == 0)
		return give_changes(attendant, request, err);
	if (what != NULL && asks && strcmp(what, "commit") == 0)
		return commit(attendant, request);
	if (what == NULL || strcmp(what, asks ? "next" : "release") != 0)
		return fail(err, ERR_USAGE, "unexpected message during a backup");
	if (take_back(attendant->backup, request, err) < 0)
		return err->code;
	if (asks)
		give_next(attendant);
	return 0;
}

static void *attend(void *context)
{
	struct attendant *attendant = context;
	struct json_t *message;
	struct error err;
	int got, code = 0;

	background_work(BACKGROUND_SAVES);
	while (code == 0 && (got = message_receive(attendant->fd, &message, NULL, &err)) != 0) {
		code = got < 0 ? got : answer(attendant, message, &err);
		if (got > 0)
			json_free(message);
	}
	if (code < 0 || is_listener(attendant))
		leave(attendant->backup, code == 0 ? NULL : &err);
	return NULL;
}

static int start(struct attendant *attendant, struct error *err)
{
	int sys;

	/* A client that lives and does not read would keep a thread, and so the backup. What is
	 * sent is small and was asked for. */
	patience_for_sending(attendant->fd, SEND_S);
	sys = pthread_create(&attendant->thread, NULL, attend, attendant);
	attendant->started = sys == 0;
	return sys == 0 ? 0 : fail_start(err, sys, "cannot start a thread");
}

/* ---- the attendants ---- */

int attendants_add(struct serve_backup *backup, struct error *err)
{
	int ends[2], code;

	if (backup->n_channels == PROTOCOL_CHANNELS_MAX)
		return fail(err, ERR_USAGE, "more than %u data channels", PROTOCOL_CHANNELS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fail_system(err, errno, "a data channel");
	backup->channels[backup->n_channels++] =
		(struct attendant){.backup = backup, .fd = ends[0]};
	code = message_send(backup->fd, json_make("{s:{}}", "return"), ends[1], err);
	close(ends[1]);
	return code;
}

int attendants_start(struct serve_backup *backup, struct error *err)
{
	int code;

	backup->listener = (struct attendant){.backup = backup, .fd = backup->fd};
	code = start(&backup->listener, err);
	for (uint32_t i = 0; i < backup->n_channels && code == 0; i++)
		code = start(&backup->channels[i], err);
	if (code < 0)
		leave(backup, NULL);
	return code;
}

static void join(const struct attendant *attendant)
{
	if (attendant->started)
		pthread_join(attendant->thread, NULL);
}

void attendants_join(struct serve_backup *backup)
{
	close_channels(backup);
	for (uint32_t i = 0; i < backup->n_channels; i++)
		join(&backup->channels[i]);
	join(&backup->listener);
}

void attendants_free(struct serve_backup *backup)
{
	for (uint32_t i = 0; i < backup->n_channels; i++)
		close(backup->channels[i].fd);
}
