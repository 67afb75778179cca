/*
 * A restore: plan, check, open all targets (which checks their sizes), and only then write the
 * first byte. New files get their names at the very end; when that fails half-way, the names given
 * so far are taken back.
 */
#ifndef ARCHIVE_RESTORE_H
#define ARCHIVE_RESTORE_H

#include "archive/restore_chain.h"
#include "archive/restore_plan.h"
#include "archive/open.h"
#include "drive/target.h"
#include "reader/reader.h"

struct restore {
	const struct restore_options *options; /* borrowed */
	const struct watcher *watcher;	       /* borrowed */
	struct opened_archive opened;
	struct restore_chain chain;
	struct restore_plan plan;
	struct target_options how;
	struct target **targets; /* owned; one for each drive of the archive, NULL: not restored */
	struct reader_counts counts;
	const char **created; /* owned; paths of the plan: new files that have their names */
	size_t n_created;
};

/* Opens the archive and makes the plan, which may be changed until restore_run. *out can be closed
 * even after a failure. */
int restore_open(struct restore *out, const struct restore_options *options,
		 const struct watcher *watcher, struct error *err);
/* Confines the process once all is open. */
int restore_run(struct restore *restore, struct error *err);
/* Bytes of the drives that are restored. */
uint64_t restore_drive_bytes(const struct restore *restore);
/* Bytes that were written to targets. */
uint64_t restore_written_bytes(const struct restore *restore);
/* Bytes of the archive that were read, of the drives alone where its index led to them. */
uint64_t restore_archive_bytes(const struct restore *restore);
/* done: restore_run succeeded; else nothing new stays. */
void restore_close(struct restore *restore, bool done);

#endif
