/*
 * Restoring an instant from the archives of its chain, newest first: each cluster is written once.
 * Private to archive/.
 */
#ifndef ARCHIVE_RESTORE_CHAIN_H
#define ARCHIVE_RESTORE_CHAIN_H

#include "archive/chain.h"
#include "archive/layers.h"
#include "reader/reader.h"

struct watcher;

struct restore_chain {
	struct chain chain; /* empty: the archive is full */
	struct layers layers;
	bool rollback; /* as in struct reader_job */
	uint64_t rate; /* of reading: as for archive_open */
};

/* opened is incremental, or parents are named: finds its chain, also in these folders. Free *out
 * even after an error. */
int restore_chain_find(struct restore_chain *out, const struct opened_archive *opened,
		       const struct strings *parents, const struct strings *folders,
		       struct error *err);
/* Writes the drives of the newest archive, which is opened, to their targets. */
int restore_chain_write(struct restore_chain *chain, struct opened_archive *newest,
			struct target *const *targets, unsigned n_threads,
			struct reader_counts *counts, const struct watcher *watcher,
			struct error *err);
void restore_chain_free(struct restore_chain *chain);

#endif
