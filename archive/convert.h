/*
 * Writing an archive again, in another format or compression. What the format cannot carry is left
 * out with a warning.
 */
#ifndef ARCHIVE_CONVERT_H
#define ARCHIVE_CONVERT_H

#include "archive/merge.h"

struct convert {
	struct opened_archive opened;
	struct in_use held;   /* the same */
	struct create create; /* borrows texts of the opened archive */
	struct merge merge;
	const struct create *made; /* the one that wrote the archive */
};

/* names: of the archive that is read, and of its parents, which are also looked for in folders:
 * then, or if a VMA is to be made of an increment, the chain is merged. options->rate limits the
 * output. Confines the process once all is open. *out can be closed even after a failure. */
int convert_run(struct convert *out, const struct strings *names, const struct strings *folders,
		const struct create_options *options, const struct watcher *watcher,
		struct error *err);
void convert_close(struct convert *convert);

#endif
