/*
 * A connection serves one caller at a time, which keeps up to IN_FLIGHT requests in flight and
 * waits for the oldest. Callers beyond the number of connections wait for one to become idle.
 *
 * A connection that broke, or was silent for too long, is closed immediately: nothing else ensures
 * that libnbd no longer touches the caller's memory. It keeps its place without a handle, and the
 * next caller that takes it gets an error.
 */
#if HAVE_LIBNBD

#include "nbd/client_private.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Bytes. Servers must accept up to 32 MiB, but qemu-nbd maps a new buffer for each large request:
 * on an image in the page cache, 4 MiB gave 700 MiB/s and 512 KiB gave 2000. */
#define REQUEST_MAX 524288u
#define ZERO_MAX    268435456u /* bytes in a request to zero, which a server may have to write out */
#define IN_FLIGHT   8u

#define STATUS_MAX 4294901760u /* bytes: the largest multiple of a cluster that fits in 32 bits */

static struct nbdclient_connection *take_connection(struct nbdclient *client)
{
	pthread_mutex_lock(&client->lock);
	while (client->n_idle == 0)
		pthread_cond_wait(&client->returned, &client->lock);
	struct nbdclient_connection *connection = client->idle[--client->n_idle];
	pthread_mutex_unlock(&client->lock);
	return connection;
}

static void return_connection(struct nbdclient *client, struct nbdclient_connection *connection)
{
	pthread_mutex_lock(&client->lock);
	client->idle[client->n_idle++] = connection;
	pthread_cond_signal(&client->returned);
	pthread_mutex_unlock(&client->lock);
}

/* ---- one request ---- */

enum verb { READ, WRITE, ZERO, FLUSH, STATUS };

static const char *const doing[] = {"reading", "writing", "zeroing", "flushing",
				    "asking for zeros"};

static const char *words_of(const struct nbdclient *client, enum verb verb)
{
	return verb == STATUS && client->flag == NBDCLIENT_DIRTY ? "asking for changes"
								    : doing[verb];
}

/* libnbd keeps its last error per thread, so this must run on the thread whose call failed. */
static int fail_nbd(const struct nbdclient *client, enum verb verb, uint64_t offset,
		    struct error *err)
{
	int sys = nbdclient_lib.nbd_get_errno();
	const char *words = nbdclient_words("the connection broke");
	bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;

	if (verb == FLUSH)
		fail(err, ERR_SYSTEM, "%s: flushing: %s", client->name, words);
	else
		fail(err, ERR_SYSTEM, "%s: %s at byte %" PRIu64 ": %s", client->name, words_of(client, verb),
		     offset, words);
	err->code = full ? ERR_FULL : ERR_SYSTEM;
	err->sys = sys;
	return err->code;
}

static void give_up(struct nbdclient_connection *connection)
{
	nbdclient_lib.nbd_close(connection->handle);
	connection->handle = NULL;
}

struct request {
	enum verb verb;
	uint64_t offset;
	int64_t cookie;
};

/* Waits for the reply for as long as the server keeps replying on this connection. If no more can
 * come, the connection has no handle afterwards. */
static int land(struct nbdclient *client, struct nbdclient_connection *connection,
		const struct request *request, struct error *err)
{
	struct nbd_handle *handle = connection->handle;
	bool is_long = request->verb == FLUSH || request->verb == ZERO;
	int patience_ms = is_long ? LONG_MS : PATIENCE_MS;
	int64_t until = clock_ms() + patience_ms;
	int n_waiting = nbdclient_lib.nbd_aio_in_flight(handle), code;

	for (;;) {
		int done = nbdclient_lib.nbd_aio_command_completed(handle, (uint64_t)request->cookie);
		if (done > 0)
			return 0;
		if (done < 0)
			return fail_nbd(client, request->verb, request->offset, err);
		int64_t left = until - clock_ms();
		int polled = left > 0 ? nbdclient_lib.nbd_poll(handle, (int)left) : 0;
		if (polled > 0) {
			int n = nbdclient_lib.nbd_aio_in_flight(handle);
			if (n != n_waiting)
				until = clock_ms() + patience_ms;
			n_waiting = n;
			continue;
		}
		if (polled < 0)
			code = fail_nbd(client, request->verb, request->offset, err);
		else
			code = fail(err, ERR_SYSTEM,
				    "%s: %s at byte %" PRIu64 ": no answer within %d s",
				    client->name, words_of(client, request->verb), request->offset,
				    patience_ms / 1000);
		give_up(connection);
		return code;
	}
}

static int fail_lost(const struct nbdclient *client, enum verb verb, uint64_t offset,
		     struct error *err)
{
	return fail(err, ERR_SYSTEM, "%s: %s at byte %" PRIu64 ": the connection is lost",
		    client->name, words_of(client, verb), offset);
}

