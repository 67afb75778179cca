#include "drive/target_parts.h"

#include "base/bits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define TAIL_MAX 4194304u /* bytes */

struct rest {
	uint64_t size_bytes, end_bytes, excess_bytes;
	_Atomic uint64_t written[]; /* a bit map; only what is marked takes memory */
};

int rest_new(struct rest **out, const char *path, uint64_t size_bytes, uint64_t room_bytes,
	     struct error *err)
{
	if (room_bytes < size_bytes)
		return fail(err, ERR_USAGE, "%s: has %" PRIu64 " bytes, and the drive %" PRIu64,
			    path, room_bytes, size_bytes);
	uint64_t end = room_bytes - size_bytes > TAIL_MAX ? size_bytes : room_bytes;
	struct rest *rest =
		calloc(1, sizeof(*rest) + bits_words(clusters_of(end)) * sizeof(uint64_t));

	if (rest == NULL)
		return fail_memory(err);
	rest->size_bytes = size_bytes;
	rest->end_bytes = end;
	rest->excess_bytes = room_bytes - end;
	*out = rest;
	return 0;
}

void rest_free(struct rest *rest)
{
	free(rest);
}

uint64_t rest_end(const struct rest *rest)
{
	return rest->end_bytes;
}

uint64_t rest_excess(const struct rest *rest)
{
	return rest->excess_bytes;
}

void rest_mark_bytes(struct rest *rest, uint64_t offset, uint64_t n)
{
	uint64_t end = offset + n;

	assert(offset % CLUSTER_SIZE == 0 && (n % CLUSTER_SIZE == 0 || end == rest->size_bytes));
	rest_mark(rest, offset / CLUSTER_SIZE, clusters_of(n));
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
	uint64_t n_all = clusters_of(rest->end_bytes);
	uint64_t at = bits_find_atomic(rest->written, *cluster, n_all, false);
	uint64_t end = at + (n_all - at < max ? n_all - at : max);

	*cluster = at;
	*n_clusters = bits_find_atomic(rest->written, at, end, true) - at;
	return *n_clusters > 0;
}
