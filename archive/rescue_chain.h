/*
 * The salvage of a chain: what the newest archive lacks is looked for in the parents that were
 * named, newest first. A cluster that a newer archive held, or may have held, is not taken from an
 * older one as if it were proved.
 */
#ifndef ARCHIVE_RESCUE_CHAIN_H
#define ARCHIVE_RESCUE_CHAIN_H

#include "archive/layers.h"
#include "archive/recovery.h"

struct input;
struct strings;

/* A parent that was named. */
struct rescue_member {
	const char *name; /* borrowed */
	struct input *input;
	uint8_t uuid[UUID_SIZE], parent[UUID_SIZE];
	bool head_known;   /* false: it cannot be used; then */
	char why[200];	   /*   why not, if that is not just its head */
	bool is_placed;	   /* in the chain */
	bool is_after_gap; /* the archive between it and the one before was not there */
	struct salvage_totals totals;
	struct error ended; /* code != 0: why it could not be read to its end */
};

struct rescue_chain {
	struct rescue_member *members; /* owned: as named */
	struct rescue_member **order;  /* owned: newest first */
	unsigned n, n_order;
	bool is_complete;  /* down to a full archive, without a gap */
	bool is_uncertain; /* what older ones hold may have been replaced by what was lost */
	struct salvage *salvage;
	struct layers layers;
	struct cluster_set *claimed; /* owned: of each drive, what newer ones held */
	struct recovery *recovery;   /* borrowed */
	/* Of the archive that is read: owned, what it held, for each of its drives; and how many
	 * clusters these are. */
	struct cluster_set *held;
	uint32_t n_held_drives;
	uint64_t n_held;
};

/* Opens them and reads their heads. newest: borrowed. ERR_USAGE: names that are no parents. *out
 * can be closed even after a failure. */
int rescue_chain_open(struct rescue_chain *out, const struct archive *newest,
		      const struct strings *names, struct error *err);
/* For the newest: as recovery_sink, with a look at what it held. */
int rescue_chain_begin(struct rescue_chain *chain, struct recovery *recovery,
		       struct salvage_sink *sink, struct error *err);
/* Once the newest was read: what its parents have. newest: what was found of it. */
int rescue_chain_run(struct rescue_chain *chain, const struct salvage_totals *newest,
		     struct error *err);
void rescue_chain_close(struct rescue_chain *chain);

#endif
