/*
 * The clusters of a chain, newest first, each once, for the writer. Private to archive/.
 */
#ifndef ARCHIVE_MERGE_FEED_H
#define ARCHIVE_MERGE_FEED_H

#include "archive/layers.h"
#include "archive/chain.h"
#include "writer/writer.h"

struct merge_feed {
	const struct chain *chain;	     /* borrowed */
	const struct opened_archive *newest; /* borrowed: its first link */
	bool to_vmab;			     /* what is written is VMAB */
	bool as_stored;			     /* extents that are wholly current are copied */
	struct layers layers;
	unsigned n_links;	 /* that were begun */
	struct merge_part *part; /* owned with others: the link that is read, or NULL */
	uint64_t place;		 /* bytes of the links before it */
	/* Zeros of the last extent that are still to be given out. */
	struct slot *zeros; /* owned, SLOTS_MAX */
	uint32_t n_zeros, next_zeros;
	uint64_t total_bytes;
	uint64_t n_copied; /* clusters of data that go out as they were stored */
};

/* Free *out even after an error, once writer_run has ended. */
int merge_feed_open(struct merge_feed *out, const struct chain *chain,
		    const struct opened_archive *newest, bool to_vmab, bool as_stored,
		    struct error *err);
struct feed merge_feed_of(struct merge_feed *feed);
void merge_feed_close(struct merge_feed *feed);

#endif
