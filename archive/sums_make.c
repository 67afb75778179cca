#include "archive/sums_make.h"

#include "archive/layers.h"
#include "base/watcher.h"
#include "reader/input/input.h"
#include "reader/reader.h"

#include <stdlib.h>

/* The newest instant, and what is known of it so far. */
struct instant {
	struct sums_writer *writer;
	struct opened_archive newest;
	struct layers layers;
	struct section *read, *current; /* owned: an extent, and what of it is not superseded */
	uint8_t *stored;		/* owned; PAYLOAD_SIZE_MAX */
	struct reader_counts counts;
	uint64_t n_data;
};

static int begin(struct instant *instant, const struct chain *chain, struct error *err)
{
	TRY(chain_open(&instant->newest, chain, 0, 0, err));
	TRY(layers_open(&instant->layers, instant->newest.archive, err));
	instant->read = malloc(sizeof(*instant->read));
	instant->current = malloc(sizeof(*instant->current));
	instant->stored = malloc(PAYLOAD_SIZE_MAX);
	if (instant->read == NULL || instant->current == NULL || instant->stored == NULL)
		return fail_memory(err);
	return 0;
}

static void end(struct instant *instant)
{
	layers_close(&instant->layers);
	free(instant->read);
	free(instant->current);
	free(instant->stored);
	archive_close(&instant->newest);
}

/* The parts of a slot that no newer link held go into current, which has room for a slot of data
 * alone: runs of zeros are sums already. */
static int take_slot(struct instant *instant, const struct slot *slot, struct error *err)
{
	struct slot *current = &instant->current->slots[instant->current->n_slots];
	uint32_t drive;
	uint64_t n = layers_wanted(&instant->layers, slot, &drive);

	if (n == 0)
		return 0;
	if (slot->mask != 0 && !cluster_set_has(&instant->layers.held[drive], slot->cluster)) {
		*current = *slot;
		current->drive = drive;
		instant->current->n_slots++;
		instant->n_data++;
	}
	return cluster_set_include(&instant->layers.held[drive], slot->cluster, n, err);
}

static int take_extent(struct instant *instant, const struct archive *archive, struct error *err)
{
	TRY(extent_scrub(archive, instant->read, instant->stored, err));
	instant->current->n_slots = 0;
	for (uint32_t i = 0; i < instant->read->n_slots; i++)
		TRY(take_slot(instant, &instant->read->slots[i], err));
	return sums_put(instant->writer, instant->current, err);
}

static int read_link(struct instant *instant, const struct opened_archive *opened,
		     struct error *err)
{
	int code;

	TRY(layers_begin(&instant->layers, opened->archive, err));
	while ((code = reader_next(opened->reader, instant->read, instant->stored, err)) > 0) {
		atomic_store(&instant->counts.place, input_taken(opened->input));
		TRY(take_extent(instant, opened->archive, err));
	}
	return code;
}

/* The newest archive stays open: its head has the names. */
static int read_chain(struct instant *instant, const struct chain *chain,
		      const struct watcher *watcher, struct error *err)
{
	for (unsigned i = 0; i < chain->n; i++) {
		struct opened_archive older = {0}, *opened = i == 0 ? &instant->newest : &older;
		struct progress_view view;
		int code = i == 0 ? 0 : chain_open(&older, chain, i, 0, err);

		if (code == 0) {
			view = archive_view(opened, &instant->counts);
			view.part = i;
			view.n_parts = chain->n;
			watcher_begin(watcher, &view);
			code = read_link(instant, opened, err);
			watcher_end(watcher, code == 0);
		}
		if (code != 0)
			error_in_file(err, chain->links[i].path);
		archive_close(&older);
		TRY(code);
	}
	return 0;
}

static int create_file(struct instant *instant, const struct sums_place *place, struct error *err)
{
	const struct archive *archive = instant->newest.archive;

	return place->path != NULL
		       ? sums_create(&instant->writer, place->path, archive, err)
		       : sums_create_unnamed(&instant->writer, place->folder, archive, err);
}

static int make(struct instant *instant, const struct sums_place *place, const struct chain *chain,
		const struct watcher *watcher, struct error *err)
{
	TRY(begin(instant, chain, err));
	TRY(create_file(instant, place, err));
	TRY(read_chain(instant, chain, watcher, err));
	return layers_check(&instant->layers, instant->newest.name, false, err);
}

int sums_make(struct sums_writer **out, const struct sums_place *place, const struct chain *chain,
	      uint64_t *n_data, const struct watcher *watcher, struct error *err)
{
	struct instant instant = {0};
	int code = make(&instant, place, chain, watcher, err);

	/* The head of the sums is built already: no text of the newest archive is needed any more.
	 */
	*out = instant.writer;
	*n_data = instant.n_data;
	end(&instant);
	return code;
}
