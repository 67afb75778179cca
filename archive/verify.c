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
		.in = opened->input,
	};
	struct progress_view view = archive_view(opened, &counts);
	int code;

	view.part = i;
	view.n_parts = options->archives.n;
	watcher_begin(watcher, &view);
	code = reader_run(opened->reader, &job, err);
	watcher_end(watcher, code == 0);
	return code;
}
