/*
 * An object of an S3 store, and requests about it: retried while that can help, and judged.
 * Sources: the Amazon S3 API reference; what Ceph RGW and Swift do was seen.
 *
 * Private to store/.
 */
#ifndef STORE_S3_H
#define STORE_S3_H

#include "store/account.h"
#include "store/http.h"

#define S3_TEXT_MAX 65536u /* of an answer that is no data */
#define S3_CODE_MAX 64u

struct s3 {
	const char *name; /* s3://BUCKET/KEY, for messages; borrowed */
	struct account account;
	char *url; /* of the object; owned */
	/* Any thread may set it: requests end, and none is tried again. */
	atomic_bool stop;
	long limit_s; /* for each request; 0: none */
};

struct s3_answer;
/* Whether the same request may be answered otherwise later. */
bool s3_may_pass(const struct s3_answer *answer);

/* ERR_USAGE: it is not "s3://BUCKET/KEY". */
int s3_check_name(const char *name, struct error *err);
/* Free *out in any case; it must not move. */
int s3_open(struct s3 *out, const char *name, const char *endpoint, struct error *err);
/* The same for all objects whose keys begin with PREFIX/ of "s3://BUCKET/PREFIX", or are of
 * "s3://BUCKET": the url is that of the bucket, with a slash at its end. *prefix: "PREFIX/" or "";
 * borrowed from name, without its slash. */
int s3_open_bucket(struct s3 *out, const char *name, const char **prefix, struct error *err);
void s3_close(struct s3 *s3);

struct s3_call {
	const char *method;
	const char *query; /* sorted and encoded; NULL: none */
	/* Further headers; NULL at the end of the array. */
	const char *const *headers;
	const uint8_t *body;
	size_t body_size;
	uint8_t *into; /* of the answer's body; NULL: it is kept only to tell errors */
	size_t room;
	const struct http_sink *sink; /* as in struct http_request */
	/* Not retried when there is no answer, or one of a server in trouble: the request may have
	 * had its effect. */
	bool once;
};

struct s3_answer {
	struct http_answer http;
	char code[S3_CODE_MAX]; /* that the store gave an error; empty: none */
};

/* 0: answered with 2xx. Negative: *err tells the object, and what the store said; out->http.status
 * is 0 if there was no answer. */
int s3_do(struct s3 *s3, struct http *http, const struct s3_call *call, struct s3_answer *out,
	  struct error *err);

/* After a HEAD that failed, whose answer has no body: asks for a byte instead, to be told why in
 * *err, which stays as it is if that does not tell more. */
void s3_ask_why(struct s3 *s3, struct http *http, struct s3_answer *answer, struct error *err);

/* What is between <tag> and </tag>, the first time, without the entities of XML. False: it is not
 * there, or does not fit. */
bool s3_pick(const uint8_t *xml, size_t n, const char *tag, char *out, size_t room);
/* Percent-encoded but for what is unreserved and, if asked for, '/'. Owned; NULL: no memory. */
char *s3_encode(const char *text, bool keep_slashes);
/* An error element in an answer of status 200, which some have: 0 if there is none. */
int s3_check_body(struct s3 *s3, const uint8_t *body, size_t n, struct s3_answer *answer,
		  struct error *err);

#endif
