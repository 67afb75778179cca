/*
 * What a live restore is told.
 */
#ifndef DEVICE_LIVE_OPTIONS_H
#define DEVICE_LIVE_OPTIONS_H

#include "archive/restore_plan.h"
#include "archive/view.h"
#include "machine/serve/options.h"

/* A drive that is restored. */
struct live_target {
	const char *name; /* of its export */
	const char *file; /* an absolute path */
};

/* A machine that copies the drives itself, from the exports to the targets, and moves. Nothing is
 * filled then. */
struct live_copier {
	void *context;
	/* Before anything is made but the folder: whether it can be. All is borrowed until
	 * live_close. */
	int (*check)(void *context, const struct archive *archive,
		     const struct live_target *targets, unsigned n, struct error *err);
	int (*start)(void *context, struct error *err); /* the exports and targets are there */
	/* Called again and again. *moved: it needs the exports no more. ERR_LOCKED: nothing goes on
	 * any more; after other errors it may. */
	int (*step)(void *context, uint64_t *done_bytes, bool *moved, struct error *err);
};

struct live_options {
	struct view_options view;
	struct restore_options restore; /* which drives, and where to: new files; configs are not */
	const char *monitor;		/* of the QEMU that moves; NULL: none does */
	const struct live_copier *copier; /* or NULL */
	struct serve_options serve; /* how it is served; its drives are those that are restored */
};

#endif
