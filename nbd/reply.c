#include "nbd/state.h"

#include "nbd/protocol.h"

#include <errno.h>

/* ---- to options ---- */

bool reply_option(struct connection *connection, uint32_t option, uint32_t type, const void *data,
		  size_t n)
{
	uint8_t head[20];
	struct iovec parts[2] = {{head, sizeof(head)}, {(void *)data, n}};

	put_be(head, 8, MAGIC_REPLY);
	put_be(head + 8, 4, option);
	put_be(head + 12, 4, type);
	put_be(head + 16, 4, (uint32_t)n);
	return stream_send_parts(connection, parts, 2);
}

/* ---- to requests ---- */

static uint32_t wire_error(int error)
{
	switch (error) {
	case 0:
		return 0;
	case EPERM:
	case EROFS:
	case EACCES:
		return NBDSERVER_EPERM;
	case ENOMEM:
		return NBDSERVER_ENOMEM;
	case EINVAL:
		return NBDSERVER_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBDSERVER_ENOSPC;
	case EOVERFLOW:
		return NBDSERVER_EOVERFLOW;
	case ENOTSUP:
		return NBDSERVER_ENOTSUP;
	case ESHUTDOWN:
		return NBDSERVER_ESHUTDOWN;
	default:
		return NBDSERVER_EIO;
	}
}

void reply_put_simple(uint8_t *out, const struct request *request, int error)
{
	put_be(out, 4, MAGIC_SIMPLE);
	put_be(out + 4, 4, wire_error(error));
	memcpy(out + 8, request->cookie, 8);
}

void reply_put_structured(uint8_t *out, const struct request *request, unsigned flags,
			  unsigned type, uint32_t n)
{
	put_be(out, 4, MAGIC_STRUCTURED);
	put_be(out + 4, 2, flags);
	put_be(out + 6, 2, type);
	memcpy(out + 8, request->cookie, 8);
	put_be(out + 16, 4, n);
}

void reply_send(struct worker *worker, const struct iovec *extra, unsigned n)
{
	struct connection *connection = worker->connection;
	struct iovec parts[4] = {{worker->buffer, worker->used}};

	for (unsigned i = 0; i < n; i++)
		parts[1 + i] = extra[i];
	pthread_mutex_lock(&connection->send_lock);
	bool sent = stream_send_parts(connection, parts, 1 + n);
	pthread_mutex_unlock(&connection->send_lock);
	worker->used = 0;
	if (!sent)
		connection_cut(connection);
}

void reply_send_waiting(struct worker *worker)
{
	if (worker->used > 0)
		reply_send(worker, NULL, 0);
}

uint8_t *reply_room(struct worker *worker, size_t n)
{
	if (worker->size - worker->used < n)
		reply_send_waiting(worker);
	return worker->buffer + worker->used;
}

void reply_ready(struct worker *worker, size_t n)
{
	worker->used += n;
}

void reply_error(struct worker *worker, const struct request *request, int error)
{
	uint8_t *out = reply_room(worker, STRUCTURED_BYTES + 6);

	if (!worker->connection->structured) {
		reply_put_simple(out, request, error);
		reply_ready(worker, SIMPLE_BYTES);
		return;
	}
	reply_put_structured(out, request, REPLY_DONE, REPLY_ERROR, 6);
	put_be(out + STRUCTURED_BYTES, 4, wire_error(error));
	put_be(out + STRUCTURED_BYTES + 4, 2, 0);
	reply_ready(worker, STRUCTURED_BYTES + 6);
}

void reply_result(struct worker *worker, const struct request *request, int error)
{
	if (error != 0) {
		reply_error(worker, request, error);
		return;
	}
	reply_put_simple(reply_room(worker, SIMPLE_BYTES), request, 0);
	reply_ready(worker, SIMPLE_BYTES);
}
