#include "machine/qemu/line.h"

#include "cli/memory.h"
#include "base/patience.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_STEP 65536u

struct channel {
	int fd;
	char *name;  /* owned */
	char *bytes; /* owned: what was read; used of room, and one more for a NUL */
	size_t used, room;
	size_t taken; /* of them belong to the line that was given out */
};

int64_t channel_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *channel_name(const struct channel *channel)
{
	return channel->name;
}

struct channel *channel_adopt(const char *what, const char *path, int fd)
{
	struct channel *channel = memory_new(1, sizeof(*channel));

	channel->name = memory_text("%s %s", what, path);
	channel->fd = fd;
	return channel;
}

int channel_open(struct channel **out, const char *what, const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct channel *channel;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(err, ERR_USAGE, "%s %.200s: too long for the path of a socket", what,
			    path);
	strcpy(address.sun_path, path);
	channel = channel_adopt(what, path, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	/* With a queue that is full at the other side it would wait for ever. */
	if (channel->fd < 0 || patience_for_sending(channel->fd, PATIENCE_CONNECT_S) < 0 ||
	    connect(channel->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			fail(err, ERR_SYSTEM, "%s: takes no connection within %d s", channel->name,
			     PATIENCE_CONNECT_S);
		else
			fail_system(err, errno, "%s", channel->name);
		channel_close(channel);
		return err->code;
	}
	*out = channel;
	return 0;
}

int channel_fd(const struct channel *channel)
{
	return channel->fd;
}

void channel_close(struct channel *channel)
{
	if (channel == NULL)
		return;
	if (channel->fd >= 0)
		close(channel->fd);
	free(channel->name);
	free(channel->bytes);
	free(channel);
}

bool channel_peer(const struct channel *channel, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	return getsockopt(channel->fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0;
}

/* 1: ready, 0: the time is over. */
static int wait_for(const struct channel *channel, short events, int64_t until, struct error *err)
{
	struct pollfd poll_fd = {.fd = channel->fd, .events = events};
	int64_t left;
	int ready;

	do {
		left = until - channel_now_ms();
		ready = poll(&poll_fd, 1, left < 0 ? 0 : (int)left);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? fail_system(err, errno, "%s", channel->name) : ready;
}

int channel_send(struct channel *channel, const char *bytes, size_t n, int timeout_ms,
		 struct error *err)
{
	int64_t until = channel_now_ms() + timeout_ms;

	while (n > 0) {
		int ready = wait_for(channel, POLLOUT, until, err);
		ssize_t sent;

		if (ready < 0)
			return ready;
		if (ready == 0)
			return fail(err, ERR_SYSTEM, "%s: takes nothing", channel->name);
		sent = send(channel->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (sent < 0)
			return fail_system(err, errno, "%s", channel->name);
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

/* More of what the other side says. 1: some came, 0: not in time. */
static int read_more(struct channel *channel, int64_t until, struct error *err)
{
	ssize_t got;
	int ready;

	if (channel->used == channel->room) {
		if (channel->room >= CHANNEL_LINE_MAX)
			return fail(err, ERR_SYSTEM, "%s: sends a line of more than %u bytes",
				    channel->name, CHANNEL_LINE_MAX);
		channel->room = channel->room == 0 ? READ_STEP : channel->room * 2;
		channel->bytes = memory_grow(channel->bytes, channel->room + 1, 1);
	}
	ready = wait_for(channel, POLLIN, until, err);
	if (ready <= 0)
		return ready;
	got = recv(channel->fd, channel->bytes + channel->used, channel->room - channel->used,
		   MSG_DONTWAIT);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (got < 0)
		return fail_system(err, errno, "%s", channel->name);
	if (got == 0)
		return fail(err, ERR_SYSTEM, "%s: the other side has hung up", channel->name);
	channel->used += (size_t)got;
	return 1;
}

int channel_line(struct channel *channel, int timeout_ms, char **line, size_t *n, struct error *err)
{
	int64_t until = channel_now_ms() + timeout_ms;
	size_t looked = 0;
	char *end = NULL;

	if (channel->taken > 0) {
		channel->used -= channel->taken;
		memmove(channel->bytes, channel->bytes + channel->taken, channel->used);
		channel->taken = 0;
	}
	for (;;) {
		int more;

		if (channel->used > looked)
			end = memchr(channel->bytes + looked, '\n', channel->used - looked);
		if (end != NULL)
			break;
		looked = channel->used;
		more = read_more(channel, until, err);
		if (more <= 0)
			return more;
	}
	channel->taken = (size_t)(end - channel->bytes) + 1;
	*n = channel->taken - 1;
	*end = '\0';
	*line = channel->bytes;
	return 1;
}
