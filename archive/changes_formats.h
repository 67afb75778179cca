/*
 * The formats of change lists.
 */
#ifndef ARCHIVE_CHANGES_FORMATS_H
#define ARCHIVE_CHANGES_FORMATS_H

#include "format/changelist.h"

/* What a user must say of a list, as bits. */
enum { CHANGES_NEED_BLOCK = 1, CHANGES_NEED_PATH = 2, CHANGES_NEED_SIZE = 4 };

struct changes_format {
	const char *name;
	int (*read)(struct changelist *list, struct error *err);
	/* Whether a list begins like one; NULL: nothing shows it. bytes end in a NUL. */
	bool (*is)(const char *bytes, size_t n);
	unsigned needs;
	bool of_use; /* it tells what is in use, not what changed */
};

/* By name; NULL: none. */
const struct changes_format *changes_format_find(const char *name);
/* By what the list begins with. ERR_DAMAGED: by nothing that is known. */
int changes_format_recognise(const struct changes_format **out, struct changelist *list,
			     struct error *err);
/* The same of maps of what is in use: a bmap, or else one of ddrescue. */
int changes_format_recognise_map(const struct changes_format **out, struct changelist *list,
				 struct error *err);
/* "own nbdinfo ...": all names. */
const char *changes_format_names(char *out, size_t size);

#endif
