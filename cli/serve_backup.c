/*
 * One backup of the drives served here. The capture and its buffer are in this process; who asked
 * for the backup maps the buffer's memory, and writes the archive from it (cli/live.h).
 *
 * Threads. Each of the client's that wants a chunk sends a message and waits for one. Here as many
 * threads, and one more, wait at the same socket: whoever gets the message does what it asks for,
 * which includes the next step of the pass, and answers. So of each such pair one works at a time:
 * no more threads want a processor than the client was told to use, and what is on its way between
 * them is a chunk each. The one more is there for what comes while all others wait for work: chunks
 * given back, the end. The thread of the control socket's client only
 * waits for a failure meanwhile, which must be told to a client that asks for nothing.
 *
 * When the client has gone, or sends what makes no sense, whoever notices has the buffer fail,
 * which ends all waiting, that of the others and that of guest writes, and then the capture is
 * taken away. What the guest does never depends on the client.
 */
#include "cli/serve.h"

#include "base/background.h"
#include "cli/control.h"
#include "cli/live.h"
#include "cli/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BUFFER_DEFAULT (UINT64_C(64) << 20)
#define SEND_S	       10

struct session {
	struct serve *serve;
	int fd;			      /* borrowed: the client */
	const struct served **drives; /* owned array, as volumes */
	struct volume **volumes;
	uint32_t n_volumes;	 /* and drives */
	struct buffer *buffer;	 /* owned */
	struct capture *capture; /* owned; NULL before the instant */
	uint32_t n_chunks;
	_Atomic(struct chunk *) *lent; /* by index: the client has it. Owned array */
	struct timespec began;

	uint32_t n_askers; /* chunks that the client may ask for at once */
	atomic_uint n_asking;
	pthread_t *attendants; /* owned: n_attendants of them */
	uint32_t n_attendants;
	atomic_bool done; /* all was given */

	pthread_mutex_t lock;  /* guards the rest */
	bool over;	       /* the client has gone, or is to be left */
	struct error nonsense; /* why it is left, if it is told */
};

/* ---- counts ---- */

void serve_backup_counts(struct json_t *out, const struct capture *capture,
			 const struct buffer *buffer)
{
	const struct buffer_counts *counts = buffer_counts(buffer);
	struct capture_status status;

	capture_status(capture, &status);
	json_put_number(out, "n_clusters", status.n_clusters);
	json_put_number(out, "todo_clusters", status.todo_clusters);
	json_put_number(out, "sweep_clusters", status.swept_clusters);
	json_put_number(out, "guest_clusters", status.saved_clusters);
	json_put_number(out, "zero_clusters", status.zero_clusters);
	json_put_number(out, "read_bytes", status.read_clusters * CLUSTER_SIZE);
	json_put_number(out, "spilled_clusters", atomic_load(&counts->spilled_clusters));
	json_put_number(out, "buffer_peak_bytes", atomic_load(&counts->peak_bytes));
	json_put_number(out, "quiesce_ns", status.quiesce_ns);
	json_put_number(out, "guest_writes", status.delays.n);
	json_put_number(out, "delay_p50_ns", status.delays.p50_ns);
	json_put_number(out, "delay_p99_ns", status.delays.p99_ns);
	json_put_number(out, "delay_max_ns", status.delays.max_ns);
}

void serve_backup_status(struct serve *serve, struct json_t *out)
{
	struct session *session;

	pthread_mutex_lock(&serve->lock);
	session = serve->session;
	json_put_number(out, "n_backups_done", serve->n_backups_done);
	json_put_number(out, "n_backups_failed", serve->n_backups_failed);
	if (session == NULL || session->capture == NULL) {
		json_put_null(out, "backup");
	} else {
		struct json_t *backup = json_put_object(out, "backup");
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		json_put_real(backup, "duration_s",
			      (double)(now.tv_sec - session->began.tv_sec) +
				      (double)(now.tv_nsec - session->began.tv_nsec) / 1e9);
		json_put_number(backup, "n_drives", session->n_volumes);
		json_put_number(backup, "buffer_fill", buffer_fill(session->buffer));
		serve_backup_counts(backup, session->capture, session->buffer);
	}
	pthread_mutex_unlock(&serve->lock);
}