/* ---- many requests ---- */

struct transfer {
	enum verb verb;
	uint64_t offset;
	uint64_t n;
	uint64_t part_max;
	uint8_t *bytes;	 /* of READ and WRITE */
	bool same_bytes; /* each part is sent from the same buffer of zeros */
};

/* Only this function of libnbd accepts the DF flag. */
static int take_chunk(void *user_data, const void *bytes, size_t n, uint64_t offset,
		      unsigned status, int *error)
{
	(void)user_data, (void)bytes, (void)n, (void)offset, (void)status, (void)error;
	return 0;
}

static int64_t launch_read(const struct nbdclient *client, struct nbd_handle *handle, void *to,
			   size_t n, uint64_t offset)
{
	nbd_chunk_callback callback = {.callback = take_chunk};

	if (client->whole)
		return nbdclient_lib.nbd_aio_pread_structured(handle, to, n, offset, callback,
						NBD_NULL_COMPLETION, LIBNBD_CMD_FLAG_DF);
	return nbdclient_lib.nbd_aio_pread(handle, to, n, offset, NBD_NULL_COMPLETION, 0);
}

static int launch(struct nbdclient *client, struct nbdclient_connection *connection,
		  struct transfer *transfer, struct request *request, struct error *err)
{
	struct nbd_handle *handle = connection->handle;
	uint64_t part = least(transfer->n, transfer->part_max);
	uint64_t at = transfer->offset;

	*request = (struct request){.verb = transfer->verb, .offset = at, .cookie = -1};
	switch (transfer->verb) {
	case READ:
		request->cookie = launch_read(client, handle, transfer->bytes, (size_t)part, at);
		break;
	case WRITE:
		request->cookie = nbdclient_lib.nbd_aio_pwrite(handle, transfer->bytes, (size_t)part, at,
						 NBD_NULL_COMPLETION, 0);
		break;
	default:
		request->cookie = nbdclient_lib.nbd_aio_zero(handle, part, at, NBD_NULL_COMPLETION, 0);
	}
	if (request->cookie < 0)
		return fail_nbd(client, transfer->verb, at, err);
	transfer->offset += part;
	transfer->n -= part;
	if (transfer->bytes != NULL && !transfer->same_bytes)
		transfer->bytes += part;
	return 0;
}

/* After an error it still waits for the requests in flight: they use the caller's memory. */
static int run_on(struct nbdclient *client, struct nbdclient_connection *connection,
		  struct transfer *transfer, struct error *err)
{
	struct request requests[IN_FLIGHT];
	unsigned first = 0, n = 0;
	int code = 0;

	while (connection->handle != NULL && (n > 0 || (code == 0 && transfer->n > 0))) {
		struct error later;
		int one;
		if (code == 0 && transfer->n > 0 && n < IN_FLIGHT) {
			code = launch(client, connection, transfer,
				      &requests[(first + n) % IN_FLIGHT], err);
			n += code == 0;
			continue;
		}
		one = land(client, connection, &requests[first], code == 0 ? err : &later);
		code = code == 0 ? one : code;
		first = (first + 1) % IN_FLIGHT;
		n--;
	}
	if (code == 0 && transfer->n > 0)
		code = fail_lost(client, transfer->verb, transfer->offset, err);
	return code;
}

static int run(struct nbdclient *client, struct transfer *transfer, struct error *err)
{
	struct nbdclient_connection *connection = take_connection(client);
	int code = run_on(client, connection, transfer, err);

	return_connection(client, connection);
	return code;
}

int nbdclient_read(struct nbdclient *client, uint64_t offset, void *buffer, size_t n,
		   struct error *err)
{
	struct transfer transfer = {
		.verb = READ, .offset = offset, .n = n, .part_max = REQUEST_MAX, .bytes = buffer};

	return run(client, &transfer, err);
}

int nbdclient_write(struct nbdclient *client, uint64_t offset, const void *buffer, size_t n,
		    struct error *err)
{
	struct transfer transfer = {.verb = WRITE,
				    .offset = offset,
				    .n = n,
				    .part_max = REQUEST_MAX,
				    .bytes = (uint8_t *)(uintptr_t)buffer};

	return run(client, &transfer, err);
}

int nbdclient_zero(struct nbdclient *client, uint64_t offset, uint64_t n, struct error *err)
{
	static const uint8_t zeros[REQUEST_MAX];
	struct transfer transfer = {.verb = ZERO, .offset = offset, .n = n, .part_max = ZERO_MAX};

	if (!client->can_zero)
		transfer = (struct transfer){.verb = WRITE,
					     .offset = offset,
					     .n = n,
					     .part_max = sizeof(zeros),
					     .bytes = (uint8_t *)(uintptr_t)zeros,
					     .same_bytes = true};
	return run(client, &transfer, err);
}

