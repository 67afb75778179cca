/*
 * The checkpoints in the maps of a QEMU that runs, whose changes are tracked (track.h).
 */
#include "machine/qemu/checkpoint_source.h"
#include "machine/qemu/instant.h"
#include "machine/rundir.h"

#include <stdlib.h>

static void close_source(struct checkpoint_source *source)
{
	if (source == NULL)
		return;
	guard_end(source->guard, true);
	checkpoint_qemu_moves_free(source);
	track_close(source->track);
	qemu_close(&source->qemu);
	free(source);
}

static int open_source(struct checkpoint_source **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct checkpoint_source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return fail_memory(err);
	if (qemu_open(&source->qemu, options, watcher, err) < 0 ||
	    track_look(&source->track, &source->qemu, err) < 0) {
		close_source(source);
		return err->code;
	}
	*out = source;
	return 0;
}

static int list(struct checkpoint_source *source, struct checkpoint_list *out, struct error *err)
{
	unsigned n = source->qemu.inventory.n_drives;

	*out = (struct checkpoint_list){.drives = calloc(n, sizeof(*out->drives))};
	if (out->drives == NULL)
		return fail_memory(err);
	for (; out->n_drives < n; out->n_drives++)
		TRY(track_list(source->track, out->n_drives, &out->drives[out->n_drives], err));
	return 0;
}

/* What was written before is in both generations, so nothing has to be done at the instant. */
static int nothing(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

static int create(struct checkpoint_source *source, const char *name, struct error *err)
{
	const struct machine_since since = {0};
	struct instant instant = {.begin = nothing, .options = source->qemu.options};
	char id[RUN_ID_SIZE];
	int code;

	track_close(source->track);
	source->track = NULL;
	TRY(track_open(&source->track, &source->qemu, err));
	TRY(track_called(source->track, name, err));
	run_id_make(id); /* of which nothing is in QEMU */
	TRY(guard_start(&source->guard, "qemu", source->qemu.options, id, err));
	instant.guard = source->guard;
	TRY(track_prepare(source->track, &since, NULL, err));
	code = instant_take(&instant, &source->qemu.instant, err);
	qemu_warn(&source->qemu);
	return code < 0 ? code : track_ended(source->track, err);
}

static int remove_named(struct checkpoint_source *source, const char *name, struct error *err)
{
	return track_forget(source->track, name, err);
}

const struct checkpoint_kind checkpoint_qemu = {
	.open = open_source,
	.list = list,
	.create = create,
	.remove = remove_named,
	.moves = &checkpoint_qemu_moves,
	.rebuild = &checkpoint_qemu_rebuild,
	.close = close_source,
};
