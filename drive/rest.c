#include "drive/rest.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>

struct rest {
	uint64_t n_clusters;
	_Atomic uint64_t written[]; /* a bit map; only what is marked takes memory */
};

int rest_new(struct rest **out, uint64_t end_bytes, struct error *err)
{
	uint64_t n_clusters = clusters_of(end_bytes);
	struct rest *rest = calloc(1, sizeof(*rest) + bits_words(n_clusters) * sizeof(uint64_t));

	if (rest == NULL)
		return fail(err, ERR_SYSTEM, "no memory for a map of the target");
	rest->n_clusters = n_clusters;
	*out = rest;
	return 0;
}

void rest_free(struct rest *rest)
{
	free(rest);
}

void rest_mark(struct rest *rest, uint64_t cluster, uint64_t n_clusters)
{
	bits_set_atomic(rest->written, cluster, cluster + n_clusters);
}

bool rest_has(const struct rest *rest, uint64_t cluster)
{
	return !bits_test_atomic(rest->written, cluster);
}

bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max)
{
	uint64_t at = bits_find_atomic(rest->written, *cluster, rest->n_clusters, false);
	uint64_t left = rest->n_clusters - at, end = at + (left < max ? left : max);

	*cluster = at;
	*n_clusters = bits_find_atomic(rest->written, at, end, true) - at;
	return *n_clusters > 0;
}
