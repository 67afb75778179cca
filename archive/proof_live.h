/*
 * The proof of what a tracker tells of a drive that is being written to, before the instant: what a
 * cluster holds now is as the parent has it, or the tracker has noticed that it is not. What it
 * tells after the reading decides, as guests write meanwhile.
 */
#ifndef ARCHIVE_PROOF_LIVE_H
#define ARCHIVE_PROOF_LIVE_H

#include "archive/proof_read.h"

/* A cluster, of which bytes is NULL if they are zeros. */
struct proof_taker {
	int (*take)(void *context, uint64_t cluster, const uint8_t *bytes, struct error *err);
	void *context;
};

/* A drive that is written to. */
struct proof_live {
	void *context;
	/* Hands over the clusters of the set, each once, in any order, from this thread. */
	int (*read)(void *context, const struct cluster_set *set, const struct proof_taker *taker,
		    struct error *err);
	/* What the tracker tells by now, into an empty set. 0: it is not known any more. */
	int (*changed)(void *context, struct cluster_set *out, struct error *err);
};

/* As proof_read, but to the end; n_right counts what is as the parent has it, and n_wrong what is
 * not, and not changed by what the tracker tells. reader->source is not used. 0: it tells nothing
 * any more; 1: done. */
int proof_read_live(struct proof_reader *reader, const struct proof_live *live,
		    const struct cluster_set *set, uint64_t n_clusters, struct proof_found *out,
		    struct error *err);

#endif