/* ---- what the client is told ---- */

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

static int send_done(struct session *session, struct error *err)
{
	struct json_t *message = json_new();

	serve_backup_counts(json_put_object(message, "done"), session->capture, session->buffer);
	atomic_store(&session->done, true);
	return control_send(session->fd, message, -1, err);
}

/* To all of the client's threads that wait, and to whoever of it looks: one gets the message, the
 * others find that no more will come. A buffer that is full is no disk that is full: the archive's
 * has its own way to be told. */
static void send_failure(struct session *session, const struct error *why)
{
	struct error told = *why, ignored;

	if (why->code == ERR_FULL)
		fail(&told, ERR_SYSTEM,
		     "%.250s; a larger --buffer or --spill helps, or --on-full wait", why->text);
	control_send_error(session->fd, &told, &ignored);
	shutdown(session->fd, SHUT_WR);
}

/* ---- the end ---- */

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
}

static bool is_over(struct session *session)
{
	bool over;

	pthread_mutex_lock(&session->lock);
	over = session->over;
	pthread_mutex_unlock(&session->lock);
	return over;
}

/* ---- what the client sends ---- */

static void add_drive(struct session *session, const struct served *served)
{
	session->drives[session->n_volumes] = served;
	session->volumes[session->n_volumes++] = served->volume;
}

static int find_volume(struct session *session, const char *name, struct error *err)
{
	struct serve *serve = session->serve;

	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct volume *volume = serve->drives[i].volume;
		if (name == NULL || strcmp(volume_name(volume), name) != 0)
			continue;
		for (uint32_t j = 0; j < session->n_volumes; j++)
			if (session->volumes[j] == volume)
				return fail(err, ERR_USAGE, "drive '%s': named twice", name);
		add_drive(session, &serve->drives[i]);
		return 0;
	}
	return fail(err, ERR_USAGE, "drive '%s': not served here", name == NULL ? "" : name);
}

static int choose_volumes(struct session *session, const struct json_t *request, struct error *err)
{
	const struct json_t *names = json_member(request, "drives");
	size_t n = json_length(names);
	struct serve *serve = session->serve;

	session->volumes = memory_new(serve->n_drives, sizeof(*session->volumes));
	session->drives = memory_new(serve->n_drives, sizeof(*session->drives));
	if (n == 0) {
		for (uint32_t i = 0; i < serve->n_drives; i++)
			add_drive(session, &serve->drives[i]);
		return 0;
	}
	for (size_t i = 0; i < n && session->n_volumes < serve->n_drives; i++) {
		if (find_volume(session, json_item_text(names, i), err) < 0)
			return err->code;
	}
	return n > session->n_volumes ? fail(err, ERR_USAGE, "more drives than are served") : 0;
}

static int learn_askers(struct session *session, const struct json_t *request, struct error *err)
{
	uint64_t n = 1;

	json_member_number(request, "askers", &n);
	if (n == 0 || n > LIVE_ASKERS_MAX)
		return fail(err, ERR_USAGE, "asks for %llu chunks at once", (unsigned long long)n);
	session->n_askers = (uint32_t)n;
	return 0;
}

