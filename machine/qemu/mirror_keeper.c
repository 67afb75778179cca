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
#define CLIENT_S  5	/* for a client to say what it wants */
#define PIVOT_MS  60000 /* until it has to be at the point where it is made */
#define ABORT_MS  5000	/* for the other thread, which may wait for the target */

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
	/* Of the thread that answers: who asks for something while a pivot is waited for. -1: none.
	 */
	int next;
	struct json_t *next_request; /* owned */
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
	keeper->rate_changed = true; /* a pivot has no limit */
	if (wanted != WANT_PIVOT || !mirror->withdrawn) {
		keeper->result = err;
		keeper->wanted = WANT_NOTHING;
		keeper->done = true;
	}
	mirror->committed = false;
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

/* Under the lock. A pivot that nobody waits for any more must not be made later. */
static bool gives_up(struct keeper *keeper, int64_t until_ms, int client)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	struct pollfd one = {.fd = client, .events = POLLRDHUP};

	if (!mirror->committed && (clock_ms() > until_ms || poll(&one, 1, 0) > 0))
		mirror->withdrawn = true;
	return mirror->withdrawn;
}

/* 1: it was not done until then. */
static int finish_wish(struct keeper *keeper, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	bool done = keeper->done, gone = mirror->phase == MIRROR_GONE;

	if (!done)
		keeper->wanted = WANT_NOTHING;
	*err = keeper->result;
	pthread_mutex_unlock(&mirror->lock_all);
	if (!done && gone)
		return fail(err, ERR_SYSTEM, "QEMU has ended");
	return done ? err->code : 1;
}

static void begin_wish(struct keeper *keeper, enum wanted wanted)
{
	pthread_mutex_lock(&keeper->mirror.lock_all);
	keeper->wanted = wanted;
	keeper->done = false;
	atomic_store(&keeper->mirror.leaving, true); /* a batch is broken off */
	pthread_cond_broadcast(&keeper->mirror.changed);
}

static int request_abort(struct keeper *keeper, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	int64_t until_ms = clock_ms() + ABORT_MS;
	int code;

	begin_wish(keeper, WANT_ABORT);
	while (!keeper->done && mirror->phase != MIRROR_GONE && clock_ms() < until_ms)
		clock_cond_wait(&mirror->changed, &mirror->lock_all, clock_ms() + TICK_MS);
	code = finish_wish(keeper, err);
	/* The target gives no answer. */
	return code == 1 ? qmirror_force(mirror, err) : code;
}

static void attend_beside(struct keeper *keeper);

/* client: who waits for it. */
static int request_pivot(struct keeper *keeper, int client, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;
	int64_t until_ms = clock_ms() + PIVOT_MS;
	int code;

	begin_wish(keeper, WANT_PIVOT);
	mirror->withdrawn = mirror->committed = false;
	while (!keeper->done && mirror->phase != MIRROR_GONE &&
	       !gives_up(keeper, until_ms, client)) {
		clock_cond_wait(&mirror->changed, &mirror->lock_all, clock_ms() + TICK_MS);
		pthread_mutex_unlock(&mirror->lock_all);
		attend_beside(keeper);
		pthread_mutex_lock(&mirror->lock_all);
	}
	code = finish_wish(keeper, err);
	return code != 1 ? code
			 : fail(err, ERR_SYSTEM,
				"the pivot is withdrawn, and the guest stays at its drives: a "
				"target gives no answer, or the mirror is aborted");
}

static int request_set(struct keeper *keeper, const struct json_t *request, struct error *err)
{
	uint64_t rate;

	/* How slow targets are met is always the same here. */
	if (json_member(request, "rate") == NULL)
		return 0;
	if (!json_member_number(request, "rate", &rate))
		return fail(err, ERR_USAGE, "no rate");
	pthread_mutex_lock(&keeper->mirror.lock_all);
	atomic_store(&keeper->mirror.rate, rate);
	keeper->rate_changed = true;
	pthread_cond_broadcast(&keeper->mirror.changed);
	pthread_mutex_unlock(&keeper->mirror.lock_all);
	return 0;
}

