/*
 * A qcow2 image without data, that has one persistent bitmap: how bitmaps get into a running QEMU,
 * and out of it. Source: QEMU's docs/interop/qcow2, "Header", "Bitmaps extension", "Bitmap
 * directory entry", "Bitmap table".
 *
 * The file, in clusters of 64 KiB:
 *
 *   0     header, with the extension      3        directory of bitmaps: one entry
 *   1     refcount table: one entry       4        table of the bitmap
 *   2     the refcount block              5 ...    L1 table, zeros, and then the bits
 */
#ifndef FORMAT_QCOW2_BUILD_H
#define FORMAT_QCOW2_BUILD_H

#include "format/format.h"

#define QCOW2_BUILD_BITS    16u /* of a cluster, and of what a bit of the bitmap is for */
#define QCOW2_BUILD_CLUSTER (1u << QCOW2_BUILD_BITS)
#define QCOW2_BUILD_PLACE   5u	     /* clusters of metadata that are not zeros */
#define QCOW2_BUILD_NAME    "vmabak" /* of the bitmap */

struct qcow2_build {
	uint64_t size_bytes; /* of the drive */
	uint32_t l1_entries;
	uint32_t n_parts;      /* of the bitmap, each a cluster of bits */
	uint32_t n_stored;     /* of which are not all clear */
	uint32_t first_stored; /* the cluster that the first of them is in; the others follow */
};

/* ERR_UNSUPPORTED: the drive is too large for a bitmap, or has no bytes. */
int qcow2_build_plan(struct qcow2_build *out, uint64_t size_bytes, struct error *err);
/* The first QCOW2_BUILD_PLACE clusters. stored: of each part of the bitmap, whether it is; sets the
 * numbers of these. */
void qcow2_build(struct qcow2_build *plan, const bool *stored, uint8_t *out);
/* Where the n-th stored part lies in the file. */
uint64_t qcow2_build_part(const struct qcow2_build *plan, uint32_t n);
uint64_t qcow2_build_file_bytes(const struct qcow2_build *plan);

#endif
