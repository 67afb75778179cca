/*
 * A checkpoint that comes from no other map, but of a comparison: spec/map.md, section 4.8.
 */
#include "base/clusterset.h"
#include "machine/moves.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_CHUNKS (ARRIVAL_CHUNK_MAX / MOVE_CHUNK_BYTES) /* at once */

/* Of the clusters from this one on. False: none is set. */
static bool get_bits(const struct cluster_set *set, uint64_t cluster, uint64_t n_clusters,
		     uint8_t *bits)
{
	bool in, any = false;

	memset(bits, 0, (n_clusters + 7) / 8);
	for (uint64_t n, at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(set, cluster + at, n_clusters - at, &in);
		any = any || in;
		for (uint64_t i = at; in && i < at + n; i++)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return any;
}

static int put_all(const struct move_end *to, uint32_t i, const struct outline *outline,
		   const struct cluster_set *changed, uint8_t *bits, struct error *err)
{
	const uint64_t per = UINT64_C(8) * MOVE_CHUNK_BYTES;
	uint64_t n_clusters = clusters_of(outline->size_bytes);
	uint64_t n_chunks = (n_clusters + per - 1) / per, n;

	for (uint64_t chunk = 0; chunk < n_chunks; chunk += n) {
		uint64_t first = chunk * per, n_bits;
		bool any;

		n = least(WINDOW_CHUNKS, n_chunks - chunk);
		n_bits = least(n * per, n_clusters - first);
		any = get_bits(changed, first, n_bits, bits);
		TRY(to->kind->moves->take(to->source, i, chunk, n, any ? bits : NULL,
					  any ? (uint32_t)((n_bits + 7) / 8) : 0, err));
	}
	return 0;
}

int moves_compared(const struct move_end *to, uint32_t i, struct outline *outline,
		   const struct cluster_set *changed, struct error *err)
{
	uint8_t *bits = malloc(ARRIVAL_CHUNK_MAX);
	int code = bits == NULL ? fail_memory(err) : 0;

	outline->n_changed = changed->n_clusters;
	if (code == 0)
		code = to->kind->moves->begin(to->source, i, outline, MOVE_CHUNK_BYTES, err);
	if (code == 0)
		code = put_all(to, i, outline, changed, bits, err);
	if (code == 0)
		code = to->kind->moves->end(to->source, i, outline, true, err);
	free(bits);
	return code;
}