static int perform(struct keeper *keeper, int client, const struct json_t *request,
		   struct json_t *out, struct error *err)
{
	const char *what = json_member_text(request, "execute");
	int code = 0;

	if (what == NULL)
		return fail(err, ERR_USAGE, "a message without a request");
	if (strcmp(what, "mirror-status") == 0) {
		qmirror_put_status(&keeper->mirror, out);
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
	code = request_pivot(keeper, client, err);
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

static void serve(struct keeper *keeper, int fd, const struct json_t *request)
{
	struct json_t *reply = json_new();
	struct error err = {0};
	int code = perform(keeper, fd, request, json_put_object(reply, "return"), &err);

	if (keeper->mirror.phase != MIRROR_RUNS)
		leave(keeper);
	answer(fd, reply, code, &err);
	close(fd);
}

/* A client, and what it wants: owned. -1: none, or one that says nothing. */
static int receive(struct keeper *keeper, int wait_ms, struct json_t **request)
{
	const struct timeval limit = {.tv_sec = CLIENT_S};
	struct pollfd one = {.fd = keeper->listener, .events = POLLIN};
	struct error ignored;
	int fd = poll(&one, 1, wait_ms) > 0 ? accept4(keeper->listener, NULL, NULL, SOCK_CLOEXEC)
					    : -1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	message_make_room(fd);
	if (message_receive(fd, request, NULL, &ignored) == 1)
		return fd;
	close(fd);
	return -1;
}

static bool asks_for(const struct json_t *request, const char *what)
{
	const char *text = json_member_text(request, "execute");

	return text != NULL && strcmp(text, what) == 0;
}

/* While a pivot is waited for. What changes something comes after it, and an abort withdraws it. */
static void attend_beside(struct keeper *keeper)
{
	struct json_t *request = NULL;
	int fd = keeper->next < 0 ? receive(keeper, 0, &request) : -1;

	if (fd < 0)
		return;
	if (asks_for(request, "mirror-status")) {
		serve(keeper, fd, request);
		json_free(request);
		return;
	}
	keeper->next = fd;
	keeper->next_request = request;
	pthread_mutex_lock(&keeper->mirror.lock_all);
	keeper->mirror.withdrawn = !keeper->mirror.committed && asks_for(request, "mirror-abort");
	pthread_mutex_unlock(&keeper->mirror.lock_all);
}

/* A signal is an abort. */
static enum stop_next end_by_signal(void)
{
	return STOP_ENDS;
}

static void attend_next(struct keeper *keeper)
{
	int fd = keeper->next;
	struct json_t *request = keeper->next_request;

	keeper->next = -1;
	keeper->next_request = NULL;
	if (fd < 0)
		fd = receive(keeper, LISTEN_MS, &request);
	if (fd < 0)
		return;
	serve(keeper, fd, request);
	json_free(request);
}

static void attend_all(struct keeper *keeper)
{
	struct error ignored;

	while (keeper->mirror.phase == MIRROR_RUNS) {
		if (stop_signal() != 0 && request_abort(keeper, &ignored) == 0)
			break;
		attend_next(keeper);
	}
	if (keeper->next < 0)
		return;
	fail(&ignored, ERR_USAGE, "the mirror has ended by a pivot");
	answer(keeper->next, NULL, ignored.code, &ignored);
}

/* ---- begin and end ---- */

static int prepare(struct keeper *keeper, struct error *err)
{
	struct qemu_mirror *mirror = &keeper->mirror;

	run_id_make(mirror->id);
	pthread_mutex_init(&mirror->lock_all, NULL);
	clock_cond_init(&mirror->changed);
	mirror->lock = keeper->listener = keeper->next = -1;
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
	answer(fd, code == 0 ? qmirror_begun(&keeper->mirror) : NULL, code, err);
	close(fd);
	if (code == 0) {
		attend_all(keeper);
	}
	leave(keeper);
	return code;
}
