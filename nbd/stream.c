#include "nbd/state.h"


size_t stream_receive_some(struct connection *connection, void *to, size_t n)
{
	ssize_t got = connection->tls != NULL ? tls_receive(connection->tls, to, n)
					      : connection_receive(connection, to, n);

	return got > 0 ? (size_t)got : 0;
}

bool stream_receive(struct connection *connection, void *to, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t got = stream_receive_some(connection, (uint8_t *)to + at, n - at);
		if (got == 0)
			return false;
		at += got;
	}
	return true;
}

bool stream_send_parts(struct connection *connection, struct iovec *parts, unsigned n)
{
	while (n > 0) {
		ssize_t sent = 0;
		if (parts->iov_len > 0 && connection->tls != NULL)
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

bool stream_send(struct connection *connection, const void *from, size_t n)
{
	struct iovec part = {.iov_base = (void *)from, .iov_len = n};

	return stream_send_parts(connection, &part, 1);
}
