/*
 * One backup of the drives served here. The capture and its buffer are in this process; who asked
 * for the backup maps the buffer's memory, and writes the archive from it (machine/serve/client.h). This
 * thread, which is that of the control socket's client, prepares all, and then waits for a failure,
 * which must be told to a client that asks for nothing; the client's going is one, too. What is
 * asked for meanwhile others give (serve_attend.c).
 */
#include "machine/serve/session.h"

#include "machine/serve/message.h"
#include "machine/serve/client.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BUFFER_DEFAULT (UINT64_C(64) << 20)
#define LEAVE_MS       10000 /* for a client to leave once it was told of a failure */

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

/* A buffer that is full is no disk that is full: the archive's has its own way to be told. */
static void send_failure(struct session *session, const struct error *why)
{
	struct error told = *why, ignored;

	if (why->code == ERR_FULL)
		fail(&told, ERR_SYSTEM,
		     "%.250s; a larger --buffer or --spill helps, or --on-full wait", why->text);
	control_send_error(session->fd, &told, &ignored);
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

	session->volumes = calloc(serve->n_drives, sizeof(*session->volumes));
	session->drives = calloc(serve->n_drives, sizeof(*session->drives));
	if (session->volumes == NULL || session->drives == NULL)
		return fail_system(err, ENOMEM, "a backup");
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
	session->lent = calloc(session->n_chunks, sizeof(*session->lent));
	if (session->lent == NULL)
		return fail_system(err, ENOMEM, "a buffer");
	return buffer_new(&session->buffer, &options, err);
}

/* Asked now: later the machine may be frozen, and wait for it. */
static void put_map_failure(struct json_t *drive, struct generation *map)
{
	struct error err;

	if (map == NULL)
		return;
	generation_sync(map);
	if (generation_failure(map, &err) != 0)
		json_put_text(drive, "map_failure", err.text);
}

/* The path is for the client to see that it does not write the archive there. */
static int describe_drive(struct json_t *drive, const struct served *served, struct error *err)
{
	char *path = realpath(served->argument.path, NULL);

	if (path == NULL && errno == ENOMEM)
		return fail_system(err, ENOMEM, "a backup");
	json_put_text(drive, "name", served->argument.name);
	if (path != NULL)
		json_put_text(drive, "path", path);
	json_put_number(drive, "size_bytes", drive_size(served->drive));
	put_map_failure(drive, served->map);
	free(path);
	return 0;
}

/* The answer to "backup": which drives, and the memory. */
static int send_plan(struct session *session, struct error *err)
{
	struct json_t *message = json_new();
	struct json_t *plan = json_put_object(message, "return");
	struct json_t *drives = json_put_array(plan, "drives");

	for (uint32_t i = 0; i < session->n_volumes; i++) {
		if (describe_drive(json_add_object(drives), session->drives[i], err) < 0) {
			json_free(message);
			return err->code;
		}
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

/* ---- the whole ---- */

/* What the client sends before the instant. 1: it wants more, 0: the instant was taken. */
static int prepare_more(struct session *session, const struct json_t *request, struct error *err)
{
	const char *what = json_member_text(request, "execute");

	if (what != NULL && strcmp(what, "channel") == 0)
		return attendants_add(session, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "begin") == 0)
		return take_the_instant(session, err);
	return fail(err, ERR_USAGE, "a message that has no place before a backup");
}

/* 0: begun, or the client has gone. */
static int prepare(struct session *session, const struct json_t *request, struct error *err)
{
	struct json_t *message;
	int more = 1;

	if (choose_volumes(session, request, err) < 0 || make_buffer(session, request, err) < 0 ||
	    send_plan(session, err) < 0)
		return err->code;
	while (more > 0 && (more = control_receive(session->fd, &message, NULL, err)) > 0) {
		more = prepare_more(session, message, err);
		json_free(message);
	}
	return more;
}

/* A client that stands still is not waited for: the next backup can begin. What it was told stays
 * for it to read. */
static void await_leave(const struct session *session)
{
	struct pollfd poll_fd = {.fd = session->fd, .events = POLLRDHUP};

	if (poll(&poll_fd, 1, LEAVE_MS) == 0)
		shutdown(session->fd, SHUT_RDWR);
}

/* Until the client has gone. */
static int converse(struct session *session, struct error *err)
{
	struct error why;
	int code = attendants_start(session, err);

	buffer_await_failure(session->buffer, &why);
	if (!session_is_over(session)) {
		send_failure(session, &why);
		await_leave(session);
	}
	attendants_join(session);
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
	attendants_free(session);
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
