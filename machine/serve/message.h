/*
 * The control socket of a serve: messages, each one JSON object of at most CONTROL_MESSAGE_MAX
 * bytes, over a local socket that keeps their bounds (SOCK_SEQPACKET).
 *
 *   to the server     {"execute": "status"}
 *                     {"execute": "stop", "force": false}
 *                     {"execute": "backup", ...}: see machine/serve/client.h
 *   from the server   {"return": ...} or {"error": {"code": ..., "message": ...}}
 *
 * Only root and the user who runs the server are served. Even so nothing that comes is believed:
 * what is no object, too long, or unknown is answered with an error.
 */
#ifndef MACHINE_SERVE_MESSAGE_H
#define MACHINE_SERVE_MESSAGE_H

#include "base/json.h"

#define CONTROL_MESSAGE_MAX 163840u

/* A socket of mode 0600 that appears when it can be connected to. One that a dead server left is
 * replaced; one that answers: ERR_LOCKED. */
int control_listen(int *out, const char *path, struct error *err);
/* The next client that may be served. 0; negative: none, without an error worth telling. */
int control_accept(int *out, int listener);
int control_connect(int *out, const char *path, struct error *err);

/* Frees the message. pass: a descriptor that goes with it, or -1. Any thread. */
int control_send(int fd, struct json_t *message, int pass, struct error *err);
int control_send_error(int fd, const struct error *what, struct error *err);
/* 1: a message, owned by the caller; 0: the other side has gone; negative. *passed, if not NULL: a
 * descriptor that came with it, owned, or -1. Any thread, but one at a time for each socket. */
int control_receive(int fd, struct json_t **out, int *passed, struct error *err);

/* For a client: the server that fd is connected to, at path. */
struct control_server {
	int fd;
	const char *path; /* borrowed */
};

/* Sends the request, frees it, and waits for what it returns, owned by the caller. An error that is
 * returned becomes *err. It may take its time as long as the server gives signs of life, but not
 * for ever. */
int control_call(const struct control_server *server, struct json_t *request, struct json_t **out,
		 int *passed, struct error *err);
/* Whether the server answers a question, within seconds. One that has gone is not silent. */
bool control_is_silent(const char *path);
/* err->sys is EAGAIN then. */
int control_fail_silent(const char *path, struct error *err);
/* Fills *err from the "error" of a message. */
int control_error(const struct json_t *message, struct error *err);

/* {"execute": what} */
struct json_t *control_request(const char *what);

#endif