static int make_buffer(struct session *session, const struct json_t *request, struct error *err)
{
	struct buffer_options options = {
		.spill_dir = json_member_text(request, "spill_dir"),
		.when_full = json_member_bool(request, "wait") ? FULL_WAIT : FULL_FAIL,
	};
	uint64_t size = BUFFER_DEFAULT;

	json_member_number(request, "buffer", &size);
	json_member_number(request, "spill", &options.spill_bytes);
	if (size / CHUNK_SIZE < 4 || size > LIVE_BUFFER_MAX)
		return fail(err, ERR_USAGE, "a buffer of %llu bytes: too small, or too large",
			    (unsigned long long)size);
	if (options.spill_bytes != 0 && options.spill_dir == NULL)
		return fail(err, ERR_USAGE, "no folder for the scratch file");
	options.n_chunks = session->n_chunks = (uint32_t)(size / CHUNK_SIZE);
	/* Without memory the backup fails; the guest's drives are not to go with it. */
	session->lent = calloc(session->n_chunks, sizeof(*session->lent));
	if (session->lent == NULL)
		return fail_system(err, ENOMEM, "a buffer");
	return buffer_new(&session->buffer, &options, err);
}

/* The answer to "backup": which drives, and the memory. */
static int send_plan(struct session *session, struct error *err)
{
	struct json_t *message = json_new();
	struct json_t *plan = json_put_object(message, "return");
	struct json_t *drives = json_put_array(plan, "drives");

	for (uint32_t i = 0; i < session->n_volumes; i++) {
		struct json_t *drive = json_add_object(drives);
		char *path = realpath(session->drives[i]->argument.path, NULL);
		json_put_text(drive, "name", session->drives[i]->argument.name);
		if (path != NULL)
			json_put_text(drive, "path", path);
		json_put_number(drive, "size_bytes", drive_size(session->drives[i]->drive));
		free(path);
	}
	json_put_number(plan, "n_chunks", session->n_chunks);
	return control_send(session->fd, message, buffer_fd(session->buffer), err);
}

static int take_the_instant(struct session *session, struct error *err)
{
	struct serve *serve = session->serve;
	const struct capture_options options = {0};
	struct capture_status status;
	struct capture *capture;
	struct json_t *reply;

	if (capture_begin(&capture, session->volumes, session->n_volumes, session->buffer, &options,
			  err) < 0)
		return err->code;
	pthread_mutex_lock(&serve->lock);
	clock_gettime(CLOCK_MONOTONIC, &session->began);
	session->capture = capture;
	pthread_mutex_unlock(&serve->lock);
	reply = json_new();
	capture_status(capture, &status);
	json_put_number(json_put_object(reply, "return"), "quiesce_ns", status.quiesce_ns);
	return control_send(session->fd, reply, -1, err);
}

static int take_back(struct session *session, const struct json_t *request, struct error *err)
{
	struct chunk *chunk = NULL;
	uint64_t index;

	if (json_member_number(request, "chunk", &index) && index < session->n_chunks)
		chunk = atomic_exchange(&session->lent[index], NULL);
	if (chunk == NULL)
		return fail(err, ERR_USAGE, "gives back a chunk that it has not got");
	buffer_release(session->buffer, chunk);
	return 0;
}

/* A failure is told by the one who waits for it. */
static int give_next(struct session *session, struct error *err)
{
	struct error failure;
	struct chunk *chunk;
	int got;

	if (atomic_fetch_add(&session->n_asking, 1) >= session->n_askers)
		return fail(err, ERR_USAGE, "asks for more at once than it said");
	got = capture_next(session->capture, &chunk, &failure);
	atomic_fetch_sub(&session->n_asking, 1);
	if (got < 0)
		return 0;
	if (got == 0)
		return send_done(session, err);
	atomic_store(&session->lent[chunk->index], chunk);
	return control_send(session->fd, describe_chunk(session, chunk), -1, err);
}

static int answer(struct session *session, const struct json_t *request, struct error *err)
{
	const char *what = json_member_text(request, "execute");

	if (what != NULL && strcmp(what, "next") == 0)
		return give_next(session, err);
	if (what != NULL && strcmp(what, "release") == 0)
		return take_back(session, request, err);
	return fail(err, ERR_USAGE, "a message that has no place in a backup");
}

static void *attend(void *context)
{
	struct session *session = context;
	struct json_t *message;
	struct error err;
	int got, code = 0;

	background_work(BACKGROUND_SAVES);
	while (code == 0 && (got = control_receive(session->fd, &message, NULL, &err)) != 0) {
		code = got < 0 ? got : answer(session, message, &err);
		if (got > 0)
			json_free(message);
	}
	leave(session, code == 0 ? NULL : &err);
	return NULL;
}

