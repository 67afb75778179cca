#include "archive/rescue_chain.h"

#include "archive/open.h"
#include "base/text.h"
#include "reader/input/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_none(const uint8_t uuid[UUID_SIZE])
{
	static const uint8_t none[UUID_SIZE];

	return memcmp(uuid, none, UUID_SIZE) == 0;
}

/* ---- their heads ---- */

/* From its beginning, with its head. ERR_DAMAGED: there is none. */
static int begin_member(struct rescue_chain *chain, struct rescue_member *member, struct error *err)
{
	const uint8_t *uuid = member->head_known ? member->uuid : NULL;

	TRY(input_seek(member->input, 0, UINT64_MAX, err));
	TRY(salvage_open(&chain->salvage, member->input, uuid, err));
	if (salvage_head(chain->salvage) == SALVAGE_HEAD_FOUND)
		return 0;
	TRY(salvage_survey(chain->salvage, err));
	if (salvage_head(chain->salvage) == SALVAGE_HEAD_LOST)
		return fail(err, ERR_DAMAGED, "its head is lost, and so is the copy");
	TRY(input_seek(member->input, 0, UINT64_MAX, err));
	salvage_again(chain->salvage, member->input);
	return 0;
}

static int open_member(struct rescue_chain *chain, struct rescue_member *member, struct error *err)
{
	const struct archive *archive;
	struct error why = {0};

	if (archive_is_stream(member->name))
		return fail(err, ERR_USAGE, "%s: a parent is read from a file", member->name);
	TRY(input_open_damaged(&member->input, member->name, err));
	if (input_size(member->input) == 0)
		return fail(err, ERR_USAGE, "%s: is compressed, or no file: decompress it first",
			    member->name);
	if (begin_member(chain, member, &why) != 0) {
		if (why.sys == ENOMEM)
			return fail_memory(err);
		snprintf(member->why, sizeof(member->why), "%.199s", why.text);
		return 0;
	}
	archive = salvage_archive(chain->salvage);
	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "%s: is a VMA archive, which is no parent",
			    member->name);
	member->head_known = true;
	memcpy(member->uuid, archive->uuid, UUID_SIZE);
	memcpy(member->parent, archive->parent, UUID_SIZE);
	return 0;
}

/* ---- their order ---- */

static struct rescue_member *find(struct rescue_chain *chain, const uint8_t uuid[UUID_SIZE])
{
	for (unsigned i = 0; i < chain->n; i++) {
		struct rescue_member *member = &chain->members[i];

		if (member->head_known && !member->is_placed &&
		    memcmp(member->uuid, uuid, UUID_SIZE) == 0)
			return member;
	}
	return NULL;
}

static bool has_child(const struct rescue_chain *chain, const struct rescue_member *member)
{
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->members[i].head_known && !chain->members[i].is_placed &&
		    memcmp(chain->members[i].parent, member->uuid, UUID_SIZE) == 0)
			return true;
	return false;
}

/* Of those that are left the one that none of them stands on. NULL: there is none. */
static int find_after_gap(struct rescue_chain *chain, struct rescue_member **out, struct error *err)
{
	*out = NULL;
	for (unsigned i = 0; i < chain->n; i++) {
		struct rescue_member *member = &chain->members[i];

		if (!member->head_known || member->is_placed || has_child(chain, member))
			continue;
		if (*out != NULL)
			return fail(err, ERR_USAGE,
				    "%s and %s: it cannot be known which is newer, or they are of "
				    "several chains",
				    (*out)->name, member->name);
		*out = member;
	}
	if (*out != NULL)
		(*out)->is_after_gap = true;
	return 0;
}

static int put_in_order(struct rescue_chain *chain, const struct archive *newest, struct error *err)
{
	const uint8_t *wanted = newest->parent;
	bool gap = false;

	while (!is_none(wanted)) {
		struct rescue_member *next = find(chain, wanted);

		if (next == NULL)
			TRY(find_after_gap(chain, &next, err));
		if (next == NULL)
			break;
		gap |= next->is_after_gap;
		next->is_placed = true;
		chain->order[chain->n_order++] = next;
		wanted = next->parent;
	}
	chain->is_complete = is_none(wanted) && !gap;
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->members[i].head_known && !chain->members[i].is_placed)
			return fail(err, ERR_USAGE,
				    "%s: is no parent of the archive: the archive "
				    "that is wanted comes first",
				    chain->members[i].name);
	return 0;
}

int rescue_chain_open(struct rescue_chain *out, const struct archive *newest,
		      const struct strings *names, struct error *err)
{
	*out = (struct rescue_chain){
		.members = calloc(names->n + 1u, sizeof(*out->members)),
		.order = calloc(names->n + 1u, sizeof(struct rescue_member *)),
		.claimed = calloc(newest->n_drives + 1u, sizeof(*out->claimed)),
	};
	if (out->members == NULL || out->order == NULL || out->claimed == NULL)
		return fail_memory(err);
	if (!archive_is_incremental(newest))
		return fail(err, ERR_USAGE, "%s: the archive is a full one and needs no parents",
			    names->items[0]);
	TRY(layers_open(&out->layers, newest, err));
	for (; out->n < names->n; out->n++) {
		struct rescue_member *member = &out->members[out->n];

		member->name = names->items[out->n];
		/* What was opened is closed, also if this fails. */
		if (open_member(out, member, err) != 0) {
			out->n++;
			return err->code;
		}
	}
	return put_in_order(out, newest, err);
}

/* ---- what an archive held ---- */

