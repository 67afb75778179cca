/*
 * Lists of what changed in a drive, as vmabak and other tools write them: bytes in, checked ranges
 * out. Source: spec/changes.md.
 *
 * Whoever reads a list gives its bytes through functions and takes the ranges by another one: a
 * list may come through a pipe, and some carry the data itself.
 */
#ifndef FORMAT_CHANGELIST_H
#define FORMAT_CHANGELIST_H

#include "base/error.h"

/* What must be in memory at once: a line, an element, a page of JSON. */
#define CHANGELIST_WINDOW   (16u << 20)
#define CHANGELIST_ANY_SIZE ((uint64_t)INT64_MAX)
#define CHANGELIST_TOKEN    255u

struct changelist {
	/* The bytes. more: up to n of them, *got is 0 only at the end. skip: n that nobody needs.
	 */
	int (*more)(void *context, uint8_t *to, size_t n, size_t *got, struct error *err);
	int (*skip)(void *context, uint64_t n, struct error *err);
	void *context;
	uint8_t *window; /* CHANGELIST_WINDOW bytes, borrowed */
	size_t at, end;	 /* in the window: not taken yet */
	bool ended;
	uint64_t taken; /* bytes before window + at */
	uint64_t place; /* of the line or record taken last, for messages */

	/* What the user said of the list; 0, NULL: nothing. */
	uint64_t block_bytes, object;
	const char *path;
	uint64_t size_bytes; /* of the drive; CHANGELIST_ANY_SIZE: unknown, until the list tells it
			      */
	struct changelist *older; /* a second list, for formats that are compared; or NULL */

	/* What it holds. Each range lies within the drive. */
	int (*range)(void *range_context, uint64_t offset, uint64_t length, struct error *err);
	void *range_context;
	uint64_t grain; /* bytes that a range may reach past the end of the drive; 0: none */
	/* Tokens of the two instants; empty: it does not tell. */
	char since[CHANGELIST_TOKEN + 1], until[CHANGELIST_TOKEN + 1];
};

/* Each reads a list of one format to its end. ERR_USAGE: the user has to say more of it. */
int changelist_own(struct changelist *list, struct error *err);
int changelist_nbdinfo(struct changelist *list, struct error *err);
int changelist_nbdinfo_text(struct changelist *list, struct error *err);
int changelist_depth(struct changelist *list, struct error *err);
int changelist_overlay(struct changelist *list, struct error *err);
int changelist_thin(struct changelist *list, struct error *err);
int changelist_era(struct changelist *list, struct error *err); /* block_bytes */
int changelist_rbd_json(struct changelist *list, struct error *err);
int changelist_rbd_diff(struct changelist *list, struct error *err);
int changelist_zfs(struct changelist *list, struct error *err); /* object */
int changelist_cow(struct changelist *list, struct error *err);
int changelist_btrfs(struct changelist *list, struct error *err); /* path */
int changelist_xen(struct changelist *list, struct error *err);	  /* size_bytes, as the next two */
int changelist_bitmap_lsb(struct changelist *list, struct error *err); /* block_bytes */
int changelist_bitmap_msb(struct changelist *list, struct error *err); /* block_bytes */
int changelist_vmware(struct changelist *list, struct error *err);
int changelist_csi(struct changelist *list, struct error *err);
int changelist_ddrescue(struct changelist *list, struct error *err); /* size_bytes */
int changelist_fidx(struct changelist *list, struct error *err);     /* older */
int changelist_bmap(struct changelist *list, struct error *err);

/* ---- for these: the bytes ---- */

/* The next n bytes, or as many as there are, and stay. Good until the next call. */
int changelist_peek(struct changelist *list, size_t n, const uint8_t **bytes, size_t *got,
		    struct error *err);
/* Exactly n bytes. ERR_INCOMPLETE: there are fewer. Good until the next call. */
int changelist_take(struct changelist *list, size_t n, const uint8_t **bytes, struct error *err);
int changelist_skip(struct changelist *list, uint64_t n, struct error *err);
/* 1: a line, ended by a NUL in place of its line feed; 0: no more. Good until the next call. */
int changelist_line(struct changelist *list, char **line, struct error *err);
/* ERR_DAMAGED if any byte follows; of text: any but blanks and line feeds. */
int changelist_nothing_more(struct changelist *list, struct error *err);
int changelist_end(struct changelist *list, struct error *err);

/* Takes a number, decimal or 0x, and the blanks around it off the front. */
bool changelist_number(char **text, uint64_t *out);
/* Copies what can be a token; false: it cannot. */
bool changelist_token(char out[CHANGELIST_TOKEN + 1], const char *text);

/* ---- and the ranges ---- */

/* Passes a range on. ERR_DAMAGED: it is not of such a drive. */
int changelist_range(struct changelist *list, uint64_t offset, uint64_t length, struct error *err);
/* The same for n blocks of block bytes. */
int changelist_blocks(struct changelist *list, uint64_t first, uint64_t n, uint64_t block,
		      struct error *err);
/* The list tells how large the drive is. */
int changelist_size(struct changelist *list, uint64_t size_bytes, struct error *err);

#endif