static int start_attendants(struct session *session, struct error *err)
{
	/* A client that lives and does not read would keep a thread, and so the session. What is
	 * sent is small and was asked for. */
	const struct timeval patience = {.tv_sec = SEND_S};
	int sys = 0;

	setsockopt(session->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	session->attendants = memory_new(session->n_askers + 1, sizeof(pthread_t));
	while (sys == 0 && session->n_attendants <= session->n_askers) {
		sys = pthread_create(&session->attendants[session->n_attendants], NULL, attend,
				     session);
		session->n_attendants += sys == 0 ? 1 : 0;
	}
	return sys == 0 ? 0 : fail_system(err, sys, "cannot start a thread");
}

/* ---- the whole ---- */

/* 0: begun, or the client has gone. */
static int prepare(struct session *session, const struct json_t *request, struct error *err)
{
	struct json_t *message;
	const char *what;
	bool begins;
	int got;

	if (choose_volumes(session, request, err) < 0 || learn_askers(session, request, err) < 0 ||
	    make_buffer(session, request, err) < 0 || send_plan(session, err) < 0)
		return err->code;
	got = control_receive(session->fd, &message, NULL, err);
	if (got <= 0)
		return got;
	what = json_member_text(message, "execute");
	begins = what != NULL && strcmp(what, "begin") == 0;
	json_free(message);
	return begins ? take_the_instant(session, err)
		      : fail(err, ERR_USAGE, "a message that has no place before a backup");
}

/* Until the client has gone. */
static int converse(struct session *session, struct error *err)
{
	struct error why;
	int code = start_attendants(session, err);

	if (code < 0)
		leave(session, NULL);
	buffer_await_failure(session->buffer, &why);
	if (!is_over(session))
		send_failure(session, &why);
	for (uint32_t i = 0; i < session->n_attendants; i++)
		pthread_join(session->attendants[i], NULL);
	if (code == 0 && session->nonsense.code < 0) {
		*err = session->nonsense;
		code = err->code;
	}
	return code;
}

static void end_session(struct session *session)
{
	struct serve *serve = session->serve;
	struct capture *capture = session->capture;

	pthread_mutex_lock(&serve->lock);
	session->capture = NULL;
	pthread_mutex_unlock(&serve->lock);
	capture_end(capture);
	buffer_free(session->buffer);
	pthread_mutex_lock(&serve->lock);
	serve->session = NULL;
	if (capture != NULL)
		*(atomic_load(&session->done) ? &serve->n_backups_done
					      : &serve->n_backups_failed) += 1;
	pthread_mutex_unlock(&serve->lock);
	pthread_mutex_destroy(&session->lock);
	free(session->attendants);
	free(session->lent);
	free(session->volumes);
	free(session->drives);
}

static bool client_has_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* False: there is another. One whose client has gone is as good as over: it is waited for, so that
 * a backup can follow upon another, or upon one that was killed, at once. */
static bool take_turn(struct serve *serve, struct session *session)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	for (;;) {
		pthread_mutex_lock(&serve->lock);
		bool free_now = serve->session == NULL;
		bool ending = !free_now && client_has_gone(serve->session->fd);
		if (free_now)
			serve->session = session;
		pthread_mutex_unlock(&serve->lock);
		if (free_now || !ending)
			return free_now;
		nanosleep(&pause, NULL);
	}
}

int serve_backup(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	struct session session = {.serve = serve, .fd = fd};
	int code;

	if (!take_turn(serve, &session))
		return fail(err, ERR_LOCKED, "another backup of these drives is running");
	pthread_mutex_init(&session.lock, NULL);
	code = prepare(&session, request, err);
	if (code == 0 && session.capture != NULL)
		code = converse(&session, err);
	end_session(&session);
	return code;
}
