/*
 * A client waits for its server. How long an answer may take depends on the server's disks, but a
 * server that lives answers "status" at once: so one that is quiet is asked that, on a connection
 * of its own, and given up when it does not answer.
 */
#include "machine/qemu/line.h"
#include "machine/serve/message.h"
#include "base/patience.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* Whether something can be read, or the other side has gone. */
static bool comes(int fd, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	int64_t until = channel_now_ms() + timeout_ms, left = timeout_ms;
	int ready;

	do {
		ready = poll(&one, 1, left > 0 ? (int)left : 0);
		left = until - channel_now_ms();
	} while (ready < 0 && errno == EINTR);
	return ready != 0;
}

int control_fail_silent(const char *path, struct error *err)
{
	fail(err, ERR_SYSTEM, "%s: vmabak serve gives no answer; it may be stopped", path);
	err->sys = EAGAIN;
	return err->code;
}

bool control_is_silent(const char *path)
{
	struct error err;
	bool silent;
	int fd;

	if (control_connect(&fd, path, &err) < 0)
		return err.sys == EAGAIN;
	silent = control_send(fd, control_request("status"), -1, &err) == 0 &&
		 !comes(fd, PATIENCE_CONTROL_S * 1000);
	close(fd);
	return silent;
}

static int await(const struct control_server *server, struct error *err)
{
	int64_t until = channel_now_ms() + PATIENCE_SERVE_S * INT64_C(1000);

	while (!comes(server->fd, PATIENCE_QUIET_MS)) {
		if (control_is_silent(server->path))
			return control_fail_silent(server->path, err);
		if (channel_now_ms() > until)
			return fail(err, ERR_SYSTEM, "%s: no answer within %d s", server->path,
				    PATIENCE_SERVE_S);
	}
	return 0;
}

int control_call(const struct control_server *server, struct json_t *request, struct json_t **out,
		 int *passed, struct error *err)
{
	struct json_t *reply, *result;
	int got, sent = control_send(server->fd, request, -1, err);

	/* A server that refuses clients says why, and closes. */
	if (sent < 0 && err->sys != EPIPE && err->sys != ECONNRESET)
		return sent;
	if (sent == 0 && await(server, err) < 0)
		return err->code;
	got = control_receive(server->fd, &reply, passed, err);
	if (got < 0)
		return got;
	if (got == 0)
		return fail(err, ERR_SYSTEM, "%s: the server has gone", server->path);
	result = json_member(reply, "return");
	if (result != NULL)
		*out = json_share(result);
	else
		control_error(reply, err);
	json_free(reply);
	if (result == NULL && passed != NULL && *passed >= 0)
		close(*passed);
	return result != NULL ? 0 : err->code;
}
