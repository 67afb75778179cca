/*
 * All of a drive that is written to, compared with an archive by its sums.
 */
#ifndef ARCHIVE_COMPARE_LIVE_H
#define ARCHIVE_COMPARE_LIVE_H

#include "archive/proof_live.h"

struct parent;
struct watcher;

struct compare_job {
	const struct parent *parent; /* which has the drive, perhaps of another size */
	uint32_t drive;		     /* as it was counted when that was opened */
	const char *name;
	uint64_t size_bytes;
	const struct proof_live *live; /* read alone is called */
	uint64_t rate;		       /* of reading: base/pace.h */
	const struct watcher *watcher; /* told how far it is */
};

struct compared {
	struct cluster_set differ; /* the caller's, also after an error */
	uint64_t n_data, n_same;   /* clusters that are not zeros; and of these, as they were */
};

/* differ.n_clusters counts. ERR_SYSTEM, too, if a cluster does not come. */
int compare_live(const struct compare_job *job, struct compared *out, struct error *err);

#endif
