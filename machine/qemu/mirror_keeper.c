/*
 * The keeper: one thread copies and looks after the jobs, the other answers requests.
 */
#include "machine/qemu/mirror.h"
#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/socket.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "machine/message.h"
#include "machine/qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK_MS	  200
#define LISTEN_MS 100
#define CLIENT_S  5    /* for a client to say what it wants */
#define ABORT_MS  5000 /* for the other thread, which may wait for the target */

enum wanted { WANT_NOTHING, WANT_PIVOT, WANT_ABORT };

struct keeper {
	struct qemu_mirror mirror;
	pthread_t thread;
	int listener;
	struct socket_place place;
	/* Under mirror.lock_all. */
	enum wanted wanted;
	bool done;
	struct error result;
	bool rate_changed;
};

/* ---- the thread that copies ---- */

static enum wanted take_wish(struct keeper *keeper, bool idle)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	enum wanted wanted;

	pthread_mutex_lock(&mirror->lock_all);
	if (idle && keeper->wanted == WANT_NOTHING)
		clock_cond_wait(&mirror->changed, &mirror->lock_all, clock_ms() + TICK_MS);
	wanted = keeper->wanted;
	atomic_store(&mirror->leaving, false);
	pthread_mutex_unlock(&mirror->lock_all);
	return wanted;
}

static void answer_wish(struct keeper *keeper, enum wanted wanted)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	struct error err = {0};

	if (wanted == WANT_PIVOT)
		qmirror_pivot(mirror, &err);
	else
		qmirror_abort(mirror, &err);
	pthread_mutex_lock(&mirror->lock_all);
	keeper->result = err;
	keeper->wanted = WANT_NOTHING;
	keeper->done = true;
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock_all);
}

/* Whether QEMU has ended. Another program may have the monitor, and then its job needs nobody. */
static void look_for_qemu(struct keeper *keeper)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	struct error err = {0};
	struct qmp *qmp;

	if (qmp_open(&qmp, mirror->place, &err) == 0) {
		qmp_close(qmp);
		return;
	}
	if (err.sys != ECONNREFUSED && err.sys != ENOENT)
		return;
	pthread_mutex_lock(&mirror->lock_all);
	mirror->phase = MIRROR_GONE;
	pthread_cond_broadcast(&mirror->changed);
	pthread_mutex_unlock(&mirror->lock_all);
}

static void copy_once(struct keeper *keeper, bool *idle)
{
	struct qemu_mirror *mirror = &keeper->mirror;

	*idle = true;
	for (unsigned i = 0; i < mirror->n_drives; i++) {
		struct mirrored *drive = &mirror->drives[i];
		struct error err = {0};

		if (drive->failed || qmirror_copied(drive))
			continue;
		*idle = false;
		if (qmirror_copy(mirror, drive, &err) == 0 || err.code == ERR_LOCKED)
			continue;
		if (!atomic_load(&mirror->leaving))
			qmirror_fail(mirror, drive, &err);
	}
}

static void set_rates(struct keeper *keeper)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	struct error ignored;
	struct qmp *qmp;
	bool changed;

	pthread_mutex_lock(&mirror->lock_all);
	changed = keeper->rate_changed;
	keeper->rate_changed = false;
	pthread_mutex_unlock(&mirror->lock_all);
	if (!changed || qmp_open(&qmp, mirror->place, &ignored) < 0)
		return;
	for (unsigned i = 0; i < mirror->n_drives; i++)
		job_set_rate(qmp, &mirror->drives[i], atomic_load(&mirror->rate), &ignored);
	qmp_close(qmp);
}

static void *work(void *context)
{
	struct keeper *keeper = context;
	struct qemu_mirror *mirror = &keeper->mirror;
	bool idle = false;

	while (mirror->phase == MIRROR_RUNS) {
		struct error err = {0};
		enum wanted wanted = take_wish(keeper, idle);

		if (wanted != WANT_NOTHING) {
			answer_wish(keeper, wanted);
			continue;
		}
		set_rates(keeper);
		copy_once(keeper, &idle);
		if (qmirror_tick(mirror, &err) < 0)
			look_for_qemu(keeper);
	}
	return NULL;
}

/* ---- what is asked ---- */

