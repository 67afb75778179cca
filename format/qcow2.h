/*
 * What a qcow2 image says of itself: header, persistent bitmaps, internal snapshots, L2 entries.
 * Source: QEMU's docs/interop/qcow2.
 *
 * Bytes to checked values, without I/O or memory of its own. All integers are big-endian. Texts are
 * borrowed from the bytes. Places in errors are byte positions of the file. ERR_UNSUPPORTED: a
 * feature under which what is here proves nothing.
 */
#ifndef FORMAT_QCOW2_H
#define FORMAT_QCOW2_H

#include "format/format.h"

#define QCOW2_HEAD_MAX	65536u		      /* bytes of the file that can be its head */
#define QCOW2_TABLE_MAX (4u << 20)	      /* bytes of a directory of bitmaps or of snapshots */
#define QCOW2_L1_MAX	(4u << 20)	      /* entries: QEMU's limit */
#define QCOW2_BITS_MAX	(UINT64_C(512) << 20) /* bytes of a bitmap: QEMU's limit */

struct qcow2_l1 {
	uint64_t at; /* byte position in the file, as all that are called so */
	uint32_t n_entries;
};

struct qcow2_head {
	unsigned version;
	unsigned cluster_bits;
	uint64_t file_bytes;
	uint64_t size_bytes; /* of the drive */
	bool extended_l2;
	struct text backing;	    /* its name; empty: none */
	struct text backing_format; /* empty: not said */
	struct qcow2_l1 l1;	    /* of the drive as it is now */
	uint32_t n_snapshots;
	uint64_t snapshots_at;
	uint32_t n_bitmaps; /* 0: none, or none that can be believed */
	uint32_t bitmaps_bytes;
	uint64_t bitmaps_at;
	bool bitmaps_outdated; /* a program that does not know of them has written since */
};

/* bytes: the first n of the file, all of them or QCOW2_HEAD_MAX. Images that were not closed in
 * order, with an external data file, or with features that are not known are ERR_UNSUPPORTED. */
int qcow2_head_parse(const uint8_t *bytes, size_t n, uint64_t file_bytes, struct qcow2_head *out,
		     struct error *err);

/* ---- bitmaps ---- */

enum { QCOW2_BITMAP_IN_USE = 1, QCOW2_BITMAP_AUTO = 2, QCOW2_BITMAP_EXTRA = 4 };

struct qcow2_bitmap {
	struct text name;
	uint64_t table_at;
	uint32_t n_entries; /* of its table: each is a cluster of bits */
	uint32_t flags;
	uint32_t extra_bytes;
	uint8_t type;
	uint8_t granularity_bits;
	uint64_t at; /* of the entry itself */
};

/* The entry at *at of the directory, which then is the end of it. */
int qcow2_bitmap_parse(const struct qcow2_head *head, const uint8_t *directory, uint32_t *at,
		       struct qcow2_bitmap *out, struct error *err);
/* Whether it tells all that was written since it was made: sound, recording, of the drive's size.
 */
int qcow2_bitmap_check(const struct qcow2_head *head, const struct qcow2_bitmap *bitmap,
		       struct error *err);
/* An entry of its table. *at: where its cluster of bits lies; 0: all of them are *set. */
int qcow2_bits_parse(const struct qcow2_head *head, uint64_t place, const uint8_t entry[8],
		     uint64_t *at, bool *set, struct error *err);
/* How many of the n_bits bits from this one on are like it; *set: they are set. */
uint32_t qcow2_bits_run(const uint8_t *bytes, uint32_t bit, uint32_t n_bits, bool *set);

/* ---- internal snapshots ---- */

struct qcow2_snapshot {
	struct text id, name;
	uint32_t date_s, date_ns;
	uint64_t clock_ns; /* the machine had run */
	uint64_t size_bytes;
	struct qcow2_l1 l1;
	uint64_t at; /* of the entry itself */
};

/* The entry at *at of n bytes of the table, which then is the end of it. */
int qcow2_snapshot_parse(const struct qcow2_head *head, const uint8_t *table, uint32_t n,
			 uint32_t *at, struct qcow2_snapshot *out, struct error *err);

/* ---- L1 and L2 ---- */

uint32_t qcow2_cluster(const struct qcow2_head *head); /* bytes */
/* Clusters that one L2 table is for. */
uint32_t qcow2_l2_entries(const struct qcow2_head *head);
/* Where the L2 table of an L1 entry lies; 0: there is none. */
int qcow2_l1_parse(const struct qcow2_head *head, uint64_t place, const uint8_t entry[8],
		   uint64_t *at, struct error *err);
/* Whether entry i of two L2 tables leads to other data; NULL: a table that is not there. Holds only
 * if no cluster that both lead to was written since, as with snapshots. */
bool qcow2_l2_differs(const struct qcow2_head *head, const uint8_t *a, const uint8_t *b,
		      uint32_t i);

#endif
