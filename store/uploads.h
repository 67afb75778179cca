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

/* Notes that an upload has begun: of the object at url, with that id. NULL: it could not be noted,
 * which is no reason not to go on. */
struct upload_note *upload_note(const char *url, const char *id);
/* It has ended in order, and the store has nothing of it any more. NULL-safe. */
void upload_forget(struct upload_note *note);
/* It may still be there: the next run removes it. NULL-safe. */
void upload_leave(struct upload_note *note);

/* Calls back for each upload of a run that has died and whose url begins so. 0: the store has
 * nothing of it any more, and it is forgotten. */
void upload_each_dead(const char *url_begins,
		      int (*remove)(void *context, const char *url, const char *id), void *context);

#endif
