/*
 * A set of the clusters of one drive, for whoever must notice one that comes twice or never.
 *
 * It takes memory for the places where membership changes, not for the size of the drive: a run of
 * any length costs two paths through the tree, and what is wholly in or out costs nothing. So an
 * archive that claims a hole of a PiB takes a few KiB, and clusters in any order take a bit each at
 * worst. A struct of zeros is an empty set. Not for several threads at once.
 */
#ifndef BASE_CLUSTERSET_H
#define BASE_CLUSTERSET_H

#include "base/error.h"

struct cluster_set {
	union cluster_node *root; /* owned */
	unsigned height;	  /* levels of nodes below the root */
	uint64_t n_clusters;	  /* in the set, as far as cluster_set_add put them there */
};

/* Adds a run that ends below 2^60. 1: all of it is new; 0: some of it was there before, and the set
 * is of no more use but to be freed; negative: no memory. */
int cluster_set_add(struct cluster_set *set, uint64_t cluster, uint64_t n_clusters,
		    struct error *err);
/* The same for a run of which some may be there before. */
int cluster_set_include(struct cluster_set *set, uint64_t cluster, uint64_t n_clusters,
			struct error *err);
/* How many clusters from this one on, at most n_max, are in the set as it is, or are not. *in: are.
 */
uint64_t cluster_set_run(const struct cluster_set *set, uint64_t cluster, uint64_t n_max, bool *in);
bool cluster_set_has(const struct cluster_set *set, uint64_t cluster);
/* The set is empty then. */
void cluster_set_free(struct cluster_set *set);

#endif
