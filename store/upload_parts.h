/*
 * The parts of an upload: as they are told to the store, and as it tells what it has of them.
 * Private to store/.
 */
#ifndef STORE_UPLOAD_PARTS_H
#define STORE_UPLOAD_PARTS_H

#include "store/s3.h"

#define UPLOAD_TAG_MAX 80u /* bytes of a part's tag */

typedef char upload_tag[UPLOAD_TAG_MAX];

/* A part that the store has already. */
struct upload_part {
	unsigned number;
	uint64_t n_bytes;
	upload_tag tag;
};

/* What the last request tells. Owned; NULL: no memory. */
char *upload_make_list(upload_tag *tags, unsigned n_parts);
/* The tag of an object in parts, where those of the parts are MD5 sums: the sum of their sums, and
 * how many. False: they are something else. */
bool upload_expect_tag(upload_tag *tags, unsigned n_parts, upload_tag *out);
/* Whether the store's tag of a part is the MD5 sum of these bytes. */
bool upload_tag_is_of(const upload_tag tag, const uint8_t *bytes, size_t n_bytes);

/* All is borrowed. */
struct upload_at {
	struct s3 *s3;
	struct http *http;
	const char *id; /* encoded */
};

/* Those that the store has. 1: all are known, owned by the caller; 0: it has no such upload. */
int upload_list_parts(const struct upload_at *at, struct upload_part **out, unsigned *n_parts,
		      struct error *err);

#endif
