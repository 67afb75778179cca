/*
 * The requests of a multipart upload. Private to store/.
 *
 * The answer to the last request may be lost, or say 200 and hold an error: whether the object is
 * there is then asked, and it is ours if it has our size and our mark, or, in a store that keeps no
 * marks, the tag that follows from our parts.
 */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

#include "store/s3.h"
#include "store/upload_parts.h"
#include "store/uploads.h"

struct upload {
	struct s3 s3;
	struct http *http; /* of the thread that opens and completes it */
	char *id;	   /* encoded; owned; NULL: none has begun */
	struct upload_note *note;
	char mark[33];	       /* of the object, by which it is known again */
	bool force;	       /* an object that is there is replaced */
	char retain_until[12]; /* a day; empty: no object lock */
	/* NULL, or what tells it apart when it is taken up: it is not removed, then, but on
	 * purpose. Borrowed until it has begun. */
	const struct upload_kept *keep;
};

/* Free *out in any case; it must not move. */
int upload_open(struct upload *out, const char *name, struct error *err);
/* After that: the one that a run has left to be taken up, with the parts that the store has of it,
 * owned by the caller. 1: there is one, and the upload is that; 0: there is none. */
int upload_resume(struct upload *upload, struct upload_kept *kept, struct upload_part **parts,
		  unsigned *n_parts, struct error *err);
/* Forgets that: the store has nothing of it any more, if it can be reached. */
void upload_begin_anew(struct upload *upload);
/* After that: refuses an object that is there, removes what dead runs have left in the bucket, and,
 * unless it was taken up, begins. retain_until: a day, or NULL. */
int upload_begin(struct upload *upload, const char *retain_until, struct error *err);
/* From any thread, with a connection of its own. number: from 1. */
int upload_part(struct upload *upload, struct http *http, unsigned number, const uint8_t *bytes,
		size_t n_bytes, upload_tag *tag, struct error *err);
/* n_bytes: of all parts. Also an error, then with the object there: the store has not locked it. */
int upload_complete(struct upload *upload, upload_tag *tags, unsigned n_parts, uint64_t n_bytes,
		    struct error *err);
/* The store forgets it; no request of it may be in progress. NULL-safe for one that did not begin.
 */
void upload_abort(struct upload *upload);
/* The same at once, on another connection, while requests are told to end. Any thread. */
void upload_abandon(struct upload *upload);
void upload_close(struct upload *upload);

#endif
