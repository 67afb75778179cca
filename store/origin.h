/*
 * What an archive elsewhere is read from, in ranges: an object of a store, or a file of a web
 * server. Each answer must be the range asked for, of what was there at first.
 *
 * Private to store/.
 */
#ifndef STORE_ORIGIN_H
#define STORE_ORIGIN_H

#include "store/http.h"

struct origin;

struct origin_range {
	uint64_t position;
	size_t n;
	uint8_t *into; /* NULL: */
	/* Takes what comes, n bytes from an offset in the range on; after a failure on the way it
	 * comes again from offset 0 on. False: nothing more is wanted, and fetch fails. */
	bool (*take)(void *context, size_t offset, const uint8_t *bytes, size_t n);
	void *context;
};

struct origin_kind {
	int (*open)(void **state, const char *name, struct error *err);
	/* Fills size and what tells one content from another. *n: bytes from the beginning that
	 * came along into range->into, at most range->n. */
	int (*find)(struct origin *origin, struct http *http, const struct origin_range *range,
		    size_t *n, struct error *err);
	/* All of the range, to range->take; several threads at once, each with its own http. */
	int (*fetch)(struct origin *origin, struct http *http, const struct origin_range *range,
		     struct error *err);
	/* Any thread: requests end. */
	void (*stop)(void *state);
	void (*close)(void *state); /* NULL-safe */
};

struct origin {
	const struct origin_kind *kind;
	void *state;	  /* owned */
	const char *name; /* for messages; borrowed */
	uint64_t size;
	char etag[HTTP_WORD], modified[HTTP_WORD]; /* empty: it has none */
};

extern const struct origin_kind origin_s3, origin_web;

#endif
