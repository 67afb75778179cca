/*
 * What a run that broke off has left of an archive, which the next one goes on with (--resume).
 *
 * The archive depends on its head and on what the drives hold alone. So with the uuid and the time
 * of the head that is there, the next run makes the same bytes again; the output compares them with
 * those that it has already, and writes only what follows. What it has never decides what an
 * archive holds.
 */
#ifndef ARCHIVE_KEPT_H
#define ARCHIVE_KEPT_H

#include "format/format.h"
#include "store/store.h"
#include "writer/output/output.h"

struct create_options;
struct watcher;

struct kept {
	struct output_resume to;  /* for output_open, which then owns it */
	struct store_found found; /* any: with a head */
};

/* Nothing is created. ERR_USAGE: nothing that is written there can be taken up. ERR_LOCKED: another
 * run writes it. *out can be closed even after a
 * failure, and must not move. */
int kept_find(struct kept *out, const char *name, const struct create_options *options,
	      const struct watcher *watcher, struct error *err);
/* Where nothing was found: it is created. */
int kept_begin(struct kept *kept, const char *name, const uint8_t *uuid, struct error *err);
void kept_close(struct kept *kept); /* what output_open has not taken */

#endif
