/*
 * Reads are answered from the worker's own buffer, which also collects small replies. A long read
 * is answered by chunks of a structured reply. If the reply must be one piece (simple replies,
 * "don't fragment"), or each call of the export takes long, the buffer grows to hold it; when the
 * server's memory is used up, the data is
 * sent in pieces after one header, and an error in the middle closes the connection, since there is
 * no other way left to report it.
 */
#include "nbd/state.h"

#include "nbd/protocol.h"

static size_t put_read_head(const struct worker *worker, const struct request *request,
			    uint8_t *out, uint32_t at, uint32_t n)
{
	if (!worker->connection->structured) {
		reply_put_simple(out, request, 0);
		return SIMPLE_BYTES;
	}
	bool last = at + n == request->length;
	reply_put_structured(out, request, last ? REPLY_DONE : 0, REPLY_OFFSET_DATA,
			     OFFSET_BYTES + n);
	put_be(out + STRUCTURED_BYTES, 8, request->offset + at);
	return STRUCTURED_BYTES + OFFSET_BYTES;
}

/* Header and data are adjacent, so that many replies form one piece. */
static void read_small(struct worker *worker, const struct request *request)
{
	size_t head =
		worker->connection->structured ? STRUCTURED_BYTES + OFFSET_BYTES : SIMPLE_BYTES;
	uint8_t *out = reply_room(worker, head + request->length);
	struct operation op = {.command = CMD_READ,
			       .offset = request->offset,
			       .n = request->length,
			       .data = out + head};
	int error = perform(worker, &op);

	if (error != 0) {
		reply_error(worker, request, error);
		return;
	}
	put_read_head(worker, request, out, 0, request->length);
	if (!worker->reader) { /* earlier replies were sent, and this one may be anywhere in the
				  buffer */
		struct iovec part = {out, head + request->length};
		reply_send(worker, &part, 1);
		return;
	}
	reply_ready(worker, head + request->length);
}

/* By chunks, each a self-contained part of the reply. */
static void read_chunks(struct worker *worker, const struct request *request)
{
	uint8_t head[STRUCTURED_BYTES + OFFSET_BYTES];

	for (uint32_t at = 0; at < request->length;) {
		uint32_t n = least(request->length - at, least(CHUNK_BYTES, worker->size));
		struct operation op = {.command = CMD_READ,
				       .offset = request->offset + at,
				       .n = n,
				       .data = worker->buffer};
		int error = perform(worker, &op);
		if (error != 0) {
			reply_error(worker, request, error);
			return;
		}
		size_t n_head = put_read_head(worker, request, head, at, n);
		struct iovec parts[2] = {{head, n_head}, {worker->buffer, n}};
		reply_send(worker, parts, 2);
		at += n;
	}
}

/* After one header. True: everything was sent, or the error could still be reported. */
static bool read_whole(struct worker *worker, const struct request *request)
{
	struct connection *connection = worker->connection;
	uint8_t head[STRUCTURED_BYTES + OFFSET_BYTES];
	size_t n_head = put_read_head(worker, request, head, 0, request->length);
	uint32_t piece = least(request->length, worker->size);
	struct operation op = {
		.command = CMD_READ, .offset = request->offset, .n = piece, .data = worker->buffer};
	int error = perform(worker, &op);

	if (error != 0) {
		reply_error(worker, request, error);
		return true;
	}
	pthread_mutex_lock(&connection->send_lock);
	struct iovec parts[2] = {{head, n_head}, {worker->buffer, piece}};
	bool sent = stream_send_parts(connection, parts, 2);
	for (uint32_t at = piece; at < request->length && sent; at += piece) {
		piece = least(piece, request->length - at);
		op.offset = request->offset + at;
		op.n = piece;
		sent = perform_here(connection->export, &op, 0) == 0 &&
		       stream_send(connection, worker->buffer, piece);
	}
	pthread_mutex_unlock(&connection->send_lock);
	return sent;
}

void read_request(struct worker *worker, const struct request *request)
{
	uint32_t n = request->length;
	const struct connection *connection = worker->connection;
	bool whole = !connection->structured || request->flags & FLAG_DF ||
		     connection->export->ops->confirm != NULL;

	if (n <= SMALL_BYTES) {
		read_small(worker, request);
		return;
	}
	reply_send_waiting(worker);
	if (worker->size < (whole || n < CHUNK_BYTES ? n : CHUNK_BYTES))
		worker_grow(worker, whole ? n : CHUNK_BYTES);
	if (n >= PARALLEL_BYTES)
		perform_aside(worker);
	if (!whole)
		read_chunks(worker, request);
	else if (!read_whole(worker, request))
		connection_cut(worker->connection);
	if (worker->size > PIECE_BYTES)
		worker_grow(worker, PIECE_BYTES);
}
