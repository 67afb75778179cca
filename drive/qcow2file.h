/*
 * The file of a qcow2 image, of which only metadata is read: its bitmaps, its snapshots. Nothing
 * must write to it meanwhile, and the caller sees to that.
 *
 * Errors name the file; ERR_UNSUPPORTED and ERR_SYSTEM: what it says is of no use.
 */
#ifndef DRIVE_QCOW2FILE_H
#define DRIVE_QCOW2FILE_H

#include "format/qcow2.h"

struct qcow2_file {
	int fd;
	const char *path; /* borrowed */
	struct qcow2_head head;
	uint8_t *bytes;	    /* owned: of the head */
	uint8_t *directory; /* owned: of the bitmaps; NULL: not read yet */
	uint8_t *snapshots; /* owned, as directory */
	uint32_t snapshots_bytes;
};

/* *out can be closed even after a failure. */
int qcow2_file_open(struct qcow2_file *out, const char *path, struct error *err);
void qcow2_file_close(struct qcow2_file *file);

/* n bytes that must be in the file. */
int qcow2_file_read(const struct qcow2_file *file, uint64_t at, void *to, size_t n,
		    struct error *err);
/* What a function of format/qcow2.h returned, as an error of this file. */
int qcow2_file_fault(const struct qcow2_file *file, struct error *err);

/* The bitmap of that name. 1: found, 0: there is none, negative: an error. */
int qcow2_file_bitmap(struct qcow2_file *file, const char *name, struct qcow2_bitmap *out,
		      struct error *err);
/* Calls back with each bitmap, sound or not. */
int qcow2_file_bitmaps(struct qcow2_file *file,
		       void (*one)(void *context, const struct qcow2_bitmap *bitmap), void *context,
		       struct error *err);
/* The internal snapshot of that id or name: ERR_USAGE if there is none, or more than one. */
int qcow2_file_snapshot(struct qcow2_file *file, const char *name, struct qcow2_snapshot *out,
			struct error *err);

#endif
