/*
 * What the parts of salvage share. Private to reader/.
 *
 * salvage.c goes from section to section; salvage_head.c finds where to begin, and what to know of
 * the archive when its head is not there.
 */
#ifndef READER_SALVAGE_PARTS_H
#define READER_SALVAGE_PARTS_H

#include "reader/salvage.h"
#include "reader/window.h"

#define SALVAGE_STEP (1u << 20) /* bytes searched at once */

struct salvage {
	struct window window;
	struct archive *archive;
	struct archive *candidate; /* for heads that may prove bad */
	bool imagined;		   /* archive is one without a head */
	const uint8_t *uuid;	   /* borrowed: the one wanted, or NULL: any */
	enum salvage_head head;
	uint64_t begin; /* position of what was found first */
	bool surveying;
	bool whole_head;	     /* the survey has found one */
	uint64_t spent;		     /* bytes whose checksum was made in vain */
	uint32_t n_copied;	     /* bytes of the head copy */
	uint32_t n_checked, n_plain; /* extents of a VMA without head, by whether they have sums */
	char *names;		     /* owned: of drives without a head */
	struct error refused; /* code != 0: a head that proves good, of a kind not known here */
	const struct salvage_sink *sink;
	struct salvage_totals totals;
	_Atomic uint64_t read_at;
	struct section section, next;
	uint64_t sizes[DRIVES_MAX]; /* bytes, as far as a survey saw clusters */
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t scratch[CLUSTER_SIZE];
	uint32_t raw_used; /* bytes of raw that were ever decoded to */
	uint8_t raw[PAYLOAD_SIZE_MAX];
	uint8_t head_bytes[HEAD_SIZE_MAX];
	uint8_t copy[HEAD_SIZE_MAX];
};

/* Whether there is budget for the checksum of so many bytes, which may be made in vain. */
bool salvage_may_spend(struct salvage *s, uint64_t n_bytes);
/* How many bytes of the window, at most wanted, can be searched for beginnings: behind them a whole
 * header can be seen, or the end is. */
size_t salvage_searchable(struct salvage *s, size_t wanted);
/* The next offset, from this one on, where a head or section may begin; at least end when there is
 * none before. */
size_t salvage_find_landmark(struct salvage *s, size_t from, size_t end);
/* Whether a section of this archive, wherever it says that it lies, begins at this offset. */
bool salvage_check_section(struct salvage *s, size_t at, struct section *out);
/* From header to header until the end, or with surveying until a head is met. */
int salvage_walk(struct salvage *s, struct error *err);

/* For a survey. Whether a head of this archive is at this offset; it is the archive's then. */
bool salvage_meet_head(struct salvage *s, size_t at);
void salvage_note_extent(struct salvage *s);
/* A part of the head copy; the head is known with the last of them. */
void salvage_note_head_copy(struct salvage *s, const uint8_t *payload);

#endif
