/*
 * What a capture wants of a volume of which only changes are wanted.
 *
 * Clusters that it does not want count as saved. Which those are is found out before the instant,
 * as a look through the map of a large drive takes longer than guests should be held. At first all
 * clusters count as saved; the look clears those that the map names, and so does each request that
 * changes some meanwhile. Nothing is missed: a request marks the map, and then looks whether a
 * capture is being prepared; the capture says so, and then looks at the map. Between the two steps
 * both have a full fence, so one of the two sees the other. A request tells what it has changed
 * while it is still in flight, and at the instant nothing is in flight: from there on the bits say
 * what was changed before it.
 */
#include "cow/capture_state.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

int captured_look(struct captured *captured, struct error *err)
{
	const struct generation *map = volume_map(captured->volume);
	uint64_t n, n_words = bits_words(captured->n_clusters);

	/* A page takes memory when its first bit is set. */
	captured->wanted = calloc(n_words, sizeof(*captured->wanted));
	if (captured->wanted == NULL)
		return fail_memory(err);
	for (uint64_t i = 0; i < n_words; i++)
		atomic_store_explicit(&captured->saved[i], UINT64_MAX, memory_order_relaxed);
	volume_prepare(captured->volume, captured);
	atomic_thread_fence(memory_order_seq_cst);
	for (uint64_t at = 0; at < captured->n_clusters; at += n) {
		if (generation_changed(map, captured->since.generation, at, &n))
			captured_want(captured, at, at + n);
	}
	return 0;
}

int captured_settle(struct captured *captured, struct error *err)
{
	uint64_t first, end = 0;

	if (captured->wanted == NULL)
		return 0;
	while ((first = bits_find_atomic(captured->wanted, end, captured->n_clusters, true)) <
	       captured->n_clusters) {
		end = bits_find_atomic(captured->wanted, first, captured->n_clusters, false);
		if (cluster_set_add(&captured->set, first, end - first, err) < 0)
			return err->code;
	}
	free((void *)captured->wanted);
	captured->wanted = NULL;
	captured->capture->sets[captured->number] = &captured->set;
	return 0;
}

void captured_forget(struct captured *captured)
{
	cluster_set_free(&captured->set);
	free((void *)captured->wanted);
}
