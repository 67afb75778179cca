/*
 * What a client may ask for, and the error it gets otherwise.
 */
#include "nbd/state.h"

#include "nbd/protocol.h"

#include <errno.h>

static unsigned allowed_flags(const struct connection *connection, unsigned command)
{
	/* The protocol wants it accepted with every command if with any. */
	unsigned flags = connection->export->ops->flush != NULL ? FLAG_FUA : 0;

	if (command == CMD_READ && connection->structured)
		flags |= FLAG_DF;
	if (command == CMD_WRITE_ZEROES)
		flags |= FLAG_NO_HOLE | FLAG_FAST_ZERO;
	if (command == CMD_BLOCK_STATUS)
		flags |= FLAG_REQ_ONE;
	return flags;
}

static int check_command(const struct connection *connection, const struct request *request)
{
	const struct nbdserver_export *export = connection->export;
	bool changes = request->command == CMD_WRITE || request->command == CMD_TRIM ||
		       request->command == CMD_WRITE_ZEROES;

	if (changes && export->read_only)
		return EPERM;
	switch (request->command) {
	case CMD_READ:
		return export->write_only ? EPERM : 0;
	case CMD_WRITE:
		return 0;
	case CMD_FLUSH:
		return export->ops->flush != NULL ? 0 : EINVAL;
	case CMD_TRIM:
		return export->ops->trim != NULL ? 0 : EINVAL;
	case CMD_WRITE_ZEROES:
		return export->ops->zero != NULL ? 0 : EINVAL;
	case CMD_BLOCK_STATUS:
		return connection->n_contexts > 0 ? 0 : EINVAL;
	default:
		return EINVAL;
	}
}

static int check_range(const struct nbdserver_export *export, const struct request *request)
{
	uint64_t offset = request->offset, size = export->size_bytes;
	uint32_t n = request->length;
	bool writes = request->command == CMD_WRITE || request->command == CMD_WRITE_ZEROES;

	if (request->command == CMD_FLUSH)
		return offset != 0 || n != 0 ? EINVAL : 0;
	if (n == 0)
		return EINVAL;
	if ((request->command == CMD_READ || request->command == CMD_WRITE) &&
	    n > export->block_max)
		return EINVAL;
	if (offset > size || n > size - offset)
		return writes ? ENOSPC : EINVAL;
	if (offset % export->block_min != 0 || (n % export->block_min != 0 && offset + n != size))
		return EINVAL;
	return 0;
}

/* Of several faults, the one that other servers would report. */
int check_request(const struct connection *connection, const struct request *request)
{
	int error = check_command(connection, request);

	if (error == 0)
		error = check_range(connection->export, request);
	if (error == 0 && request->flags & ~allowed_flags(connection, request->command))
		error = EINVAL;
	return error;
}
