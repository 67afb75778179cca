#include "nbd/state.h"

#include "nbd/protocol.h"

#include <errno.h>

int perform_here(const struct nbdserver_export *export, const struct operation *op, unsigned more)
{
	const struct nbdserver_ops *ops = export->ops;
	unsigned flags = op->flags | more;

	switch (op->command) {
	case CMD_READ:
		return ops->read(export->context, op->offset, op->data, (uint32_t)op->n, flags);
	case CMD_WRITE:
		return ops->write(export->context, op->offset, op->data, (uint32_t)op->n, flags);
	case CMD_TRIM:
		return ops->trim(export->context, op->offset, op->n, flags);
	case CMD_WRITE_ZEROES:
		return ops->zero(export->context, op->offset, op->n, flags);
	default:
		return ops->flush(export->context, flags);
	}
}

void perform_aside(struct worker *worker)
{
	if (!worker->reader)
		return;
	reply_send_waiting(worker);
	worker_give_role(worker);
}

int perform(struct worker *worker, struct operation *op)
{
	const struct nbdserver_export *export = worker->connection->export;

	if (worker->reader) {
		int error = perform_here(export, op, NBDSERVER_NOW);
		if (error != EAGAIN)
			return error;
		reply_send_waiting(worker);
		if (op->command == CMD_WRITE && op->data != worker->buffer) {
			memcpy(worker->buffer, op->data,
			       op->n); /* the input is the next reader's */
			op->data = worker->buffer;
		}
		worker_give_role(worker);
	}
	return perform_here(export, op, 0);
}
