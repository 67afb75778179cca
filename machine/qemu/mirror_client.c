/*
 * The command's end of a mirror: it asks the keeper, or looks at what one that was killed has left.
 */
#include "machine/mirror.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/socket.h"
#include "machine/message.h"
#include "machine/qemu/mirror_parts.h"
#include "machine/qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 120000
#define LEAVE_MS  5000 /* for a keeper that was told to end */

/* ---- asking ---- */

static int receive(int fd, struct json_t **out, int timeout_ms, struct error *err)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	struct json_t *reply, *result;

	if (poll(&one, 1, timeout_ms) <= 0)
		return fail(err, ERR_SYSTEM,
			    "the process that mirrors gives no answer; it may be stopped");
	int got = message_receive(fd, &reply, NULL, err);
	if (got < 0)
		return got;
	if (got == 0) {
		fail(err, ERR_SYSTEM, "the process that mirrors has ended");
		err->sys = ECONNRESET;
		return err->code;
	}
	result = json_member(reply, "return");
	if (result != NULL)
		*out = json_share(result);
	else
		message_error(reply, err);
	json_free(reply);
	return result != NULL ? 0 : err->code;
}

/* The name of the socket is no secret, and anybody may have made it. */
static int check_peer(int fd, const char *control, struct error *err)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return fail_system(err, errno, "%s", control);
	return peer.uid == geteuid()
		       ? 0
		       : fail(err, ERR_USAGE, "%s: belongs to another user, whom nobody here asks",
			      control);
}

static int ask_at(const char *control, struct json_t *request, struct json_t **out, bool *there,
		  struct error *err)
{
	int fd, code;

	*there = false;
	if (socket_connect(&fd, control, SOCK_SEQPACKET, err) < 0) {
		json_free(request);
		return err->sys == ENOENT || err->sys == ECONNREFUSED ? 0 : err->code;
	}
	*there = true;
	message_make_room(fd);
	code = check_peer(fd, control, err);
	if (code == 0)
		code = message_send(fd, request, -1, err);
	else
		json_free(request);
	if (code == 0)
		code = receive(fd, out, ANSWER_MS, err);
	close(fd);
	return code;
}

/* *there: a keeper is, and has answered, or failed to. */
static int ask(const char *place, struct json_t *request, struct json_t **out, bool *there,
	       struct error *err)
{
	char *rundir = mirror_rundir(place);
	char *control = rundir == NULL ? NULL : mirror_control(rundir);
	int code;

	if (control == NULL) {
		json_free(request);
		code = fail_memory(err);
	} else {
		code = ask_at(control, request, out, there, err);
	}
	free(control);
	free(rundir);
	return code;
}

static struct json_t *make_request(const char *what)
{
	return json_make("{s:s}", "execute", what);
}

/* One that ends just now is not there. */
static int ask_status(const char *place, struct json_t **out, bool *there, struct error *err)
{
	int code = ask(place, make_request("mirror-status"), out, there, err);

	if (code == 0 || err->sys != ECONNRESET)
		return code;
	*there = false;
	return 0;
}

/* ---- what a keeper that was killed has left ---- */

static int look_for_left(const char *place, bool *left, struct error *err)
{
	struct qmp *qmp;

	TRY(qmp_open(&qmp, place, err));
	int code = mirror_has_jobs(qmp, left, err);
	qmp_close(qmp);
	return code;
}

/* Sockets of images, of a keeper that was killed as it began. */
static void remove_sockets(const char *rundir)
{
	for (unsigned i = 0; i < MIRROR_DRIVES_MAX; i++) {
		char *path = rundir_file(rundir, i);

		if (path != NULL)
			unlink(path);
		free(path);
	}
}

static int remove_left(const char *place, bool *any, struct error *err)
{
	char *rundir = mirror_rundir(place), *control;
	struct qmp *qmp;
	int code;

	if (rundir == NULL)
		return fail_memory(err);
	code = qmp_open(&qmp, place, err);
	if (code == 0) {
		code = mirror_clean(qmp, rundir, any, err);
		qmp_close(qmp);
	}
	control = code == 0 ? mirror_control(rundir) : NULL;
	if (control != NULL)
		unlink(control);
	if (code == 0) {
		remove_sockets(rundir);
		rundir_remove(rundir);
	}
	free(control);
	free(rundir);
	return code;
}

/* ---- verbs ---- */

static int status(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	bool there, left = false;

	TRY(ask_status(wish->place, out, &there, err));
	if (there)
		return 0;
	*err = (struct error){0};
	TRY(look_for_left(wish->place, &left, err));
	*out = left ? json_make("{s:{s:s, s:[]}}", "mirror", "phase", "killed", "drives")
		    : json_make("{s:n}", "mirror");
	return *out == NULL ? fail_memory(err) : 0;
}

static int fail_none(const char *place, struct error *err)
{
	bool left = false;

	*err = (struct error){0};
	TRY(look_for_left(place, &left, err));
	return left ? fail(err, ERR_SYSTEM,
			   "the process that copied has ended: start the mirror again, or abort "
			   "it")
		    : fail(err, ERR_USAGE, "no mirror is running");
}

