/*
 * Replies. They are collected at the front of the worker's buffer and sent together before the
 * worker waits for anything.
 */
#ifndef NBD_REPLY_H
#define NBD_REPLY_H

#include "nbd/worker.h"

#include <sys/uio.h>

/* To an option, in the handshake. */
bool reply_option(struct connection *connection, uint32_t option, uint32_t type, const void *data,
		  size_t n);

void reply_put_simple(uint8_t *out, const struct request *request, int error);
void reply_put_structured(uint8_t *out, const struct request *request, unsigned flags,
			  unsigned type, uint32_t n);
/* Sends waiting replies and then these parts, at most 2, in one piece. */
void reply_send(struct worker *worker, const struct iovec *parts, unsigned n);
void reply_send_waiting(struct worker *worker);
/* Room for another reply after the waiting ones. */
uint8_t *reply_room(struct worker *worker, size_t n);
/* The reply in the room is complete. It is sent when the worker has no further request at hand. */
void reply_ready(struct worker *worker, size_t n);
void reply_error(struct worker *worker, const struct request *request, int error);
/* For requests whose only answer is whether they worked. */
void reply_result(struct worker *worker, const struct request *request, int error);

#endif
