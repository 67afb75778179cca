/*
 * What a head says of each drive beside its name and size: the token of its instant, and what was
 * proved of it. Source: spec/vmab.md, sections 4.2 to 4.4.
 *
 * Readers of data need none of it: it is outside the audit set, and what is wrong in it counts as
 * not there.
 */
#ifndef FORMAT_DRIVE_MARKS_H
#define FORMAT_DRIVE_MARKS_H

#include "format/format.h"

#define TOKEN_MAX	   1024u
#define PROOF_GROUP	   16u /* clusters that are proved together */
#define PROOF_CIRCLE	   (UINT64_C(1) << 32)
#define PROOF_POINT(group) ((uint32_t)(group)*UINT32_C(0x9e3779b1))

enum proof_verdict {
	PROOF_NONE = 0,	 /* no list was used: the drive was read in full */
	PROOF_RIGHT = 1, /* the list was used */
	PROOF_WRONG = 2, /* it was found wrong, and the drive was read in full */
};

struct drive_proof {
	enum proof_verdict verdict;
	uint32_t slices;   /* 1/slices of the circle was to be proved; 0: nothing */
	uint32_t from;	   /* the first point of the arc that was proved */
	uint64_t n_points; /* at most PROOF_CIRCLE */
	int64_t since_ns;  /* the instant of the first archive that counts */
	/* Clusters: */
	uint64_t n_listed;    /* that the list named, or that had to count as changed */
	uint64_t n_unchanged; /* taken as unchanged */
	uint64_t n_right;     /* of these: read, and as the parent has them */
	uint64_t n_wrong;     /* of these: read, and not so */
};

struct drive_mark {
	struct text token; /* length 0: none */
	struct drive_proof proof;
	uint64_t left_out_bytes; /* free space that reads as zeros, whatever the drive has there */
};

/* Whether this is one of the names that the token has for its instant, each of which is a line. */
bool drive_mark_names(const struct drive_mark *mark, const char *name);

/* Those of the archive's drives, in its records: n_drives of them, which borrow from the head. */
void drive_marks_read(const struct archive *archive, struct drive_mark *out);

/* The records for these marks, for archive->records: their size, and their bytes. Tokens have at
 * most TOKEN_MAX bytes and no NUL. */
uint64_t drive_marks_size(const struct drive_mark *marks, uint32_t n_drives);
void drive_marks_build(const struct drive_mark *marks, uint32_t n_drives, uint8_t *out);

/* Copies the tokens and proofs of well-formed records; returns their size. out: NULL, or zeros. */
uint64_t drive_marks_copy(struct text records, uint8_t *out);

/* The clusters whose group has a point within n points from this one on. */
static inline bool proof_covers(uint32_t from, uint64_t n_points, uint64_t cluster)
{
	return (uint32_t)(PROOF_POINT(cluster / PROOF_GROUP) - from) < n_points;
}

/* The points to prove for 1/slices of the circle. */
static inline uint64_t proof_share(uint32_t slices)
{
	return slices == 0 ? 0 : (PROOF_CIRCLE + slices - 1) / slices;
}

/* The point after the arc. */
static inline uint32_t proof_end(const struct drive_proof *proof)
{
	return (uint32_t)(proof->from + proof->n_points);
}

#endif
