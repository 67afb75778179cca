/*
 * HTTP requests, one at a time on each connection, by libcurl.
 */
#ifndef STORE_HTTP_H
#define STORE_HTTP_H

#include "base/error.h"

#include <stdatomic.h>

struct http; /* for one thread at a time */

#define HTTP_WORD 256u /* of a header of an answer that is kept */

struct http_answer;

/* Takes the body of an answer of status 206 as it comes, at most room bytes: n bytes after
 * answer->n_body others. The headers and the status in *answer are those of it; whether it comes
 * whole is not known yet. False: nothing more is wanted, and the request ends. */
struct http_sink {
	bool (*take)(void *context, const struct http_answer *answer, const uint8_t *bytes,
		     size_t n);
	void *context;
	size_t room;
};

struct http_request {
	const char *method; /* GET, HEAD, PUT, POST, DELETE */
	const char *url;
	const char *const *headers; /* NULL at the end */
	const uint8_t *body;	    /* of PUT and POST */
	size_t body_size;
	uint8_t *into; /* the body of the answer, as far as there is room */
	size_t room;
	const struct http_sink *sink; /* NULL, or where a body of status 206 goes instead */
	/* NULL, or set by whoever does not want the answer any more. */
	const atomic_bool *stop;
	long limit_s; /* for all of it; 0: ten minutes, and what the bytes take at 16 KiB/s */
	/* On a connection of its own: of one that breaks before an answer libcurl sends the request
	 * again on another one, if it was not the first on it. */
	bool once;
	/* A file of a web server: redirections are followed, but not from https to http, and
	 * ~/.netrc may have a user and password. Not for a store: where a bucket lies is for the
	 * user to say. */
	bool is_web;
};

struct http_answer {
	int status;
	size_t n_body;
	bool cut;      /* the body did not fit */
	bool refused;  /* the sink did not want the rest of it */
	bool hopeless; /* there is no answer, and asking again will hardly help: no such host */
	uint64_t size; /* what Content-Length says; UINT64_MAX: nothing */
	char etag[HTTP_WORD], range[HTTP_WORD], region[HTTP_WORD], modified[HTTP_WORD];
	char mark[HTTP_WORD];			/* x-amz-meta-vmabak-upload */
	char until[HTTP_WORD], hold[HTTP_WORD]; /* of an object lock */
};

int http_open(struct http **out, struct error *err);
/* ERR_SYSTEM: there is no answer, or not all of it; out->status is 0 then. */
int http_do(struct http *http, const struct http_request *request, struct http_answer *out,
	    struct error *err);
/* Bytes of bodies that came since the program began. */
uint64_t http_fetched(void);
void http_close(struct http *http); /* NULL-safe */

#endif
