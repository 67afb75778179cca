/*
 * The checkpoints of a machine that is tracked, for whoever asks for them.
 */
#include "base/grain.h"
#include "machine/checkpoint.h"
#include "machine/qemu/track.h"
#include "machine/qemu/track_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* Of clusters that the map does not name since then already. */
static uint64_t more_bytes(const struct tracked *one, uint16_t generation,
			   const struct cluster_set *current)
{
	uint64_t n_clusters = clusters_of(one->size_bytes), n_in, n, bytes = 0;
	bool in;

	for (uint64_t at = 0; at < n_clusters; at += n) {
		bool changed = generation_changed(one->map, generation, at, &n);

		n_in = cluster_set_run(current, at, n_clusters - at, &in);
		n = least(n, n_in);
		if (in && !changed)
			bytes += least(n * CLUSTER_SIZE, one->size_bytes - at * CLUSTER_SIZE);
	}
	return bytes;
}

static int fill(const struct tracked *one, const struct cluster_set *current,
		struct checkpoint_drive *out, struct error *err)
{
	struct checkpoint *found = NULL;
	uint32_t n = 0;

	TRY(checkpoints_list(generation_checkpoints(one->map), &found, &n, err));
	out->lines = calloc(n + 1, sizeof(*out->lines));
	for (uint32_t i = 0; out->lines != NULL && i < n; i++)
		out->lines[out->n_lines++] = (struct checkpoint_line){
			.it = found[i],
			.changed_bytes = generation_changed_bytes(one->map, found[i].generation) +
					 more_bytes(one, found[i].generation, current),
		};
	free(found);
	return out->lines == NULL ? fail_memory(err) : 0;
}

int track_list(struct track *track, uint32_t i, struct checkpoint_drive *out, struct error *err)
{
	struct tracked *one = &track->drives[i];
	struct cluster_set current = {0};
	int code = 1;

	snprintf(out->name, sizeof(out->name), "%s", one->name);
	out->size_bytes = one->size_bytes;
	if (one->map != NULL && one->recording)
		code = tracked_current(one, track->qemu->qmp, &current, err);
	if (code >= 0 && one->map != NULL)
		code = fill(one, &current, out, err);
	cluster_set_free(&current);
	return code < 0 ? code : tracked_orphans(track, i, out, err);
}

int track_check_named(struct qemu *qemu, struct error *err)
{
	struct checkpoint ignored;
	struct track *track;
	int code = 0;

	TRY(track_look(&track, qemu, err));
	for (unsigned i = 0; i < track->n && code == 0; i++) {
		if (track->drives[i].size_bytes > 0)
			code = tracked_find_named(&track->drives[i], qemu->options->since, &ignored,
						  err);
	}
	track_close(track);
	return code;
}

int track_called(struct track *track, const char *name, struct error *err)
{
	struct checkpoint ignored;

	if (!checkpoint_name_usable(name))
		return fail(err, ERR_USAGE, "checkpoint '%.60s': " CHECKPOINT_NAME_RULE, name);
	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];

		if (one->map != NULL &&
		    checkpoints_find(generation_checkpoints(one->map), name, &ignored))
			return fail(err, ERR_USAGE, "checkpoint %s: exists already", name);
	}
	snprintf(track->line.name, sizeof(track->line.name), "%s", name);
	track->line.good = true;
	return 0;
}

int track_forget(struct track *track, const char *name, struct error *err)
{
	struct checkpoint ignored;
	unsigned n = 0;
	int code;

	for (unsigned i = 0; i < track->n; i++) {
		const struct tracked *one = &track->drives[i];

		if (one->map == NULL ||
		    !checkpoints_find(generation_checkpoints(one->map), name, &ignored))
			continue;
		TRY(checkpoints_delete(generation_checkpoints(one->map), name, err));
		n++;
	}
	code = n > 0 ? 1 : track_forget_orphans(track, name, err);
	if (code == 0)
		return fail(err, ERR_USAGE, "checkpoint %.60s: there is none of that name", name);
	return code < 0 ? code : 0;
}
