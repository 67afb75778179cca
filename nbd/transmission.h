/*
 * Requests on their way through the server: what reply.c, check.c, read.c and transmission.c share.
 * Private to cow/nbd/.
 */
#ifndef NBD_TRANSMISSION_H
#define NBD_TRANSMISSION_H

#include "nbd/connection.h"
#include "nbd/protocol.h"

/* From here on copying takes longer than waking another thread to read on meanwhile. */
#define PARALLEL_BYTES 65536u
#define SMALL_BYTES    16384u /* data up to this is collected, and taken from the input */

struct request {
	unsigned flags, command;
	uint8_t cookie[8];
	uint64_t offset;
	uint32_t length;
};

/* What is to be done by the export. */
struct operation {
	unsigned command, flags; /* enum nbdserver_flags */
	uint64_t offset, n;
	void *data;
};

/* ---- reply.c ---- */

void put_simple(uint8_t *out, const struct request *request, int error);
void put_structured(uint8_t *out, const struct request *request, unsigned flags, unsigned type,
		    uint32_t n);
/* The socket does not work any more: whoever reads is to know. */
void cut(struct connection *connection);
/* Sends what waits and then these, in one piece; at most 2. */
void send_now(struct worker *worker, const struct iovec *extra, unsigned n);
void send_waiting(struct worker *worker);
/* Room for a reply behind those that wait. */
uint8_t *reply_room(struct worker *worker, size_t n);
/* A reply stands complete in the room. It is sent when the worker has no other request at hand. */
void reply_ready(struct worker *worker, size_t n);
void reply_error(struct worker *worker, const struct request *request, int error);
/* For requests that have no answer but whether it worked. */
void reply_result(struct worker *worker, const struct request *request, int error);

/* ---- check.c ---- */

/* 0, or the errno value that answers it. */
int check_request(const struct connection *connection, const struct request *request);

/* ---- read.c ---- */

void do_read(struct worker *worker, const struct request *request);

/* ---- transmission.c ---- */

/* By the export as it is, waiting if need be. more: flags. */
int operate(const struct nbdserver_export *export, const struct operation *op, unsigned more);
/* At once, or after giving the role of the reader to another thread. */
int perform(struct worker *worker, struct operation *op);
/* Nothing of the connection's may be in use. */
void read_on_elsewhere(struct worker *worker);

#endif
