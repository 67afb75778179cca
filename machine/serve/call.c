#include "machine/serve/call.h"

#include "base/clock.h"
#include "base/patience.h"
#include "base/socket.h"
#include "machine/message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int call_fail_silent(const char *path, struct error *err)
{
	fail(err, ERR_SYSTEM, "%s: vmabak serve gives no answer; it may be stopped", path);
	err->sys = EAGAIN;
	return err->code;
}

int call_open(struct call *out, const char *path, struct error *err)
{
	*out = (struct call){-1, path};
	if (socket_connect(&out->fd, path, SOCK_SEQPACKET, err) == 0) {
		message_make_room(out->fd);
		return 0;
	}
	if (err->sys == ECONNREFUSED || err->sys == ENOENT)
		return fail(err, ERR_SYSTEM, "%s: no vmabak serve listens there: %s", path,
			    strerror(err->sys));
	if (err->sys == EPROTOTYPE)
		return fail(err, ERR_USAGE,
			    "%s: is not the control socket of a vmabak serve; the monitor of a "
			    "QEMU is qemu:SOCKET for vmabak backup",
			    path);
	return err->sys == EAGAIN ? call_fail_silent(path, err) : err->code;
}

void call_close(struct call *call)
{
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
}

/* Whether something can be read, or the other side has closed. */
static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int64_t until = clock_ms() + timeout_ms, left = timeout_ms;
	int ready;

	do {
		ready = poll(&one, 1, left > 0 ? (int)left : 0);
		left = until - clock_ms();
	} while (ready < 0 && errno == EINTR);
	return ready != 0;
}

bool call_is_silent(const char *path)
{
	struct error err;
	struct call call;
	bool silent;

	if (call_open(&call, path, &err) < 0)
		return err.sys == EAGAIN;
	silent = message_send(call.fd, json_make("{s:s}", "execute", "status"), -1, &err) == 0 &&
		 !is_readable(call.fd, PATIENCE_CONTROL_S * 1000);
	call_close(&call);
	return silent;
}

static int await(const struct call *call, struct error *err)
{
	int64_t until = clock_ms() + PATIENCE_SERVE_S * INT64_C(1000);

	while (!is_readable(call->fd, PATIENCE_QUIET_MS)) {
		if (call_is_silent(call->path))
			return call_fail_silent(call->path, err);
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "%s: no answer within %d s", call->path,
				    PATIENCE_SERVE_S);
	}
	return 0;
}

static int receive(const struct call *call, struct json_t **out, int *passed, struct error *err)
{
	struct json_t *reply, *result;
	int got = message_receive(call->fd, &reply, passed, err);

	if (got < 0)
		return got;
	if (got == 0)
		return fail(err, ERR_SYSTEM, "%s: the server has closed the connection",
			    call->path);
	result = json_member(reply, "return");
	if (result != NULL)
		*out = json_share(result);
	else
		message_error(reply, err);
	json_free(reply);
	if (result == NULL && passed != NULL && *passed >= 0)
		close(*passed);
	return result != NULL ? 0 : err->code;
}

int call_answer(const struct call *call, struct json_t **out, struct error *err)
{
	TRY(await(call, err));
	return receive(call, out, NULL, err);
}

int call_request(const struct call *call, struct json_t *request, struct json_t **out, int *passed,
		 struct error *err)
{
	int sent = message_send(call->fd, request, -1, err);

	/* A server that refuses clients says why, and closes. */
	if (sent < 0 && err->sys != EPIPE && err->sys != ECONNRESET)
		return sent;
	if (sent == 0)
		TRY(await(call, err));
	return receive(call, out, passed, err);
}

int call_once(const char *path, struct json_t *request, struct json_t **out, struct error *err)
{
	struct call call;
	int code;

	if (call_open(&call, path, err) < 0) {
		json_free(request);
		return err->code;
	}
	code = call_request(&call, request, out, NULL, err);
	call_close(&call);
	return code;
}
