#include "archive/restore_chain.h"

#include "base/clusterset.h"
#include "base/watcher.h"

#include <stdlib.h>
#include <string.h>

/* What is needed for every link. */
struct run {
	struct restore_chain *chain;
	const struct archive *newest;
	struct target *const *targets; /* of the newest archive's drives */
	unsigned n_threads;
	struct reader_counts *counts;
	const struct watcher *watcher;
};

int restore_chain_find(struct restore_chain *out, struct opened_archive *opened,
		       const struct strings *parents, struct error *err)
{
	unsigned n = parents->n + 1;
	const char **names = malloc(n * sizeof(*names));
	int code;

	if (names == NULL)
		return fail_memory(err);
	names[0] = opened->name;
	for (unsigned i = 1; i < n; i++)
		names[i] = parents->items[i - 1];
	code = chain_find(&out->chain, &(struct strings){names, n}, err);
	free(names);
	TRY(code);
	if (strcmp(out->chain.links[0].path, opened->name) != 0) {
		archive_close(opened);
		TRY(chain_open(opened, &out->chain, 0, err));
	}
	out->n_drives = opened->archive->n_drives;
	out->newer = calloc((size_t)out->n_drives + 1, sizeof(*out->newer));
	return out->newer == NULL ? fail_memory(err) : 0;
}

/* What the drives of a link are in the newest archive. */
static void assign(const struct run *run, const struct archive *link, struct target **targets,
		   struct reader_layer *layers)
{
	for (uint32_t i = 0; i < link->n_drives; i++) {
		uint32_t drive = archive_find_drive(run->newest, &link->drives[i].name);

		targets[i] = drive == run->newest->n_drives ? NULL : run->targets[drive];
		if (targets[i] != NULL)
			layers[i] = (struct reader_layer){run->newest->drives[drive].size_bytes,
							  &run->chain->newer[drive]};
	}
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
	};
	struct progress_view view = archive_view(opened, run->counts);
	uint64_t read_bytes = run->counts->read_bytes;
	int code = targets == NULL || layers == NULL ? fail_memory(err) : 0;

	if (code == 0) {
		assign(run, opened->archive, targets, layers);
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
	const struct archive *archive = newest->archive;

	for (unsigned i = 0; i < chain->chain.n; i++) {
		struct opened_archive older = {0};
		int code = i == 0 ? 0 : chain_open(&older, &chain->chain, i, err);

		if (code == 0)
			code = write_link(&run, i == 0 ? newest : &older, i, err);
		if (code != 0 && i > 0)
			error_prefix(err, "its parent %s", chain->chain.links[i].path);
		archive_close(&older);
		TRY(code);
	}
	for (uint32_t i = 0; i < archive->n_drives; i++)
		if (targets[i] != NULL)
			TRY(chain_check_drive(&chain->chain, &archive->drives[i], &chain->newer[i],
					      err));
	return 0;
}

void restore_chain_free(struct restore_chain *chain)
{
	for (uint32_t i = 0; chain->newer != NULL && i < chain->n_drives; i++)
		cluster_set_free(&chain->newer[i]);
	free(chain->newer);
	chain_free(&chain->chain);
}
