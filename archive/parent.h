/*
 * The parent that a new archive is compared with, by its sums.
 */
#ifndef ARCHIVE_PARENT_H
#define ARCHIVE_PARENT_H

#include "archive/in_use.h"
#include "archive/sums_find.h"
#include "format/drive_marks.h"
#include "writer/writer.h"

struct parent {
	struct in_use held; /* until the new archive has its name */
	struct found_sums found;
	uint32_t *drive_of; /* owned: of each drive of the new archive, the number in the parent */
	struct drive_mark *marks; /* owned: of its drives */
	struct parent_sums sums;  /* for the writer */
};

/* names: an archive, whose parents are found, or a sums file; and as for chain_find. Fills in the
 * parent's uuid and checkpoint in archive, whose drives are known and do not change any more.
 * output: the new archive's name, which must not be that of an archive it needs. *out can be closed
 * even after a failure; it must stay where it is, and the archive's checkpoint borrows from it. */
int parent_open(struct parent *out, const struct strings *names, struct archive *archive,
		const char *output, const struct watcher *watcher, struct error *err);
/* What one drive of an archive, or of a sums file, was: there is no new archive, and it is drive 0
 * for what follows. drive: its name, or NULL if there is but one. Otherwise as parent_open. */
int parent_open_drive(struct parent *out, const struct strings *names, const char *drive,
		      const struct watcher *watcher, struct error *err);
/* As parent_open for drives that are only compared: archive has nothing but these, and nothing is
 * filled in there. */
int parent_compare(struct parent *out, const struct strings *names, const struct archive *archive,
		   const struct watcher *watcher, struct error *err);
/* Copies the sums of clusters that both have. Any thread. */
int parent_copy_sums(const struct parent *parent, struct sums_writer *to, uint32_t drive,
		     uint64_t cluster, uint64_t n_clusters, struct error *err);
/* Bytes of that drive of the new archive in the parent; 0: the parent lacks it. */
uint64_t parent_drive_size(const struct parent *parent, uint32_t drive);
void parent_close(struct parent *parent);

#endif
