/*
 * Fixed newstyle negotiation. The client sends options, each with its length, and gets replies,
 * until EXPORT_NAME or GO moves both sides on to transmission. If TLS is required, the server
 * answers nothing but STARTTLS and ABORT before it, and forgets whatever was negotiated before it.
 *
 * It never reads ahead: anything that a client, or a man in the middle, sends in the clear right
 * after STARTTLS is taken for part of the TLS handshake, and fails there.
 */
#include "nbd/state.h"

#include "nbd/protocol.h"

#include <stdlib.h>

enum progress { CONTINUE, READY, LOST };

struct option_message {
	uint32_t option, n;
	uint8_t data[OPTION_MAX_BYTES];
};

static enum progress reply(struct connection *connection, uint32_t option, uint32_t type)
{
	return reply_option(connection, option, type, NULL, 0) ? CONTINUE : LOST;
}

static unsigned transmission_flags(const struct connection *connection,
				   const struct nbdserver_export *export)
{
	unsigned flags = HAS_FLAGS;

	if (export->ops->flush != NULL)
		flags |= SEND_FLUSH | SEND_FUA;
	if (connection->structured)
		flags |= SEND_DF;
	if (export->multi_conn)
		flags |= CAN_MULTI_CONN;
	if (export->read_only)
		return flags | READ_ONLY;
	if (export->ops->trim != NULL)
		flags |= SEND_TRIM;
	if (export->ops->zero != NULL)
		flags |= SEND_WRITE_ZEROES | SEND_FAST_ZERO;
	return flags;
}

/* ---- EXPORT_NAME: has no error reply ---- */

static enum progress export_name(struct connection *connection,
				 const struct option_message *message)
{
	const struct nbdserver_export *export =
		exports_find(connection->server, message->data, message->n);
	uint8_t answer[8 + 2 + 124] = {0};

	if (export == NULL) {
		connection_log(connection, "asked for an export that does not exist");
		return LOST;
	}
	if (!exports_use(connection, export))
		return LOST;
	put_be(answer, 8, export->size_bytes);
	put_be(answer + 8, 2, transmission_flags(connection, export));
	if (!stream_send(connection, answer, connection->no_zeroes ? 10 : sizeof(answer)))
		return LOST;
	return READY;
}

/* ---- INFO, GO ---- */

static bool send_text(struct connection *connection, uint32_t option, enum info info,
		      const char *text)
{
	uint8_t data[2 + NAME_MAX_BYTES];
	size_t n = strlen(text);

	put_be(data, 2, info);
	memcpy(data + 2, text, n);
	return reply_option(connection, option, REP_INFO, data, 2 + n);
}

static bool send_block_sizes(struct connection *connection, uint32_t option,
			     const struct nbdserver_export *export)
{
	uint8_t data[14];

	put_be(data, 2, INFO_BLOCK_SIZE);
	put_be(data + 2, 4, export->block_min);
	put_be(data + 6, 4, export->block_preferred);
	put_be(data + 10, 4, export->block_max);
	return reply_option(connection, option, REP_INFO, data, sizeof(data));
}

static bool send_export(struct connection *connection, uint32_t option,
			const struct nbdserver_export *export)
{
	uint8_t data[12];

	put_be(data, 2, INFO_EXPORT);
	put_be(data + 2, 8, export->size_bytes);
	put_be(data + 10, 2, transmission_flags(connection, export));
	return reply_option(connection, option, REP_INFO, data, sizeof(data));
}

/* Name length, name, number of requests, requests of two bytes each, and nothing after them. */
static bool info_is_whole(const struct option_message *message, uint32_t *name_length,
			  uint32_t *n_requests)
{
	if (message->n < 6)
		return false;
	*name_length = get_be(message->data, 4);
	if (*name_length > message->n - 6)
		return false;
	*n_requests = get_be(message->data + 4 + *name_length, 2);
	return message->n - 6 - *name_length == *n_requests * 2;
}

static bool wants(const uint8_t *requests, uint32_t n, enum info info)
{
	for (uint32_t i = 0; i < n; i++)
		if (get_be(requests + 2 * i, 2) == info)
			return true;
	return false;
}

static enum progress info_or_go(struct connection *connection, const struct option_message *message)
{
	uint32_t option = message->option, name_length, n;

	if (!info_is_whole(message, &name_length, &n))
		return reply(connection, option, REP_ERR_INVALID);
	const uint8_t *requests = message->data + 6 + name_length;
	const struct nbdserver_export *export =
		exports_find(connection->server, message->data + 4, name_length);
	if (export == NULL)
		return reply(connection, option, REP_ERR_UNKNOWN);
	bool sent = send_export(connection, option, export) &&
		    send_block_sizes(connection, option, export);
	if (sent && wants(requests, n, INFO_NAME))
		sent = send_text(connection, option, INFO_NAME, export->name);
	if (sent && export->description != NULL && wants(requests, n, INFO_DESCRIPTION))
		sent = send_text(connection, option, INFO_DESCRIPTION, export->description);
	if (!sent)
		return LOST;
	/* A client that does not ask assumes that it may read any byte. */
	if (export->block_min > 1 && !wants(requests, n, INFO_BLOCK_SIZE))
		return reply(connection, option, REP_ERR_BLOCK_SIZE_REQD);
	if (option == OPT_GO && !exports_use(connection, export))
		return reply(connection, option, REP_ERR_POLICY);
	if (reply(connection, option, REP_ACK) == LOST)
		return LOST;
	return option == OPT_GO ? READY : CONTINUE;
}

/* ---- the others ---- */

static enum progress list(struct connection *connection, const struct option_message *message)
{
	const struct nbdserver *server = connection->server;
	uint8_t data[4 + 2 * NAME_MAX_BYTES];

