/*
 * Checkpoints of a tracked QEMU on their way to other maps, and from them: what the map has, and
 * what QEMU has recorded since that was written last. A bitmap of the map that a checkpoint comes
 * from may have come with the machine, by QEMU's own migration or in its image: it is added, too.
 */
#include "base/grain.h"
#include "base/json.h"
#include "machine/qemu/checkpoint_source.h"
#include "machine/qemu/stats.h"
#include "machine/qemu/track_parts.h"
#include "machine/qemu/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_moved(struct checkpoint_source *source, uint32_t i, struct moved **out,
		      struct error *err)
{
	if (source->moved == NULL)
		source->moved = calloc(source->track->n, sizeof(*source->moved));
	if (source->moved == NULL)
		return fail_memory(err);
	*out = &source->moved[i];
	return 0;
}

void checkpoint_qemu_moves_free(struct checkpoint_source *source)
{
	for (unsigned i = 0; source->moved != NULL && i < source->track->n; i++) {
		free(source->moved[i].bits);
		arrival_free(source->moved[i].arrival);
	}
	free(source->moved);
}

/* ---- away from here ---- */

static void set_bits(uint8_t *bits, const struct cluster_set *set, uint64_t n_clusters)
{
	uint64_t n;
	bool in;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(set, at, n_clusters - at, &in);
		for (uint64_t i = at; in && i < at + n; i++)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
}

static uint64_t count_bits(const uint8_t *bits, uint64_t n_clusters)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < (n_clusters + 7) / 8; i++)
		n += (uint64_t)__builtin_popcount(bits[i]);
	return n;
}

/* Of the map, and of what QEMU has. */
static int collect(struct checkpoint_source *source, struct tracked *one, uint16_t generation,
		   struct moved *moved, struct error *err)
{
	uint64_t n_clusters = clusters_of(one->size_bytes);
	struct cluster_set current = {0};
	int code;

	free(moved->bits);
	moved->bits = calloc((n_clusters + 7) / 8, 1);
	if (moved->bits == NULL)
		return fail_memory(err);
	code = tracked_current(one, source->qemu.qmp, &current, err);
	if (code == 0)
		code = fail(err, ERR_SYSTEM, "drive %s: %s", one->name, one->why);
	if (code == 1) {
		generation_bits(one->map, generation, 0, moved->bits, n_clusters);
		set_bits(moved->bits, &current, n_clusters);
	}
	cluster_set_free(&current);
	return code < 0 ? code : 0;
}

static int outline(struct checkpoint_source *source, uint32_t i, const char *name,
		   struct outline *out, struct error *err)
{
	struct tracked *one = &source->track->drives[i];
	struct moved *moved = NULL;

	*out = (struct outline){.size_bytes = one->size_bytes};
	if (one->map == NULL ||
	    !checkpoints_find(generation_checkpoints(one->map), name, &out->line))
		return 0;
	if (!out->line.good || !one->recording)
		return fail(err, ERR_USAGE, "drive %s: checkpoint %s: is not complete", one->name,
			    name);
	TRY(find_moved(source, i, &moved, err));
	/* Before the bits: what is written later is no loss of theirs then. */
	out->last_ns = stats_last_request_ns(source->qemu.qmp, one->node);
	out->still = stats_machine_is_still(source->qemu.qmp);
	TRY(collect(source, one, out->line.generation, moved, err));
	out->n_changed = count_bits(moved->bits, clusters_of(one->size_bytes));
	if (out->line.origin_id == 0) {
		out->line.origin_id = generation_id(one->map);
		out->line.origin_generation = out->line.generation;
	}
	snprintf(out->drive, sizeof(out->drive), "%s", one->name);
	return 1;
}

static int bits(struct checkpoint_source *source, uint32_t i, const char *name, uint64_t cluster,
		uint64_t n, uint8_t *to, bool *any, struct error *err)
{
	(void)name;
	(void)err;
	memcpy(to, source->moved[i].bits + cluster / 8, (n + 7) / 8);
	*any = true;
	return 0;
}

/* ---- to here ---- */

static int begin(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
		 uint32_t chunk_bytes, struct error *err)
{
	struct tracked *one = &source->track->drives[i];
	struct moved *moved = NULL;

	if (one->map == NULL || !one->recording)
		return fail(err, ERR_USAGE,
			    "drive %s: QEMU does not record its changes yet: checkpoint create has "
			    "to be run there before the machine is",
			    one->name);
	TRY(find_moved(source, i, &moved, err));
	return arrival_begin(&moved->arrival, one->map, outline, chunk_bytes, err);
}

static int has(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t *n, bool *out,
	       struct error *err)
{
	if (chunk >= arrival_n_chunks(source->moved[i].arrival))
		return fail(err, ERR_DAMAGED, "there is no such chunk");
	*out = arrival_has(source->moved[i].arrival, chunk, n);
	return 0;
}

static int take(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t n,
		const uint8_t *from, uint32_t n_bytes, struct error *err)
{
	return arrival_take(source->moved[i].arrival, chunk, n, from, n_bytes, err);
}

/* A bitmap of the other map in this QEMU. */
static int add_bitmap(struct checkpoint_source *source, struct tracked *one, const char *name,
		      struct error *err)
{
	struct transfer transfer = {
		.node = one->node, .bitmap = name, .size_bytes = one->size_bytes};
	uint64_t n_clusters = clusters_of(one->size_bytes);
	uint8_t *found = calloc((n_clusters + 7) / 8, 1);
	struct cluster_set set = {0};
	int code = found == NULL ? fail_memory(err)
				 : transfer_get(source->qemu.qmp, &transfer, &set, err);

	if (code == 0) {
		set_bits(found, &set, n_clusters);
		generation_raise(one->map, 0, 0, found, n_clusters);
	}
	cluster_set_free(&set);
	free(found);
	return code;
}

static int add_bitmaps(struct checkpoint_source *source, struct tracked *one, uint64_t map,
		       struct error *err)
{
	const struct json_t *nodes = source->qemu.inventory.nodes;
	const char *name;

	for (unsigned k = 0; (name = bitmap_of_map(nodes, one->node, map, k)) != NULL; k++)
		TRY(add_bitmap(source, one, name, err));
	return 0;
}

static int end(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
	       bool trust, struct error *err)
{
	struct tracked *one = &source->track->drives[i];

	TRY(add_bitmaps(source, one, outline->line.origin_id, err));
	return arrival_end(source->moved[i].arrival, outline, trust, err);
}

const struct checkpoint_moves checkpoint_qemu_moves = {
	.outline = outline,
	.bits = bits,
	.begin = begin,
	.has = has,
	.take = take,
	.end = end,
};
