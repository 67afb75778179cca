/*
 * Writing an archive again, in another format or compression. What the format cannot carry is left
 * out with a warning.
 */
#ifndef ARCHIVE_CONVERT_H
#define ARCHIVE_CONVERT_H

#include "archive/create.h"
#include "archive/open.h"

struct convert {
	struct opened_archive opened;
	struct create create; /* borrows texts of the opened archive */
};

/* name: of the archive that is read. options->rate limits the output. Confines the process once all
 * is open. *out can be closed even after a failure. */
int convert_run(struct convert *out, const char *name, const struct create_options *options,
		const struct watcher *watcher, struct error *err);
void convert_close(struct convert *convert);

#endif
