#include "archive/restore_chain.h"

#include "archive/match.h"
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

int restore_chain_find(struct restore_chain *out, const struct opened_archive *opened,
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
	out->n_drives = opened->archive->n_drives;
	out->newer = calloc((size_t)out->n_drives + 1, sizeof(*out->newer));
	out->n_left = malloc(((size_t)out->n_drives + 1) * sizeof(*out->n_left));
	if (out->newer == NULL || out->n_left == NULL)
		return fail_memory(err);
	memset(out->n_left, 0xff, out->n_drives * sizeof(*out->n_left));
	return 0;
}

/* What a link has of the newest archive's drives, and leaves to the next link. */
static void narrow(const struct run *run, const struct archive *link, const uint32_t *drive_of,
		   uint64_t *n_held)
{
	uint64_t *n_left = run->chain->n_left;

	for (uint32_t i = 0; i < link->n_drives; i++)
		n_held[drive_of[i]] = clusters_of(link->drives[i].size_bytes);
	for (uint32_t i = 0; i < run->newest->n_drives; i++)
		n_left[i] = n_left[i] < n_held[i] ? n_left[i] : n_held[i];
}

/* What the drives of a link are in the newest archive. */
static int assign(const struct run *run, const struct archive *link, struct target **targets,
		  struct reader_layer *layers, struct error *err)
{
	uint32_t n = run->newest->n_drives;
	uint32_t *drive_of = calloc((size_t)link->n_drives + 1, sizeof(*drive_of));
	uint64_t *n_held = calloc((size_t)n + 1, sizeof(*n_held));
	int code = drive_of == NULL || n_held == NULL
			   ? fail_memory(err)
			   : match_drives(link, run->newest, drive_of, err);

	if (code == 0)
		narrow(run, link, drive_of, n_held);
	for (uint32_t i = 0; code == 0 && i < link->n_drives; i++) {
		uint32_t drive = drive_of[i];

		targets[i] = drive == n ? NULL : run->targets[drive];
		if (targets[i] != NULL)
			layers[i] = (struct reader_layer){run->newest->drives[drive].size_bytes,
							  run->chain->n_left[drive],
							  &run->chain->newer[drive]};
	}
	free(drive_of);
	free(n_held);
	return code;
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
	const struct archive *archive = newest->archive;

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
	free(chain->n_left);
	chain_free(&chain->chain);
}
