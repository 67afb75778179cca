/*
 * The file, or the memory, that takes what is written over the drives of an archive. Its layout:
 * spec/overlay.md.
 */
#ifndef DEVICE_OVERLAY_H
#define DEVICE_OVERLAY_H

#include "drive/overlay.h"
#include "format/format.h"

struct overlay_store {
	const char *path; /* borrowed, or "memory" */
	int fd;
	bool kept, is_new;
	uint64_t present_at; /* of all drives, the bits that outlive the process; 0: nowhere */
	struct overlay_shared shared;
};

/* path "memory": nothing is kept, and at most half of the memory of the host is used. A file that
 * does not exist is made; one that does must be an overlay of this very archive, and has what was
 * flushed to it before; and unless the host was started anew since, what was written. ERR_LOCKED:
 * something else uses it. Close *out even after an error. */
int overlay_store_open(struct overlay_store *out, const char *path, const struct archive *archive,
		       struct error *err);
void overlay_store_close(struct overlay_store *store);
/* Where the drive of that number lies. */
struct overlay_place overlay_store_place(struct overlay_store *store, const struct archive *archive,
					 uint32_t drive);

#endif
