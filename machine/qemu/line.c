#include "machine/qemu/line.h"

#include "base/clock.h"
#include "base/patience.h"
#include "base/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_STEP 65536u

struct line {
	int fd;
	char *name;  /* owned */
	char *bytes; /* owned: what was read; used of room, and one more for a NUL */
	size_t used, room;
	size_t taken; /* of them belong to the line that was given out */
};

const char *line_name(const struct line *line)
{
	return line->name;
}

int line_adopt(struct line **out, const char *what, const char *path, int fd, struct error *err)
{
	struct line *line = calloc(1, sizeof(*line));

	if (line != NULL)
		line->name = text_make("%s %s", what, path);
	if (line == NULL || line->name == NULL) {
		close(fd);
		free(line);
		return fail_memory(err);
	}
	line->fd = fd;
	*out = line;
	return 0;
}

int line_open(struct line **out, const char *what, const char *path, struct error *err)
{
	int fd;

	if (socket_connect(&fd, path, SOCK_STREAM, err) < 0) {
		if (err->sys == EAGAIN)
			return fail(err, ERR_SYSTEM, "%s %s: no connection within %d s", what, path,
				    PATIENCE_CONNECT_S);
		if (err->sys == EPROTOTYPE)
			return fail(err, ERR_USAGE,
				    "%s %s: is a socket of another kind; the control socket of a "
				    "vmabak serve is serve:SOCKET",
				    what, path);
		if (err->sys != 0)
			return fail_system(err, err->sys, "%s %s", what, path);
		error_prefix(err, "%s", what);
		return err->code;
	}
	return line_adopt(out, what, path, fd, err);
}

int line_fd(const struct line *line)
{
	return line->fd;
}

void line_close(struct line *line)
{
	if (line == NULL)
		return;
	close(line->fd);
	free(line->name);
	free(line->bytes);
	free(line);
}

/* The socket knows who the process was when it began to listen; a QEMU that was started as root may
 * have dropped that since. What counts for files are the last of the four ids. */
static void update_owner(struct ucred *peer)
{
	char path[32], text[256];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)peer->pid);
	status = fopen(path, "re");
	if (status == NULL)
		return;
	while (fgets(text, sizeof(text), status) != NULL) {
		sscanf(text, "Uid: %*u %*u %*u %u", &peer->uid);
		sscanf(text, "Gid: %*u %*u %*u %u", &peer->gid);
	}
	fclose(status);
}

bool line_peer(const struct line *line, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	if (getsockopt(line->fd, SOL_SOCKET, SO_PEERCRED, peer, &size) != 0 ||
	    peer->uid == (uid_t)-1)
		return false;
	if (peer->pid > 0)
		update_owner(peer);
	return true;
}

/* 1: ready, 0: the time is over. */
static int wait_for(const struct line *line, short events, int64_t until, struct error *err)
{
	struct pollfd poll_fd = {.fd = line->fd, .events = events};
	int64_t left;
	int ready;

	do {
		left = until - clock_ms();
		ready = poll(&poll_fd, 1, left < 0 ? 0 : (int)left);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? fail_system(err, errno, "%s", line->name) : ready;
}

int line_send(struct line *line, const char *bytes, size_t n, int timeout_ms, struct error *err)
{
	int64_t until = clock_ms() + timeout_ms;

	while (n > 0) {
		int ready = wait_for(line, POLLOUT, until, err);
		ssize_t sent;

		if (ready < 0)
			return ready;
		if (ready == 0)
			return fail(err, ERR_SYSTEM, "%s: accepts no data", line->name);
		sent = send(line->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (sent < 0)
			return fail_system(err, errno, "%s", line->name);
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int make_room(struct line *line, struct error *err)
{
	size_t room = line->room == 0 ? READ_STEP : line->room * 2;
	char *bytes = realloc(line->bytes, room + 1);

	if (bytes == NULL)
		return fail_memory(err);
	line->bytes = bytes;
	line->room = room;
	return 0;
}

/* More of what the other side says. 1: some came, 0: not in time. */
static int read_more(struct line *line, int64_t until, struct error *err)
{
	ssize_t got;
	int ready;

	if (line->used == line->room) {
		if (line->room >= LINE_SIZE_MAX)
			return fail(err, ERR_SYSTEM, "%s: sends a line of more than %u bytes",
				    line->name, LINE_SIZE_MAX);
		TRY(make_room(line, err));
	}
	ready = wait_for(line, POLLIN, until, err);
	if (ready <= 0)
		return ready;
	got = recv(line->fd, line->bytes + line->used, line->room - line->used, MSG_DONTWAIT);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (got < 0)
		return fail_system(err, errno, "%s", line->name);
	if (got == 0)
		return fail(err, ERR_SYSTEM, "%s: the other side has hung up", line->name);
	line->used += (size_t)got;
	return 1;
}

int line_read(struct line *line, int timeout_ms, char **text, size_t *n, struct error *err)
{
	int64_t until = clock_ms() + timeout_ms;
	size_t looked = 0;
	char *end = NULL;

	if (line->taken > 0) {
		line->used -= line->taken;
		memmove(line->bytes, line->bytes + line->taken, line->used);
		line->taken = 0;
	}
	for (;;) {
		int more;

		if (line->used > looked)
			end = memchr(line->bytes + looked, '\n', line->used - looked);
		if (end != NULL)
			break;
		looked = line->used;
		more = read_more(line, until, err);
		if (more <= 0)
			return more;
	}
	line->taken = (size_t)(end - line->bytes) + 1;
	*n = line->taken - 1;
	*end = '\0';
	*text = line->bytes;
	return 1;
}
