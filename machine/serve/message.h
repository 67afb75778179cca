/*
 * Messages of the control socket and of data channels: each is one JSON object of at most
 * MESSAGE_MAX bytes, over a local socket that keeps their bounds (SOCK_SEQPACKET). What they say is
 * in machine/serve/protocol.h.
 *
 * All functions: any thread.
 */
#ifndef MACHINE_SERVE_MESSAGE_H
#define MACHINE_SERVE_MESSAGE_H

#include "base/json.h"

#define MESSAGE_MAX 163840u

/* Gives the sending end of a socket room for the longest message. */
void message_make_room(int fd);
/* Frees the message; NULL, or one that lacks something, fails for want of memory. pass: a
 * descriptor that goes with it, or -1. */
int message_send(int fd, struct json_t *message, int pass, struct error *err);
/* {"error": {"code": ..., "message": ...}}, in any case one that says that memory is lacking. */
int message_send_error(int fd, const struct error *what, struct error *err);
/* 1: a message, owned by the caller; 0: the other side has closed; negative. *passed, if not NULL:
 * a descriptor that came with it, owned, or -1. One thread at a time for each socket. */
int message_receive(int fd, struct json_t **out, int *passed, struct error *err);

/* Fills *err from the "error" of a message. */
int message_error(const struct json_t *message, struct error *err);
/* The server said something that the protocol does not have. */
int message_unexpected(struct error *err);

#endif
