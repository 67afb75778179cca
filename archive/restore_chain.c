#include "archive/restore_chain.h"

#include "base/watcher.h"

#include <stdlib.h>

/* What is needed for every link. */
struct run {
	struct restore_chain *chain;
	const struct archive *newest;
	struct target *const *targets; /* of the newest archive's drives */
	unsigned n_threads;
	struct reader_counts *counts;
	const struct watcher *watcher;
};

int restore_chain_find(struct restore_chain *out, const struct opened_archive *opened,
		       const struct strings *parents, const struct strings *folders,
		       struct error *err)
{
	struct strings names;
	int code;

	if (!strings_join(&names, opened->name, parents, folders))
		return fail_memory(err);
	code = chain_find(&out->chain, &names, err);
	free(names.items);
	return code == 0 ? layers_open(&out->layers, opened->archive, err) : code;
}

/* What the drives of a link are in the newest archive. */
static int assign(const struct run *run, const struct archive *link, struct target **targets,
		  struct reader_layer *out, struct error *err)
{
	struct layers *layers = &run->chain->layers;

	TRY(layers_begin(layers, link, err));
	for (uint32_t i = 0; i < link->n_drives; i++) {
		uint32_t drive = layers->drive_of[i];

		targets[i] = drive == run->newest->n_drives ? NULL : run->targets[drive];
		if (targets[i] != NULL)
			out[i] = (struct reader_layer){run->newest->drives[drive].size_bytes,
						       layers->n_left[drive], &layers->held[drive]};
	}
	return 0;
}

static int write_link(const struct run *run, struct opened_archive *opened, unsigned link,
		      struct error *err)
{
	uint32_t n = opened->archive->n_drives;
	struct target **targets = calloc((size_t)n + 1, sizeof(struct target *));
	struct reader_layer *layers = calloc((size_t)n + 1, sizeof(*layers));
	struct reader_job job = {
		.n_threads = run->n_threads,
		.targets = targets,
		.layers = layers,
		.in = opened->input,
		.seek_in = opened->input,
		.counts = run->counts,
		.rollback = run->chain->rollback,
	};
	struct progress_view view = archive_view(opened, run->counts);
	uint64_t read_bytes = run->counts->read_bytes;
	int code = targets == NULL || layers == NULL ? fail_memory(err) : 0;

	if (code == 0)
		code = assign(run, opened->archive, targets, layers, err);
	if (code == 0) {
		view.part = link;
		view.n_parts = run->chain->chain.n;
		watcher_begin(run->watcher, &view);
		code = reader_run(opened->reader, &job, err);
		watcher_end(run->watcher, code == 0);
		run->counts->read_bytes += read_bytes;
	}
	free(targets);
	free(layers);
	return code;
}

int restore_chain_write(struct restore_chain *chain, struct opened_archive *newest,
			struct target *const *targets, unsigned n_threads,
			struct reader_counts *counts, const struct watcher *watcher,
			struct error *err)
{
	struct run run = {chain, newest->archive, targets, n_threads, counts, watcher};

	for (unsigned i = 0; i < chain->chain.n; i++) {
		struct opened_archive older = {0};
		int code = i == 0 ? 0 : chain_open(&older, &chain->chain, i, chain->rate, err);

		if (code == 0)
			code = write_link(&run, i == 0 ? newest : &older, i, err);
		if (code != 0 && i > 0)
			error_in_file(err, chain->chain.links[i].path);
		archive_close(&older);
		TRY(code);
	}
	for (uint32_t i = 0; i < newest->archive->n_drives; i++)
		if (targets[i] != NULL)
			TRY(layers_check_drive(&chain->layers, i, newest->name, false, err));
	return 0;
}

void restore_chain_free(struct restore_chain *chain)
{
	layers_close(&chain->layers);
	chain_free(&chain->chain);
}