static void free_held(struct rescue_chain *chain)
{
	for (uint32_t i = 0; i < chain->n_held_drives; i++)
		cluster_set_free(&chain->held[i]);
	free(chain->held);
	chain->held = NULL;
	chain->n_held_drives = 0;
	chain->n_held = 0;
}

static int begin_held(struct rescue_chain *chain, const struct archive *archive, struct error *err)
{
	free_held(chain);
	chain->held = calloc(archive->n_drives + 1u, sizeof(*chain->held));
	if (chain->held == NULL)
		return fail_memory(err);
	chain->n_held_drives = archive->n_drives;
	return 0;
}

static int note_held(struct rescue_chain *chain, const struct slot *slot, struct error *err)
{
	struct cluster_set *held = &chain->held[slot->drive];
	uint64_t end = slot->cluster + slot->n_clusters, n;
	bool in;

	for (uint64_t at = slot->cluster; at < end; at += n) {
		n = cluster_set_run(held, at, end - at, &in);
		chain->n_held += in ? 0 : n;
	}
	return cluster_set_include(held, slot->cluster, slot->n_clusters, err);
}

/* Nothing tells which clusters those are that it held and of which nothing was found. */
static bool held_more(const struct rescue_chain *chain, const struct salvage_totals *totals)
{
	return totals->n_expected == 0 || chain->n_held != totals->n_clusters;
}

/* ---- their data ---- */

/* The parts of a run that no newer archive held. */
static int put(void *context, const struct slot *slot, enum salvage_state state,
	       const uint8_t *cluster, struct error *err)
{
	struct rescue_chain *chain = context;
	struct salvage_sink sink = recovery_sink(chain->recovery);
	struct slot part = *slot;
	uint64_t n_left = layers_wanted(&chain->layers, slot, &part.drive), n;
	bool claimed;

	TRY(note_held(chain, slot, err));
	/* And no donor is asked for what may be out of date. */
	if (chain->is_uncertain && state != SALVAGE_NAMED)
		state = state == SALVAGE_GOOD ? SALVAGE_UNVERIFIED : SALVAGE_NAMED;
	for (; n_left > 0; part.cluster += n, n_left -= n) {
		n = cluster_set_run(&chain->claimed[part.drive], part.cluster, n_left, &claimed);
		part.n_clusters = n;
		if (!claimed)
			TRY(sink.put(sink.context, &part, state, cluster, err));
	}
	return 0;
}

/* All that was held so far is not to be taken from what comes now. */
static int claim(struct rescue_chain *chain, struct error *err)
{
	for (uint32_t i = 0; i < chain->layers.newest->n_drives; i++) {
		const struct cluster_map *map = &chain->recovery->drives[i].map;
		uint64_t n;
		bool in;

		for (uint64_t at = 0; at < map->n_clusters; at += n) {
			n = cluster_set_run(&map->named, at, map->n_clusters - at, &in);
			if (in)
				TRY(cluster_set_include(&chain->claimed[i], at, n, err));
		}
	}
	return 0;
}

static int run_member(struct rescue_chain *chain, struct rescue_member *member, struct error *err)
{
	const struct salvage_sink sink = {.context = chain, .put = put};
	const struct archive *archive;

	chain->is_uncertain |= member->is_after_gap;
	if (begin_member(chain, member, &member->ended) != 0) {
		chain->is_uncertain = true;
		return 0;
	}
	archive = salvage_archive(chain->salvage);
	TRY(claim(chain, err));
	TRY(begin_held(chain, archive, err));
	TRY(layers_begin(&chain->layers, archive, err));
	TRY(salvage_run(chain->salvage, &sink, &member->ended, err));
	member->totals = *salvage_totals(chain->salvage);
	if (!is_none(archive->parent))
		chain->is_uncertain |= held_more(chain, &member->totals);
	return 0;
}

static int put_newest(void *context, const struct slot *slot, enum salvage_state state,
		      const uint8_t *cluster, struct error *err)
{
	struct rescue_chain *chain = context;
	struct salvage_sink sink = recovery_sink(chain->recovery);

	TRY(note_held(chain, slot, err));
	return sink.put(sink.context, slot, state, cluster, err);
}

int rescue_chain_begin(struct rescue_chain *chain, struct recovery *recovery,
		       struct salvage_sink *sink, struct error *err)
{
	chain->recovery = recovery;
	*sink = (struct salvage_sink){.context = chain, .put = put_newest};
	return begin_held(chain, chain->layers.newest, err);
}

int rescue_chain_run(struct rescue_chain *chain, const struct salvage_totals *newest,
		     struct error *err)
{
	chain->is_uncertain = held_more(chain, newest);
	/* For what the newest has left to its parents, by the sizes of its drives. */
	TRY(layers_begin(&chain->layers, chain->layers.newest, err));
	for (unsigned i = 0; i < chain->n_order; i++)
		TRY(run_member(chain, chain->order[i], err));
	/* Then what none of them holds is lost. */
	for (uint32_t i = 0; i < chain->layers.newest->n_drives && chain->is_complete; i++)
		chain->recovery->drives[i].map.incremental = false;
	return 0;
}

void rescue_chain_close(struct rescue_chain *chain)
{
	for (uint32_t i = 0; chain->layers.newest != NULL && i < chain->layers.newest->n_drives;
	     i++)
		cluster_set_free(&chain->claimed[i]);
	layers_close(&chain->layers);
	for (unsigned i = 0; i < chain->n; i++)
		if (chain->members[i].input != NULL)
			input_close(chain->members[i].input);
	free_held(chain);
	salvage_free(chain->salvage);
	free(chain->members);
	free(chain->order);
	free(chain->claimed);
	*chain = (struct rescue_chain){0};
}
