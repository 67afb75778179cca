/*
 * A tree with 32 branches a node. A leaf has a bit for each of 2048 clusters; NULL stands for a
 * part of which nothing is in the set, &full for one of which all is, at any level. No node is kept
 * that could be either. Larger nodes would let a few slots of an archive that is made for it take
 * more memory, smaller ones would cost more where clusters come in any order.
 */
#include "base/clusterset.h"

#include "base/bits.h"

#include <stdlib.h>

#define BRANCHES  32u
#define LEAF_BITS 11u /* 2048 clusters */
#define NODE_BITS 5u
#define LEVELS	  11u /* of nodes, leaves included: 2^61 clusters */

union cluster_node {
	uint64_t bits[BRANCHES];	     /* of a leaf */
	union cluster_node *below[BRANCHES]; /* of any other */
};

/* Never read: its address means what it says. */
static union cluster_node full;

/* How many clusters a node that many levels above the leaves stands for. */
static uint64_t span_of(unsigned level)
{
	return UINT64_C(1) << (LEAF_BITS + NODE_BITS * level);
}

static unsigned branch_of(uint64_t cluster, unsigned level)
{
	return (unsigned)(cluster / span_of(level - 1) % BRANCHES);
}

/* At most LEVELS calls deep. */
static void free_node(union cluster_node *node, unsigned level)
{
	if (node == NULL || node == &full)
		return;
	for (unsigned i = 0; level > 0 && i < BRANCHES; i++)
		free_node(node->below[i], level - 1);
	free(node);
}

void cluster_set_free(struct cluster_set *set)
{
	free_node(set->root, set->height);
	*set = (struct cluster_set){0};
}

static int make_node(union cluster_node **out, struct error *err)
{
	*out = calloc(1, sizeof **out);
	return *out != NULL ? 0 : fail(err, ERR_SYSTEM, "no memory for a set of clusters");
}

/* Puts roots above the root until it reaches that far. */
static int grow(struct cluster_set *set, uint64_t end, struct error *err)
{
	for (; end > span_of(set->height); set->height++) {
		union cluster_node *old = set->root;
		if (old == NULL)
			continue;
		TRY(make_node(&set->root, err));
		set->root->below[0] = old;
	}
	return 0;
}

static bool is_full(const union cluster_node *node, unsigned level)
{
	for (unsigned i = 0; i < BRANCHES; i++)
		if (level == 0 ? node->bits[i] != UINT64_MAX : node->below[i] != &full)
			return false;
	return true;
}

/* Sets bits in a leaf; *n: how many of the run it has. False: some were set. */
static bool mark(union cluster_node *leaf, uint64_t cluster, uint64_t *n)
{
	uint64_t at = cluster % span_of(0), left = span_of(0) - at;

	*n = *n < left ? *n : left;
	return bits_set(leaf->bits, at, at + *n) == *n;
}

/* Fills those branches of the node, or the root itself, that the run covers from its beginning on;
 * *n: how many clusters that are. False: some were there. level: of the branches. */
static bool cover(union cluster_node **at, unsigned level, uint64_t cluster, uint64_t *n)
{
	uint64_t span = span_of(level), done = 0;
	bool new = true;

	do {
		new = new &&*at == NULL;
		free_node(*at, level);
		*at++ = &full;
		done += span;
	} while (*n - done >= span && (cluster + done) / span % BRANCHES != 0);
	*n = done;
	return new;
}

/* From a node that was added to upwards: what has become full needs no node. */
static void fold(union cluster_node **path[LEVELS], unsigned level, unsigned height)
{
	for (; level <= height && (*path[level] == &full || is_full(*path[level], level));
	     level++) {
		if (*path[level] != &full)
			free(*path[level]);
		*path[level] = &full;
	}
}

/* The beginning of a run: as much of it as one node can take. *n becomes what that was. 1: it is
 * new, 0: some of it was there. */
static int add_part(struct cluster_set *set, uint64_t cluster, uint64_t *n, struct error *err)
{
	union cluster_node **path[LEVELS], **at = &set->root;
	unsigned level = set->height;
	bool new;

	for (;; at = &(*at)->below[branch_of(cluster, level)], level--) {
		uint64_t within = cluster % span_of(level), left = span_of(level) - within;
		path[level] = at;
		if (*at == &full) {
			*n = *n < left ? *n : left;
			return 0;
		}
		if (within == 0 && *n >= left) {
			new = cover(at, level, cluster, n);
			break;
		}
		if (*at == NULL)
			TRY(make_node(at, err));
		if (level == 0) {
			new = mark(*at, cluster, n);
			break;
		}
	}
	fold(path, level, set->height);
	return new ? 1 : 0;
}

int cluster_set_add(struct cluster_set *set, uint64_t cluster, uint64_t n_clusters,
		    struct error *err)
{
	TRY(grow(set, cluster + n_clusters, err));
	for (uint64_t n = n_clusters; n_clusters > 0; n = n_clusters) {
		int code = add_part(set, cluster, &n, err);
		if (code <= 0)
			return code;
		cluster += n;
		n_clusters -= n;
		set->n_clusters += n;
	}
	return 1;
}

int cluster_set_include(struct cluster_set *set, uint64_t cluster, uint64_t n_clusters,
			struct error *err)
{
	TRY(grow(set, cluster + n_clusters, err));
	for (uint64_t n = n_clusters; n_clusters > 0; n = n_clusters) {
		int code = add_part(set, cluster, &n, err);
		if (code < 0)
			return code;
		cluster += n;
		n_clusters -= n;
	}
	return 0;
}

/* The part of the set that this cluster is in and that is all alike; how far it reaches from there.
 */
static uint64_t look(const struct cluster_set *set, uint64_t cluster, bool *in)
{
	const union cluster_node *node = set->root;
	unsigned level = set->height;

	*in = false;
	if (cluster >= span_of(level))
		return UINT64_MAX;
	for (; node != NULL && node != &full && level > 0; level--)
		node = node->below[branch_of(cluster, level)];
	*in = node == &full;
	if (node == NULL || node == &full)
		return span_of(level) - cluster % span_of(level);
	uint64_t at = cluster % span_of(0);
	*in = bits_test(node->bits, at);
	return bits_find(node->bits, at, span_of(0), !*in) - at;
}

uint64_t cluster_set_run(const struct cluster_set *set, uint64_t cluster, uint64_t n_max, bool *in)
{
	uint64_t n = look(set, cluster, in);
	bool same = *in;

	while (n < n_max && same == *in) {
		uint64_t more = look(set, cluster + n, &same);
		n += same != *in ? 0 : more < n_max - n ? more : n_max - n;
	}
	return n < n_max ? n : n_max;
}

bool cluster_set_has(const struct cluster_set *set, uint64_t cluster)
{
	bool in;

	look(set, cluster, &in);
	return in;
}
