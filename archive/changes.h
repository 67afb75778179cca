/*
 * What may have changed in one drive since the parent's instant, as whoever recorded it says. It
 * may be wrong: it only saves reading. Formats: format/changelist.h.
 */
#ifndef ARCHIVE_CHANGES_H
#define ARCHIVE_CHANGES_H

#include "base/clusterset.h"

struct changes {
	struct cluster_set set; /* rounded outward to clusters */
	uint64_t n_clusters;	/* in the set */
	char *since, *until; /* owned; tokens of the two instants; NULL: the list does not tell */
};

/* what: LIST[,format=F][,block=SIZE][,object=N][,path=PATH], LIST a file, a device or "-", standard
 * input. size_bytes: of the drive now. The text names the list when it is refused: ERR_DAMAGED or
 * ERR_INCOMPLETE for what is in it, ERR_USAGE for what was said of it. Free *out in any case. */
int changes_read(struct changes *out, const char *what, uint64_t size_bytes, struct error *err);
void changes_free(struct changes *changes);

/* The same of a map of what a file system uses, of ddrescue's format or a bmap: what is in use is
 * in the set. ERR_DAMAGED also if nothing is. */
int changes_read_used(struct changes *out, const char *what, uint64_t size_bytes,
		      struct error *err);

/* Another range of bytes. */
int changes_add(struct changes *changes, uint64_t offset, uint64_t length, struct error *err);
/* A drive that had old_bytes and has new_bytes: all from the smaller size on has changed. */
int changes_resized(struct changes *changes, uint64_t old_bytes, uint64_t new_bytes,
		    struct error *err);

#define CHANGES_ANY_SIZE ((uint64_t)INT64_MAX) /* the list has to tell it */

struct changes_told {
	uint64_t size_bytes;
	char since[256], until[256]; /* empty: it does not tell */
};

enum changes_kind { CHANGES_ANY, CHANGES_CHANGED, CHANGES_USED };

/* As changes_read, for each range just as the list has it, be it of changes or of what is in use.
 */
int changes_scan(struct changes_told *out, const char *what, enum changes_kind kind,
		 uint64_t size_bytes,
		 int (*range)(void *context, uint64_t offset, uint64_t length, struct error *err),
		 void *context, struct error *err);

#endif
