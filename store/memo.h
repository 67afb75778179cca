/*
 * What this host notes of an archive that goes to a command and is to be taken up: its uuid and
 * time. It lies with the notes of uploads (store/uploads.h), as a hash of the command, which may
 * hold secrets.
 */
#ifndef STORE_MEMO_H
#define STORE_MEMO_H

#include "store/store.h"

struct upload_note;

/* The one that a run with this command has left: *out holds its lock. found->any: there is one.
 * ERR_LOCKED: its run lives. */
int memo_find(struct upload_note **out, const char *command, struct store_found *found,
	      struct error *err);
int memo_make(struct upload_note **out, const char *command, const struct store_found *of,
	      struct error *err);
void memo_leave(struct upload_note *memo);  /* for the next run. NULL-safe */
void memo_forget(struct upload_note *memo); /* NULL-safe */

#endif
