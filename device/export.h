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
	struct serve_options serve; /* how it is served; its drives are those of the archive */
};

/* From here on clients are served, and signals end what export_wait waits for. The process gives up
 * access to files that it does not need before it reads the archives. The options and the watcher,
 * which is told from any thread, are borrowed until export_close. */
int export_open(struct export **out, const struct export_options *options,
		const struct watcher *watcher, struct error *err);
/* Until a client of the control socket or a signal wants the end. */
void export_wait(struct export *export);
int export_close(struct export *export, struct error *err);

/* What was done so far. */
struct view_counts export_counts(struct export *export);

#endif
