/*
 * A folder of a file system with all that is below it. Private to device/.
 */
#ifndef DEVICE_WALK_H
#define DEVICE_WALK_H

#include "device/entry.h"

struct tree;
struct watcher;

struct walk_counts {
	uint64_t n_files, n_folders, n_links; /* n_files: also further names of one */
	uint64_t bytes;
	uint64_t n_failed; /* could not be read, or made; each was told */
	uint64_t n_left;   /* devices and the like, or unknown; each was told */
	uint64_t n_owners; /* that could not be set */
};

#define WALK_NAMES ((size_t)1 << 20)

struct walk_options {
	const struct entry_reader *reader;
	struct tree *tree;
	const char *place;   /* of the drive, for messages: "root:gpt1" */
	uint64_t most_bytes; /* of one file */
	size_t most_names;   /* of all folders on the way; 0: WALK_NAMES */
	const struct watcher *watcher;
};

/* from: what is known of the folder at path. What cannot be read is told as a warning and counted,
 * and the rest goes on; an error: nothing more can be done. */
int walk_folder(struct walk_counts *counts, const struct walk_options *options, const char *path,
		const struct file_entry *from, struct error *err);
/* One file; *counts as far as its owner. */
int walk_file(struct walk_counts *counts, const struct entry_reader *reader, const char *path,
	      const struct file_entry *entry, int fd, struct error *err);

#endif
