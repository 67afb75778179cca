/*
 * Receiving and answering requests. worker.c explains which thread reads, and when; read.c has the
 * reads.
 *
 * A small write is executed straight from the connection's input. A longer one is received whole
 * first: the export gets it in one call, so that no backup's instant falls into its middle. Only
 * when the server's memory is used up is it done in pieces; a drive that loses power may likewise
 * keep part of a request that was not answered.
 */
#include "nbd/state.h"

#include "nbd/protocol.h"

#include <errno.h>

/* As PARALLEL_BYTES, for writes: a file system lets only one into a file at a time. */
#define PARALLEL_WRITE_BYTES 131072u
#define KEEP_BYTES	     4194304u /* of a thread: what a long write leaves allocated */
#define CONSUME_BYTES \
	67108864u /* of a refused write are read and dropped; more ends the connection */

/* ---- input ---- */

/* Waits for bytes, after sending waiting replies. Receives at most wanted, if that is not 0. */
static bool fill_input(struct worker *worker, size_t wanted)
{
	struct connection *connection = worker->connection;
	size_t have = connection->input_end - connection->input_at;

	reply_send_waiting(worker);
	if (connection->input_at > 0) {
		memmove(connection->input, connection->input + connection->input_at, have);
		connection->input_at = 0;
		connection->input_end = have;
	}
	size_t room = INPUT_BYTES - have;
	size_t got = stream_receive_some(connection, connection->input + have,
					 wanted != 0 && wanted < room ? wanted : room);
	connection->input_end += got;
	return got > 0;
}

/* The next n bytes of input; NULL: the connection has ended. */
static const uint8_t *take_input(struct worker *worker, size_t n)
{
	struct connection *connection = worker->connection;

	while (connection->input_end - connection->input_at < n) {
		size_t missing = n - (connection->input_end - connection->input_at);
		if (!fill_input(worker, connection->large_writes ? missing : 0))
			return NULL;
	}
	const uint8_t *bytes = connection->input + connection->input_at;
	connection->input_at += n;
	return bytes;
}

/* What arrived with the request is copied; the rest is received in place. */
static bool receive_payload(struct worker *worker, uint8_t *to, size_t n)
{
	struct connection *connection = worker->connection;
	size_t have = connection->input_end - connection->input_at;
	size_t part = have < n ? have : n;

	memcpy(to, connection->input + connection->input_at, part);
	connection->input_at += part;
	return part == n || stream_receive(connection, to + part, n - part);
}

static bool next_request(struct worker *worker, struct request *request)
{
	struct connection *connection = worker->connection;

	if (connection->server->stopping)
		return false;
	const uint8_t *bytes = take_input(worker, REQUEST_BYTES);
	if (bytes == NULL)
		return false;
	if (get_be(bytes, 4) != MAGIC_REQUEST) {
		connection_log(connection, "sent something other than a request");
		return false;
	}
	request->flags = get_be(bytes + 4, 2);
	request->command = get_be(bytes + 6, 2);
	memcpy(request->cookie, bytes + 8, 8);
	request->offset = get_be(bytes + 16, 8);
	request->length = get_be(bytes + 24, 4);
	connection->large_writes = request->command == CMD_WRITE && request->length > SMALL_BYTES;
	return true;
}

/* ---- writes ---- */

/* For more data than the buffer holds: one piece after the other, in the order of the socket.
 * False: the connection is lost. */
static bool write_pieces(struct worker *worker, struct operation *op, uint64_t *left, int *error)
{
	const struct nbdserver_export *export = worker->connection->export;

	for (; *left > worker->size; *left -= worker->size) {
		op->n = worker->size;
		op->data = worker->buffer;
		if (!receive_payload(worker, worker->buffer, worker->size))
			return false;
		if (*error == 0)
			*error = perform_here(export, op, 0);
		op->offset += worker->size;
	}
	return true;
}

