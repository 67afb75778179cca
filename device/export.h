/*
 * The newest instant of an archive as NBD exports, one a drive.
 */
#ifndef DEVICE_EXPORT_H
#define DEVICE_EXPORT_H

#include "archive/view.h"
#include "machine/serve/options.h"

struct export;

struct export_options {
	struct view_options view;
	const char *overlay;	    /* a file or "memory", where writes go; NULL: read-only */
	const char *const *devices; /* that a child may write; NULL at the end; NULL: none */
	const char *folder;	    /* that may be removed; NULL: none */
	bool quiet;		    /* where drives are served is not told */
	struct serve_options serve; /* how it is served; its drives are those of the archive */
};

/* From here on clients are served, and signals end what export_wait waits for. The process gives up
 * access to files that it does not need before it reads the archives. The options and the watcher,
 * which is told from any thread, are borrowed until export_close. */
int export_open(struct export **out, const struct export_options *options,
		const struct watcher *watcher, struct error *err);
/* Until a client of the control socket or a signal wants the end. */
void export_wait(struct export *export);
/* Readable once one of them does. Borrowed. */
int export_end_fd(const struct export *export);
int export_close(struct export *export, struct error *err);

const struct view *export_view(const struct export *export);
/* The name of each drive's export; the array is owned, its texts are borrowed. NULL: no memory. */
char **export_names(const struct export *export);
/* What was done so far. */
struct view_counts export_counts(struct export *export);

#endif
