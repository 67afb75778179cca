/*
 * An archive and its parents made into one archive, which shows the same instant and takes the
 * place of the newest: it has its uuid, time, note, checkpoint and configs, and the parent of the
 * oldest. Source: spec/vmab.md, section 5.2.
 */
#ifndef ARCHIVE_MERGE_H
#define ARCHIVE_MERGE_H

#include "archive/chain.h"
#include "archive/create.h"

struct merge_options {
	/* The newest first. Alone, its parents are found in its folder, down to the full archive;
	 * of several the oldest one named is the last. Pipes, and "-" once, are read once, too. */
	struct strings archives;
	bool confined; /* the process is so already */
	bool whole;    /* down to the full archive, whatever is named */
	/* NULL, or asked once all is written and complete: an error keeps the archive from getting
	 * its name. */
	int (*ended)(void *context, struct error *err);
	void *ended_context;
	/* The output. It may, with force, be the name of the newest, but of none of its parents.
	 * With compress all is compressed again; else what can stay is copied as it is stored. */
	struct create_options create;
};

struct merge {
	struct chain chain;
	struct opened_archive newest;
	struct create create; /* borrows texts of the newest */
	struct text since;    /* owned: the oldest one's parent checkpoint */
	uint64_t n_copied;    /* clusters of data that were copied as they were stored */
};

/* Reads each archive once, newest first, and writes each cluster once. ERR_INCOMPLETE if one is in
 * none of them that must be. Confines the process once the output is open. *out can be closed even
 * after a failure. */
int merge_run(struct merge *out, const struct merge_options *options, const struct watcher *watcher,
	      struct error *err);
/* Removes an archive that is not finished. */
void merge_close(struct merge *merge);

#endif