static bool write_large(struct worker *worker, const struct request *request)
{
	struct operation op = {.command = CMD_WRITE, .offset = request->offset};
	uint64_t left = request->length;
	int error = 0;

	reply_send_waiting(worker);
	if (worker->size < left)
		worker_grow(worker, left);
	if (worker->size < PIECE_BYTES && worker->size < left)
		worker_grow(worker, PIECE_BYTES);
	bool by_pieces = left > worker->size;
	if (!write_pieces(worker, &op, &left, &error) ||
	    !receive_payload(worker, worker->buffer, left))
		return false;
	op.n = left;
	op.data = worker->buffer;
	op.flags = request->flags & FLAG_FUA && !by_pieces ? NBDSERVER_FUA : 0;
	if (left >= PARALLEL_WRITE_BYTES)
		perform_aside(worker);
	if (error == 0)
		error = perform(worker, &op);
	if (error == 0 && by_pieces && request->flags & FLAG_FUA) {
		struct operation flush = {.command = CMD_FLUSH};
		error = perform(worker, &flush);
	}
	reply_result(worker, request, error);
	if (worker->size > KEEP_BYTES) {
		reply_send_waiting(worker); /* the reply is in the buffer that is replaced */
		worker_grow(worker, PIECE_BYTES);
	}
	return true;
}

static bool do_write(struct worker *worker, const struct request *request)
{
	if (request->length > SMALL_BYTES)
		return write_large(worker, request);
	const uint8_t *data = take_input(worker, request->length);
	if (data == NULL)
		return false;
	struct operation op = {.command = CMD_WRITE,
			       .flags = request->flags & FLAG_FUA ? NBDSERVER_FUA : 0,
			       .offset = request->offset,
			       .n = request->length,
			       .data = (void *)data};
	reply_result(worker, request, perform(worker, &op));
	return true;
}

/* The data of a refused write precedes the next request. */
static bool refuse(struct worker *worker, const struct request *request, int error)
{
	uint32_t left = request->command == CMD_WRITE ? request->length : 0;

	if (left > CONSUME_BYTES) {
		connection_log(worker->connection, "a write of %u bytes", left);
		return false;
	}
	reply_send_waiting(worker);
	while (left > 0) {
		uint32_t n = left < worker->size ? left : (uint32_t)worker->size;
		if (!receive_payload(worker, worker->buffer, n))
			return false;
		left -= n;
	}
	reply_error(worker, request, error);
	return true;
}

/* ---- the others ---- */

static void do_change(struct worker *worker, const struct request *request)
{
	struct operation op = {
		.command = request->command, .offset = request->offset, .n = request->length};

	if (request->flags & FLAG_FUA)
		op.flags |= NBDSERVER_FUA;
	if (request->command == CMD_WRITE_ZEROES && !(request->flags & FLAG_NO_HOLE))
		op.flags |= NBDSERVER_MAY_TRIM;
	if (request->flags & FLAG_FAST_ZERO)
		op.flags |= NBDSERVER_FAST;
	int error = perform(worker, &op);
	/* The protocol reserves that error for fast zeroing. */
	if (error == ENOTSUP && !(request->flags & FLAG_FAST_ZERO))
		error = EINVAL;
	reply_result(worker, request, error);
}

/* One chunk per context, each with an equal share of the buffer. */
static void do_status(struct worker *worker, const struct request *request)
{
	const struct connection *connection = worker->connection;
	unsigned n_contexts = connection->n_contexts;

	perform_aside(worker); /* there is no way to ask whether it would block */
	size_t share = worker->size / n_contexts, at = 0;
	unsigned max =
		request->flags & FLAG_REQ_ONE ? 1 : (unsigned)((share - STRUCTURED_BYTES - 4) / 8);
	for (unsigned i = 0; i < n_contexts; i++) {
		uint8_t *out = worker->buffer + at, *payload = out + STRUCTURED_BYTES;
		int n = context_ask(connection, i, request->offset, request->length, payload + 4,
				    max);
		if (n < 0) {
			reply_error(worker, request, -n);
			return;
		}
		reply_put_structured(out, request, i + 1 == n_contexts ? REPLY_DONE : 0,
				     REPLY_BLOCK_STATUS, 4 + 8 * (uint32_t)n);
		put_be(payload, 4, i);
		at += STRUCTURED_BYTES + 4 + 8 * (size_t)n;
	}
	reply_ready(worker, at);
}

/* False: read no more requests. */
static bool answer(struct worker *worker, const struct request *request)
{
	if (request->command == CMD_DISC)
		return false;
	int error = check_request(worker->connection, request);
	if (error != 0)
		return refuse(worker, request, error);
	switch (request->command) {
	case CMD_READ:
		read_request(worker, request);
		return true;
	case CMD_WRITE:
		return do_write(worker, request);
	case CMD_BLOCK_STATUS:
		do_status(worker, request);
		return true;
	default:
		do_change(worker, request);
		return true;
	}
}

void transmission_run(struct worker *worker)
{
	struct request request;

	while (worker->reader && next_request(worker, &request))
		if (!answer(worker, &request))
			break;
	reply_send_waiting(worker);
}