static int wish(struct keeper *keeper, enum wanted wanted, int64_t until_ms, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	bool done;

	pthread_mutex_lock(&mirror->lock_all);
	keeper->wanted = wanted;
	keeper->done = false;
	atomic_store(&mirror->leaving, true); /* a batch is broken off */
	pthread_cond_broadcast(&mirror->changed);
	while (!keeper->done && mirror->phase != MIRROR_GONE && clock_ms() < until_ms)
		clock_cond_wait(&mirror->changed, &mirror->lock_all, clock_ms() + TICK_MS);
	done = keeper->done;
	if (!done)
		keeper->wanted = WANT_NOTHING;
	*err = keeper->result;
	pthread_mutex_unlock(&mirror->lock_all);
	if (!done && mirror->phase == MIRROR_GONE)
		return fail(err, ERR_SYSTEM, "QEMU has ended");
	return done ? err->code : 1;
}

static int request_abort(struct keeper *keeper, struct error *err)
{
	int code = wish(keeper, WANT_ABORT, clock_ms() + ABORT_MS, err);

	/* The target gives no answer. */
	return code == 1 ? qmirror_force(&keeper->mirror, err) : code;
}

static const char *state_of(const struct mirrored *drive)
{
	return drive->failed ? "failed" : qmirror_in_sync(drive) ? "in sync" : "copying";
}

static void put_drive(struct json_t *line, const struct mirrored *drive)
{
	json_put_text(line, "name", drive->name);
	json_put_text(line, "target", drive->target);
	json_put_number(line, "size_bytes", drive->size_bytes);
	json_put_text(line, "state", state_of(drive));
	json_put_number(line, "left_bytes",
			atomic_load(&drive->need_bytes) + atomic_load(&drive->job_bytes));
	json_put_number(line, "copied_bytes", atomic_load(&drive->copied_bytes));
	json_put_text(line, "error", drive->failed ? drive->err.text : NULL);
}

static void put_status(struct keeper *keeper, struct json_t *out)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	struct json_t *object = json_put_object(out, "mirror"), *drives;

	pthread_mutex_lock(&mirror->lock_all);
	json_put_text(object, "phase", mirror->phase == MIRROR_RUNS ? "running" : "ended");
	json_put_number(object, "rate_bytes_per_s", atomic_load(&mirror->rate));
	json_put_text(object, "state_file", mirror->state);
	drives = json_put_array(object, "drives");
	for (unsigned i = 0; i < mirror->n_drives; i++)
		put_drive(json_add_object(drives), &mirror->drives[i]);
	pthread_mutex_unlock(&mirror->lock_all);
}

static int request_set(struct keeper *keeper, const struct json_t *request, struct error *err)
{
	uint64_t rate;

	if (!json_member_number(request, "rate", &rate))
		return fail(err, ERR_USAGE, "no rate");
	pthread_mutex_lock(&keeper->mirror.lock_all);
	atomic_store(&keeper->mirror.rate, rate);
	keeper->rate_changed = true;
	pthread_cond_broadcast(&keeper->mirror.changed);
	pthread_mutex_unlock(&keeper->mirror.lock_all);
	return 0;
}

static int perform(struct keeper *keeper, const struct json_t *request, struct json_t *out,
		   struct error *err)
{
	const char *what = json_member_text(request, "execute");
	int code = 0;

	if (what == NULL)
		return fail(err, ERR_USAGE, "a message without a request");
	if (strcmp(what, "mirror-status") == 0) {
		put_status(keeper, out);
		return 0;
	}
	if (strcmp(what, "mirror-set") == 0)
		return request_set(keeper, request, err);
	if (strcmp(what, "mirror-abort") == 0) {
		code = request_abort(keeper, err);
		json_put_bool(out, "one_instant", keeper->mirror.is_instant);
		return code;
	}
	if (strcmp(what, "mirror-pivot") != 0)
		return fail(err, ERR_UNSUPPORTED, "the request '%.60s' is not known here", what);
	code = wish(keeper, WANT_PIVOT, INT64_MAX, err);
	json_put_number(out, "standstill_ns", keeper->mirror.standstill_ns);
	json_put_number(out, "attempts", 1);
	return code;
}

static void answer(int fd, struct json_t *reply, int code, const struct error *failure)
{
	struct error ignored;

	if (code == 0) {
		message_send(fd, reply, -1, &ignored);
		return;
	}
	json_free(reply);
	message_send_error(fd, failure, &ignored);
}