int nbdclient_flush(struct nbdclient *client, struct error *err)
{
	struct nbdclient_connection *connection;
	struct request request = {.verb = FLUSH};
	int code;

	connection = take_connection(client);
	if (connection->handle != NULL) {
		request.cookie = nbdclient_lib.nbd_aio_flush(connection->handle, NBD_NULL_COMPLETION, 0);
		code = request.cookie < 0 ? fail_nbd(client, FLUSH, 0, err)
					  : land(client, connection, &request, err);
	} else {
		code = fail_lost(client, FLUSH, 0, err);
	}
	return_connection(client, connection);
	return code;
}

/* ---- zeros ---- */

/* entries: pairs of length and flags. */
static int take_answer(void *user_data, const char *context, uint64_t offset, uint32_t *entries,
		       size_t n_entries, int *error)
{
	struct nbdclient *client = user_data;
	uint64_t end = offset;

	(void)context; /* only one was negotiated */
	(void)error;
	client->known_from = offset;
	client->n_known = 0;
	for (size_t i = 0; i + 1 < n_entries && client->n_known < NBDCLIENT_KNOWN_MAX; i += 2) {
		end += entries[i];
		client->known[client->n_known++] = (struct stretch){
			.end = end,
			.zero = (entries[i + 1] & client->flag) != 0,
		};
	}
	return 0;
}

static int ask_on(struct nbdclient *client, struct nbdclient_connection *connection,
		  uint64_t offset, struct error *err)
{
	nbd_extent_callback callback = {.callback = take_answer, .user_data = client};
	struct request request = {.verb = STATUS, .offset = offset};
	uint64_t n = least(client->size_bytes - offset, STATUS_MAX);

	if (connection->handle == NULL)
		return fail_lost(client, STATUS, offset, err);
	client->n_known = 0;
	request.cookie = nbdclient_lib.nbd_aio_block_status(connection->handle, n, offset, callback,
					      NBD_NULL_COMPLETION, 0);
	if (request.cookie < 0)
		return fail_nbd(client, STATUS, offset, err);
	return land(client, connection, &request, err);
}

/* A range is zero if both answers say so; the result ends where the shorter answer ends. */
static void join_answers(struct nbdclient *client)
{
	unsigned at[2] = {0, 0};

	client->n_known = 0;
	while (at[0] < client->n_answer[0] && at[1] < client->n_answer[1] &&
	       client->n_known < NBDCLIENT_KNOWN_MAX) {
		const struct stretch *one = &client->answers[0][at[0]];
		const struct stretch *other = &client->answers[1][at[1]];
		uint64_t end = least(one->end, other->end);

		client->known[client->n_known++] =
			(struct stretch){.end = end, .zero = one->zero && other->zero};
		at[0] += one->end == end;
		at[1] += other->end == end;
	}
}

static int ask(struct nbdclient *client, uint64_t offset, struct error *err)
{
	struct nbdclient_connection *connection = take_connection(client);
	unsigned n = client->whole ? 2 : 1;
	int code = 0;

	for (unsigned i = 0; i < n && code == 0; i++) {
		code = ask_on(client, connection, offset, err);
		client->n_answer[i] = client->n_known;
		memcpy(client->answers[i], client->known, sizeof(client->known));
	}
	if (code == 0 && n == 2)
		join_answers(client);
	return_connection(client, connection);
	return code;
}

/* The stretch of the last answer that contains offset, or NULL. */
static const struct stretch *find_known(const struct nbdclient *client, uint64_t offset)
{
	if (offset < client->known_from)
		return NULL;
	for (unsigned i = 0; i < client->n_known; i++)
		if (offset < client->known[i].end)
			return &client->known[i];
	return NULL;
}

int nbdclient_status(struct nbdclient *client, uint64_t offset, uint64_t *n, bool *zero,
		     struct error *err)
{
	const struct stretch *stretch;

	if (!client->tells) {
		*n = client->size_bytes - offset;
		*zero = false;
		return 0;
	}
	stretch = find_known(client, offset);
	if (stretch == NULL) {
		TRY(ask(client, offset, err));
		stretch = find_known(client, offset);
	}
	if (stretch == NULL)
		return fail(err, ERR_SYSTEM,
			    "%s: the server reports no block status for byte %" PRIu64,
			    client->name, offset);
	*n = stretch->end - offset;
	*zero = stretch->zero;
	return 0;
}

#endif
