#include "nbd/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

void connection_log(const struct connection *connection, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	server_log(connection->server, "nbd client %u: %s", connection->number, text);
}

/* In the handshake nothing waits beyond its deadline; afterwards a client may take its time. */
static bool may_wait(const struct connection *connection, short events)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = events};

	while (connection->deadline_ms != 0) {
		uint64_t now = clock_ms();
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

size_t receive_some(struct connection *connection, void *to, size_t n)
{
	ssize_t got = connection->tls ? tls_receive(connection->tls, to, n)
				      : connection_receive(connection, to, n);

	return got > 0 ? (size_t)got : 0;
}

bool receive_all(struct connection *connection, void *to, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t got = receive_some(connection, (uint8_t *)to + at, n - at);
		if (got == 0)
			return false;
		at += got;
	}
	return true;
}

bool send_parts(struct connection *connection, struct iovec *parts, unsigned n)
{
	while (n > 0) {
		ssize_t sent = 0;
		if (parts->iov_len > 0 && connection->tls)
			sent = tls_send(connection->tls, parts->iov_base, parts->iov_len);
		else if (parts->iov_len > 0)
			sent = connection_send(connection, parts, n);
		if (sent < 0)
			return false;
		size_t done = (size_t)sent;
		for (; n > 0 && done >= parts->iov_len; parts++, n--)
			done -= parts->iov_len;
		if (n > 0) {
			parts->iov_base = (uint8_t *)parts->iov_base + done;
			parts->iov_len -= done;
		}
	}
	return true;
}

bool send_all(struct connection *connection, const void *from, size_t n)
{
	struct iovec part = {.iov_base = (void *)from, .iov_len = n};

	return send_parts(connection, &part, 1);
}
