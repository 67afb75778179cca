#include "drive/rest.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct rest {
	uint64_t n_clusters;
	_Atomic uint64_t written[]; /* a bit for each; only what is marked takes memory */
};

int rest_new(struct rest **out, uint64_t end_bytes, struct error *err)
{
	uint64_t n_clusters = end_bytes / CLUSTER_SIZE + (end_bytes % CLUSTER_SIZE != 0);
	struct rest *rest = calloc(1, sizeof(*rest) + (n_clusters / 64 + 1) * sizeof(uint64_t));

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
	for (uint64_t i = cluster; i < cluster + n_clusters; i++)
		atomic_fetch_or_explicit(&rest->written[i / 64], UINT64_C(1) << i % 64,
					 memory_order_relaxed);
}

bool rest_has(const struct rest *rest, uint64_t cluster)
{
	uint64_t word = atomic_load_explicit(&rest->written[cluster / 64], memory_order_relaxed);

	return (word >> cluster % 64 & 1) == 0;
}

bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max)
{
	uint64_t at = *cluster, n = 0;

	while (at < rest->n_clusters && !rest_has(rest, at))
		at++;
	while (n < max && at + n < rest->n_clusters && rest_has(rest, at + n))
		n++;
	*cluster = at;
	*n_clusters = n;
	return n > 0;
}
