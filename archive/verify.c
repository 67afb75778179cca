#include "archive/verify.h"

#include "base/watcher.h"
#include "reader/reader.h"

int verify_run(struct opened_archive *opened, const struct verify_options *options, unsigned i,
	       const struct watcher *watcher, struct error *err)
{
	struct reader_counts counts = {0};
	struct reader_job job = {
		.n_threads = threads_wanted(options->threads),
		.scrub = options->quick,
		.counts = &counts,
	};
	struct progress_view view = {
		.label = opened->name,
		.total_bytes = archive_drive_bytes(opened->archive),
		.covered_bytes = &counts.covered_bytes,
		.data_bytes = &counts.data_bytes,
		.archive_bytes = &counts.read_bytes,
		.part = i,
		.n_parts = options->archives.n,
	};
	int code;

	watcher_begin(watcher, &view);
	code = reader_run(opened->reader, &job, err);
	watcher_end(watcher, code == 0);
	return code;
}
