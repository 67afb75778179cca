/*
 * What a qcow2 image tells of the changes in it: by a bitmap that QEMU keeps in it, or by what its
 * internal snapshots do not share.
 *
 * Tokens name instants. Part of each is the state of the files below the image, because a change of
 * one of these is in no bitmap and no table.
 */
#ifndef ARCHIVE_CHANGES_QCOW2_H
#define ARCHIVE_CHANGES_QCOW2_H

#include "archive/changes.h"
#include "drive/qcow2file.h"

/* Of all that was written since the bitmap was made. ERR_UNSUPPORTED, ERR_SYSTEM: the bitmap cannot
 * be believed. No tokens. *out is empty after a failure. */
int changes_of_bitmap(struct changes *out, struct qcow2_file *file,
		      const struct qcow2_bitmap *bitmap, struct error *err);
/* Of what differs between two snapshots; to NULL: between one and the drive as it is now. With
 * tokens, but for now. */
int changes_of_snapshots(struct changes *out, struct qcow2_file *file,
			 const struct qcow2_snapshot *from, const struct qcow2_snapshot *to,
			 struct error *err);

/* Owned by the caller. */
int snapshot_token(const struct qcow2_file *file, const struct qcow2_snapshot *snapshot, char **out,
		   struct error *err);
int bitmap_token(const struct qcow2_file *file, const char *name, char **out, struct error *err);

#endif