static int ask_running(const struct mirror_wish *wish, struct json_t *request, struct json_t **out,
		       struct error *err)
{
	bool there;

	TRY(ask(wish->place, request, out, &there, err));
	return there ? 0 : fail_none(wish->place, err);
}

static int refuse_hold(const struct mirror_wish *wish, struct error *err)
{
	return wish->has_on_slow && wish->hold
		       ? fail(err, ERR_USAGE,
			      "--on-slow wait: QEMU's mirror does not slow a guest down; its "
			      "block_set_io_throttle does")
		       : 0;
}

static int set(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	struct json_t *request;

	TRY(refuse_hold(wish, err));
	request = make_request("mirror-set");
	if (wish->has_rate)
		json_put_number(request, "rate", wish->rate);
	return ask_running(wish, request, out, err);
}

static int pivot(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	return ask_running(wish, make_request("mirror-pivot"), out, err);
}

/* All bitmaps of keep: nobody can tell of one whether there is a state to it. */
static int forget(const char *place, bool *any, struct error *err)
{
	struct qmp *qmp;

	TRY(qmp_open(&qmp, place, err));
	int code = bits_forget_keeps(qmp, any, err);
	qmp_close(qmp);
	return code;
}

static int end(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	bool there, any = false;

	TRY(ask(wish->place, make_request("mirror-abort"), out, &there, err));
	if (there)
		return wish->force ? forget(wish->place, &any, err) : 0;
	*err = (struct error){0};
	TRY(remove_left(wish->place, &any, err));
	if (wish->force)
		TRY(forget(wish->place, &any, err));
	return any ? 0 : fail(err, ERR_USAGE, "no mirror is running");
}

/* ---- start ---- */

/* One that has failed gives way. */
static int make_way(const struct mirror_wish *wish, struct error *err)
{
	struct json_t *out = NULL, *ignored = NULL;
	const struct json_t *drives;
	bool there, failed = false;

	TRY(ask_status(wish->place, &out, &there, err));
	*err = (struct error){0};
	drives = json_member(json_member(out, "mirror"), "drives");
	for (size_t i = 0; i < json_length(drives); i++) {
		const char *state = json_member_text(json_item(drives, i), "state");

		failed = failed || (state != NULL && strcmp(state, "failed") == 0);
	}
	json_free(out);
	if (!there || !failed)
		return 0;
	TRY(ask(wish->place, make_request("mirror-abort"), &ignored, &there, err));
	json_free(ignored);
	*err = (struct error){0};
	return 0;
}

static int make_start(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	struct json_t *request =
		json_make("{s:s, s:b}", "execute", "mirror-start", "force", wish->force);
	int code;

	if (wish->has_rate)
		json_put_number(request, "rate", wish->rate);
	code = mirror_put_wish(request, wish, err);
	if (code == 0 && wish->server != NULL)
		code = mirror_put_path(request, "server", wish->server, err);
	if (code == 0)
		*out = request;
	else
		json_free(request);
	return code;
}

/* What it prints is lost: nobody may be there to read it. */
static int start_keeper(const char *place, int fds[2], struct error *err)
{
	char *source = text_make("qemu:%s", place);
	const char *const argv[] = {"vmabak", "mirror", "keep", source, NULL};
	const struct child_options how = {
		.argv = argv,
		.program = "/proc/self/exe",
		.passed = &fds[1],
		.n_passed = 1,
		.session = true,
	};
	struct child child = CHILD_NONE;
	int code = source == NULL ? fail_memory(err) : child_start(&child, &how, err);

	child_release(&child);
	free(source);
	return code;
}

static int run_keeper(const struct mirror_wish *wish, struct json_t *request, struct json_t **out,
		      struct error *err)
{
	int fds[2], code;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		json_free(request);
		return fail_system(err, errno, "a socket of the process that mirrors");
	}
	message_make_room(fds[0]);
	code = start_keeper(wish->place, fds, err);
	close(fds[1]);
	if (code == 0)
		code = message_send(fds[0], request, -1, err);
	else
		json_free(request);
	if (code == 0)
		code = receive(fds[0], out, -1, err);
	close(fds[0]);
	return code;
}

static int start(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	int64_t until_ms = clock_ms() + LEAVE_MS;
	struct json_t *request;
	int code;

	TRY(refuse_hold(wish, err));
	TRY(make_way(wish, err));
	for (;;) {
		TRY(make_start(wish, &request, err));
		code = run_keeper(wish, request, out, err);
		/* One that was just told to end may be about to. */
		if (code != ERR_LOCKED || strstr(err->text, "is running") == NULL ||
		    clock_ms() > until_ms)
			return code;
		struct json_t *found = NULL;
		struct error ignored = {0};
		bool there;

		ask_status(wish->place, &found, &there, &ignored);
		json_free(found);
		if (there)
			return code;
		*err = (struct error){0};
		clock_sleep_ms(50);
	}
}

const struct mirror_kind mirror_qemu = {
	.start = start,
	.status = status,
	.set = set,
	.pivot = pivot,
	.abort = end,
};
