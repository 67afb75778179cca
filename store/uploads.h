/*
 * Uploads in progress of this host and user, each in a file of $XDG_STATE_HOME/vmabak/uploads that
 * is locked while its run lives, and tells the host: so those of killed runs are found, and no
 * others. Private to
 * store/.
 */
#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

#include "base/error.h"

struct upload_note;

#define NOTE_OF_LOCK '=' /* the first character of an id that is that of a lock (store/lock.c) */

/* Of an upload that is to be taken up. */
struct upload_kept {
	char id[1024];	  /* encoded */
	char mark[33];	  /* as in struct upload */
	char day[12];	  /* retained until; empty: not */
	uint8_t uuid[16]; /* of the archive, and its time */
	int64_t created_ns;
};

/* Notes that an upload has begun: of the object at url, with that id. NULL: it could not be noted,
 * which is no reason not to go on. kept: NULL, or what is noted with it. */
struct upload_note *upload_note(const char *url, const char *id, const struct upload_kept *kept);
/* The one of this object that a run has left to be taken up. 1: found; *out holds its lock. 0:
 * none. ERR_LOCKED: its run lives. */
int upload_find_kept(struct upload_note **out, const char *url, struct upload_kept *kept,
		     struct error *err);
/* It has ended in order, and the store has nothing of it any more. NULL-safe. */
void upload_forget(struct upload_note *note);
/* It may still be there: the next run removes it. NULL-safe. */
void upload_leave(struct upload_note *note);

/* Calls back for each upload of a run that has died and whose url begins so, but not for those that
 * are to be taken up, of other urls than own. 0: the store has nothing of it any more, and it is
 * forgotten. */
void upload_each_dead(const char *url_begins, const char *own,
		      int (*remove)(void *context, const char *url, const char *id), void *context);

#endif