	if (message->n != 0)
		return reply(connection, OPT_LIST, REP_ERR_INVALID);
	for (unsigned i = 0; i < server->n_exports; i++) {
		const struct nbdserver_export *export = &server->exports[i];
		const char *description = export->description != NULL ? export->description : "";
		size_t n = strlen(export->name), more = strlen(description);
		put_be(data, 4, (uint32_t)n);
		memcpy(data + 4, export->name, n);
		memcpy(data + 4 + n, description, more);
		if (!reply_option(connection, OPT_LIST, REP_SERVER, data, 4 + n + more))
			return LOST;
	}
	return reply(connection, OPT_LIST, REP_ACK);
}

static enum progress start_tls(struct connection *connection, const struct option_message *message)
{
	struct tls *tls = connection->server->tls;

	if (message->n != 0 || connection->tls != NULL)
		return reply(connection, OPT_STARTTLS, REP_ERR_INVALID);
	if (tls == NULL)
		return reply(connection, OPT_STARTTLS, REP_ERR_UNSUP);
	if (reply(connection, OPT_STARTTLS, REP_ACK) == LOST)
		return LOST;
	return tls_accept(tls, connection) ? CONTINUE : LOST;
}

static enum progress structured_reply(struct connection *connection,
				      const struct option_message *message)
{
	if (message->n != 0 || connection->structured)
		return reply(connection, OPT_STRUCTURED_REPLY, REP_ERR_INVALID);
	connection->structured = true;
	return reply(connection, OPT_STRUCTURED_REPLY, REP_ACK);
}

static enum progress answer(struct connection *connection, const struct option_message *message)
{
	switch (message->option) {
	case OPT_EXPORT_NAME:
		return export_name(connection, message);
	case OPT_LIST:
		return list(connection, message);
	case OPT_STARTTLS:
		return start_tls(connection, message);
	case OPT_INFO:
	case OPT_GO:
		return info_or_go(connection, message);
	case OPT_STRUCTURED_REPLY:
		return structured_reply(connection, message);
	case OPT_LIST_META_CONTEXT:
	case OPT_SET_META_CONTEXT:
		return context_option(connection, message->option, message->data, message->n)
			       ? CONTINUE
			       : LOST;
	default:
		return reply(connection, message->option, REP_ERR_UNSUP);
	}
}

/* Reads and drops the data of an option that is too long. */
static enum progress skip(struct connection *connection, struct option_message *message)
{
	if (message->n > OPTION_SKIP_BYTES || message->option == OPT_EXPORT_NAME) {
		connection_log(connection, "an option of %u bytes", message->n);
		return LOST;
	}
	for (uint32_t left = message->n; left > 0;) {
		uint32_t part = left < OPTION_MAX_BYTES ? left : OPTION_MAX_BYTES;
		if (!stream_receive(connection, message->data, part))
			return LOST;
		left -= part;
	}
	return reply(connection, message->option, REP_ERR_TOO_BIG);
}

static enum progress one_option(struct connection *connection, struct option_message *message)
{
	uint8_t head[16];

	if (!stream_receive(connection, head, sizeof(head)))
		return LOST;
	message->option = get_be(head + 8, 4);
	message->n = get_be(head + 12, 4);
	if (get_be(head, 8) != MAGIC_OPTION) {
		connection_log(connection, "sent something other than an option");
		return LOST;
	}
	bool plain = connection->server->tls != NULL && connection->tls == NULL;
	if (plain && message->option == OPT_EXPORT_NAME) {
		connection_log(connection, "asked for an export without tls");
		return LOST;
	}
	if (!connection->fixed && message->option != OPT_EXPORT_NAME)
		return LOST; /* it could not read the reply */
	if (message->n > OPTION_MAX_BYTES)
		return skip(connection, message);
	if (!stream_receive(connection, message->data, message->n))
		return LOST;
	if (message->option == OPT_ABORT) {
		reply(connection, OPT_ABORT, REP_ACK);
		return LOST;
	}
	if (connection->server->stopping)
		return reply(connection, message->option, REP_ERR_SHUTDOWN);
	if (plain && message->option != OPT_STARTTLS)
		return reply(connection, message->option, REP_ERR_TLS_REQD);
	return answer(connection, message);
}

static bool exchange_flags(struct connection *connection)
{
	uint8_t hello[18], client[4];

	put_be(hello, 8, MAGIC_SERVER);
	put_be(hello + 8, 8, MAGIC_OPTION);
	put_be(hello + 16, 2, FIXED_NEWSTYLE | NO_ZEROES);
	if (!stream_send(connection, hello, sizeof(hello)) ||
	    !stream_receive(connection, client, sizeof(client)))
		return false;
	uint32_t flags = get_be(client, 4);
	if (flags & ~(uint32_t)(FIXED_NEWSTYLE | NO_ZEROES)) {
		connection_log(connection, "flags %#x in the handshake", flags);
		return false;
	}
	connection->fixed = flags & FIXED_NEWSTYLE;
	connection->no_zeroes = flags & NO_ZEROES;
	return true;
}

/* Ends by the deadline, however many options the client sends. */
bool handshake_run(struct connection *connection)
{
	struct option_message *message = malloc(sizeof(*message));
	enum progress progress = message != NULL ? CONTINUE : LOST;

	if (progress == CONTINUE && !exchange_flags(connection))
		progress = LOST;
	while (progress == CONTINUE)
		progress = one_option(connection, message);
	free(message);
	/* Contexts are valid only for the export they were selected for. */
	if (connection->contexts_of != connection->export)
		connection->n_contexts = 0;
	return progress == READY;
}
