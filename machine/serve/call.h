/*
 * The client's end of a control socket. How long an answer may take depends on the server's disks,
 * but a server that is alive answers "status" at once: so one that is quiet is asked that, on a
 * connection of its own, and given up when it does not answer.
 */
#ifndef MACHINE_SERVE_CALL_H
#define MACHINE_SERVE_CALL_H

#include "base/json.h"

/* A connection to the serve whose control socket is at path. */
struct call {
	int fd;		  /* -1: none */
	const char *path; /* borrowed */
};

int call_open(struct call *out, const char *path, struct error *err);
void call_close(struct call *call);

/* Sends the request, frees it, and waits for what it returns, owned by the caller. An error that is
 * returned becomes *err. *passed, if not NULL: a descriptor that came with it, owned, or -1. */
int call_request(const struct call *call, struct json_t *request, struct json_t **out, int *passed,
		 struct error *err);
/* Waits for what a request returns that was sent otherwise. */
int call_answer(const struct call *call, struct json_t **out, struct error *err);
/* The same with a connection for this alone. */
int call_once(const char *path, struct json_t *request, struct json_t **out, struct error *err);

/* Whether the server fails to answer a question within seconds. One that has closed its socket is
 * not silent. */
bool call_is_silent(const char *path);
/* err->sys is EAGAIN then. */
int call_fail_silent(const char *path, struct error *err);

#endif
