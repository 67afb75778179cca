/*
 * What lies in a folder of chains: archives of machines by their names (archive/folder_name.h), and
 * any other VMAB archive, which may stand on one of them.
 */
#ifndef ARCHIVE_FOLDER_H
#define ARCHIVE_FOLDER_H

#include "archive/folder_name.h"
#include "format/format.h"

#include <sys/stat.h>

enum folder_state {
	FOLDER_WHOLE,	/* it and all that it stands on end properly */
	FOLDER_BROKEN,	/* it is damaged or incomplete itself */
	FOLDER_LACKING, /* something that it stands on is not there, or broken: all copies of it */
};

struct folder_archive {
	char *file;			   /* owned: its name in the folder */
	char machine[NAME_MAX_LENGTH + 1]; /* "": its name is of no machine */
	int64_t time_s;			   /* of its name */
	enum folder_state state;
	char why[200];	 /* it is broken; "": it is not */
	bool head_known; /* false: what it stands on is not known, if it is an archive at all */
	uint8_t uuid[UUID_SIZE], parent[UUID_SIZE]; /* zero if it is not */
	int64_t created_ns;
	uint64_t drives_bytes, data_bytes, stored_bytes;
	bool has_sums, is_protected;
	struct stat as_read; /* the file then */
};

struct folder {
	const char *path; /* borrowed: of a folder, or of a store's prefix, as for shelf_open */
	/* Owned: by machine, and of one machine by time, oldest first; those of no machine first.
	 */
	struct folder_archive *archives;
	unsigned n;
	struct folder_archive *others; /* owned: files and folders that are none of all this */
	unsigned n_others;
};

/* Reads the heads and ends of all archives there, which take part in no lock: what vanishes
 * meanwhile is left out. before: the same folder read earlier, of which is taken what did not
 * change since; or NULL. Free *out even after an error. */
int folder_read(struct folder *out, const char *path, const struct folder *before,
		struct error *err);
void folder_free(struct folder *folder);
/* Reads it again, where it changed. */
int folder_read_again(struct folder *folder, struct error *err);

/* Whether the archive stands on nothing. */
bool folder_is_full(const struct folder_archive *archive);
/* Whether one stands on the other, by their uuids. */
bool folder_is_parent(const struct folder_archive *parent, const struct folder_archive *child);
/* The first archive from this one on that is of another machine, or n. */
unsigned folder_next_machine(const struct folder *folder, unsigned i);

#endif