/* Before the last answer goes out: who has it may start another mirror. */
static void leave(struct keeper *keeper)
{
	struct qemu_mirror *mirror = &keeper->mirror;

	if (keeper->listener >= 0) {
		socket_remove(&keeper->place);
		close(keeper->listener);
	}
	keeper->listener = -1;
	if (mirror->lock < 0)
		return;
	unlink(mirror->rundir);
	rundir_remove(mirror->rundir);
	close(mirror->lock);
	mirror->lock = -1;
}

static void attend(struct keeper *keeper, int fd)
{
	const struct timeval limit = {.tv_sec = CLIENT_S};
	struct json_t *request, *reply;
	struct error err = {0};
	int code;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	message_make_room(fd);
	if (message_receive(fd, &request, NULL, &err) != 1)
		return;
	reply = json_new();
	code = perform(keeper, request, json_put_object(reply, "return"), &err);
	json_free(request);
	if (keeper->mirror.phase != MIRROR_RUNS)
		leave(keeper);
	answer(fd, reply, code, &err);
}

/* A signal is an abort. */
static enum stop_next end_by_signal(void)
{
	return STOP_ENDS;
}

static void attend_all(struct keeper *keeper)
{
	struct pollfd one = {.fd = keeper->listener, .events = POLLIN};
	struct error ignored;

	while (keeper->mirror.phase == MIRROR_RUNS) {
		if (stop_signal() != 0 && request_abort(keeper, &ignored) == 0)
			break;
		if (poll(&one, 1, LISTEN_MS) <= 0)
			continue;
		int fd = accept4(keeper->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		attend(keeper, fd);
		close(fd);
	}
}

/* ---- begin and end ---- */

static int prepare(struct keeper *keeper, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;

	run_id_make(mirror->id);
	pthread_mutex_init(&mirror->lock_all, NULL);
	clock_cond_init(&mirror->changed);
	mirror->lock = keeper->listener = -1;
	mirror->rundir = mirror_rundir(mirror->place);
	mirror->control = mirror->rundir == NULL ? NULL : mirror_control(mirror->rundir);
	if (mirror->control == NULL)
		return fail_memory(err);
	TRY(rundir_make(mirror->rundir, err));
	mirror->lock = rundir_lock(mirror->rundir);
	if (mirror->lock < 0 && errno == EWOULDBLOCK)
		return fail(err, ERR_LOCKED, "a mirror of %s is running; abort ends it",
			    mirror->place);
	return mirror->lock < 0 ? fail_system(err, errno, "%s", mirror->rundir) : 0;
}

static int start(struct keeper *keeper, const struct json_t *request, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	int sys;

	TRY(qmirror_begin(mirror, request, err));
	if (socket_listen(&keeper->listener, &keeper->place, mirror->control, SOCK_SEQPACKET,
			  err) == 0) {
		sys = pthread_create(&keeper->thread, NULL, work, keeper);
		if (sys == 0)
			return 0;
		fail_start(err, sys, "cannot start a thread");
	}
	struct error ignored;
	qmirror_force(mirror, &ignored);
	return err->code;
}

static struct json_t *begun(const struct qemu_mirror *mirror)
{
	struct json_t *reply = json_new(), *out = json_put_object(reply, "return");
	struct json_t *drives = json_put_array(out, "drives");

	for (unsigned i = 0; i < mirror->n_drives; i++) {
		const struct mirrored *drive = &mirror->drives[i];
		struct json_t *line = json_add_object(drives);

		json_put_text(line, "name", drive->name);
		json_put_text(line, "target", drive->target);
		json_put_bool(line, "known", drive->known);
		json_put_number(line, "left_bytes", atomic_load(&drive->need_bytes));
	}
	return reply;
}

/* The other thread may be in a request to a target that never answers: what it uses is left to the
 * end of the process. */
int mirror_keep(int fd, const char *place, const struct watcher *watcher, struct error *err)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct json_t *request = NULL;
	int code;

	if (keeper == NULL)
		return fail_memory(err);
	keeper->mirror.place = place;
	keeper->mirror.watcher = watcher;
	stop_handle(end_by_signal);
	code = message_receive(fd, &request, NULL, err);
	if (code != 1)
		return code < 0 ? code : fail(err, ERR_USAGE, "nobody has started this");
	code = prepare(keeper, err);
	if (code == 0)
		code = start(keeper, request, err);
	json_free(request);
	answer(fd, code == 0 ? begun(&keeper->mirror) : NULL, code, err);
	close(fd);
	if (code == 0) {
		attend_all(keeper);
	}
	leave(keeper);
	return code;
}
