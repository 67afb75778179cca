#include "nbd/state.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

void server_log(const struct nbdserver *server, const char *format, ...)
{
	char text[400];
	va_list args;

	if (server->log == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	server->log(server->log_context, text);
}

void connection_log(const struct connection *connection, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	server_log(connection->server, "nbd client %u: %s", connection->number, text);
}

/* During the handshake until its deadline; afterwards a client may take its time. */
static bool may_wait(const struct connection *connection, short events)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = events};

	while (connection->deadline_ms != 0) {
		int64_t now = clock_ms();
		if (now >= connection->deadline_ms) {
			errno = ETIMEDOUT;
			return false;
		}
		int ready = poll(&poll_fd, 1, (int)(connection->deadline_ms - now));
		if (ready > 0)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
	}
	return true;
}

static int socket_flags(const struct connection *connection)
{
	return MSG_NOSIGNAL | (connection->deadline_ms != 0 ? MSG_DONTWAIT : 0);
}

ssize_t connection_receive(struct connection *connection, void *to, size_t n)
{
	for (;;) {
		if (!may_wait(connection, POLLIN))
			return -1;
		ssize_t got = recv(connection->fd, to, n, socket_flags(connection));
		if (got >= 0 || (errno != EINTR && errno != EAGAIN))
			return got;
	}
}

ssize_t connection_send(struct connection *connection, const struct iovec *parts, unsigned n)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = n};

	for (;;) {
		if (!may_wait(connection, POLLOUT))
			return -1;
		ssize_t sent = sendmsg(connection->fd, &message, socket_flags(connection));
		if (sent >= 0 || (errno != EINTR && errno != EAGAIN))
			return sent;
	}
}

void connection_cut(struct connection *connection)
{
	shutdown(connection->fd, SHUT_RDWR);
}
