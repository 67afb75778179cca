/*
 * A drive whose content another part of the program has, as an archive that is looked into.
 */
#ifndef DRIVE_GIVEN_H
#define DRIVE_GIVEN_H

#include "drive/drive.h"

/* Any thread, several at the same time; ranges lie within the drive; 0 or an errno value. */
struct drive_content {
	/* now: EAGAIN rather than wait. */
	int (*read)(void *context, uint64_t offset, void *to, size_t n, bool now);
	/* As drive_status. */
	int (*status)(void *context, uint64_t offset, uint64_t *n, bool *zero);
	void *context; /* borrowed */
	uint64_t size_bytes;
};

/* Nothing can be written to it. */
int drive_given_open(struct drive **out, const char *name, const struct drive_content *content,
		     struct error *err);

#endif
