/*
 * What the client of a backup asks for while it runs, and gives back.
 *
 * Threads. Each of the client's that wants chunks has a channel, and an attendant here that waits
 * at its other end, does what it is asked for, which includes the next step of the pass, and
 * answers. So of each such pair one works at a time: no more threads want a processor than the
 * client was told to use, and what is on its way between them is a chunk each. One attendant more
 * waits at the control socket itself, for what comes while the others are at work: chunks given
 * back, the end.
 *
 * When the client has gone, or sends what makes no sense, whoever notices has the buffer fail,
 * which ends all waiting, that of the others and that of guest writes, and then the capture is
 * taken away. What the guest does never depends on the client.
 */
#include "machine/serve/session.h"

#include "base/background.h"
#include "machine/serve/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_S 10 /* for which a client may leave unread what it has asked for */

/* ---- what it is told ---- */

static void add_run(struct json_t *runs, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	struct json_t *run = json_add_array(runs);

	json_add_number(run, drive);
	json_add_number(run, cluster);
	json_add_number(run, n_clusters);
}

static struct json_t *describe_chunk(const struct session *session, const struct chunk *chunk)
{
	struct json_t *message = json_new();
	struct json_t *data = json_put_array(message, "data");
	struct json_t *zeros = json_put_array(message, "zeros");
	uint32_t n;

	json_put_number(message, "chunk", chunk->index);
	json_put_bool(message, "guests", capture_guests_at_work(session->capture));
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

static struct json_t *describe_end(struct session *session)
{
	struct json_t *message = json_new();

	serve_backup_counts(json_put_object(message, "done"), session->capture, session->buffer);
	return message;
}

/* ---- the end ---- */

static void close_channels(struct session *session)
{
	for (uint32_t i = 0; i < session->n_channels; i++)
		shutdown(session->channels[i].fd, SHUT_RDWR);
}

/* nonsense: what the client did wrong; NULL: it has gone. Has all come back that wait for it. */
static void leave(struct session *session, const struct error *nonsense)
{
	struct error gone;

	pthread_mutex_lock(&session->lock);
	if (!session->over && nonsense != NULL)
		session->nonsense = *nonsense;
	session->over = true;
	pthread_mutex_unlock(&session->lock);
	fail(&gone, ERR_SYSTEM, "the client of the backup has gone");
	buffer_fail(session->buffer, &gone);
	shutdown(session->fd, SHUT_RD);
	close_channels(session);
}

bool session_is_over(struct session *session)
{
	bool over;

	pthread_mutex_lock(&session->lock);
	over = session->over;
	pthread_mutex_unlock(&session->lock);
	return over;
}

/* ---- what it sends ---- */

static int take_back(struct session *session, const struct json_t *request, struct error *err)
{
	const struct json_t *chunks = json_member(request, "chunks");
	size_t n = json_length(chunks);

	for (size_t i = 0; i < n; i++) {
		struct chunk *chunk = NULL;
		uint64_t index;
		if (json_item_number(chunks, i, &index) && index < session->n_chunks)
			chunk = atomic_exchange(&session->lent[index], NULL);
		if (chunk == NULL)
			return fail(err, ERR_USAGE, "gives back a chunk that it has not got");
		buffer_release(session->buffer, chunk);
	}
	return 0;
}

/* A failure is told by the one who waits for it. What the client did not get cannot come to be in
 * its archive, be it that it reads no answers or that there is no memory for this one. */
static void give_next(const struct attendant *attendant)
{
	struct session *session = attendant->session;
	struct json_t *message = NULL;
	struct error err;
	struct chunk *chunk;
	int got = capture_next(session->capture, &chunk, &err);

	if (got > 0) {
		message = describe_chunk(session, chunk);
		/* From here on another thread may be given it back. */
		atomic_store(&session->lent[chunk->index], chunk);
	} else if (got == 0) {
		message = describe_end(session);
	}
	if (got < 0)
		return;
	if (control_send(attendant->fd, message, -1, &err) < 0)
		buffer_fail(session->buffer, &err);
	else if (got == 0)
		atomic_store(&session->done, true);
}

static bool is_listener(const struct attendant *attendant)
{
	return attendant == &attendant->session->listener;
}

static int answer(const struct attendant *attendant, const struct json_t *request,
		  struct error *err)
{
	const char *what = json_member_text(request, "execute");
	bool asks = !is_listener(attendant);

	if (what == NULL || strcmp(what, asks ? "next" : "release") != 0)
		return fail(err, ERR_USAGE, "a message that has no place in a backup");
	if (take_back(attendant->session, request, err) < 0)
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
	while (code == 0 && (got = control_receive(attendant->fd, &message, NULL, &err)) != 0) {
		code = got < 0 ? got : answer(attendant, message, &err);
		if (got > 0)
			json_free(message);
	}
	if (code < 0 || is_listener(attendant))
		leave(attendant->session, code == 0 ? NULL : &err);
	return NULL;
}

static int start(struct attendant *attendant, struct error *err)
{
	/* A client that lives and does not read would keep a thread, and so the session. What is
	 * sent is small and was asked for. */
	const struct timeval patience = {.tv_sec = SEND_S};
	int sys;

	setsockopt(attendant->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	sys = pthread_create(&attendant->thread, NULL, attend, attendant);
	attendant->started = sys == 0;
	return sys == 0 ? 0 : fail_start(err, sys, "cannot start a thread");
}

/* ---- the attendants ---- */

int attendants_add(struct session *session, struct error *err)
{
	struct json_t *reply;
	int ends[2], code;

	if (session->n_channels == LIVE_CHANNELS_MAX)
		return fail(err, ERR_USAGE, "more than %u channels", LIVE_CHANNELS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fail_system(err, errno, "a channel");
	session->channels[session->n_channels++] =
		(struct attendant){.session = session, .fd = ends[0]};
	reply = json_new();
	json_put_object(reply, "return");
	code = control_send(session->fd, reply, ends[1], err);
	close(ends[1]);
	return code;
}

int attendants_start(struct session *session, struct error *err)
{
	int code;

	session->listener = (struct attendant){.session = session, .fd = session->fd};
	code = start(&session->listener, err);
	for (uint32_t i = 0; i < session->n_channels && code == 0; i++)
		code = start(&session->channels[i], err);
	if (code < 0)
		leave(session, NULL);
	return code;
}

static void join(const struct attendant *attendant)
{
	if (attendant->started)
		pthread_join(attendant->thread, NULL);
}

void attendants_join(struct session *session)
{
	close_channels(session);
	for (uint32_t i = 0; i < session->n_channels; i++)
		join(&session->channels[i]);
	join(&session->listener);
}

void attendants_free(struct session *session)
{
	for (uint32_t i = 0; i < session->n_channels; i++)
		close(session->channels[i].fd);
}
