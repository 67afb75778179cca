/*
 * Shared by the parts of salvage. Private to reader/.
 *
 * salvage_find.c finds headers; salvage_head.c finds the beginning, and replaces a head that is
 * lost; salvage.c goes from section to section.
 */
#ifndef READER_SALVAGE_PARTS_H
#define READER_SALVAGE_PARTS_H

#include "reader/salvage.h"

/* ---- window.c ----
 *
 * A view of an input that moves forward: bytes can be examined any number of times before they are
 * skipped.
 */

#define WINDOW_SIZE (HEAD_SIZE_MAX + (2u << 20)) /* most bytes visible at once */

struct input;

struct window {
	struct input *in; /* borrowed */
	uint8_t *bytes;	  /* owned, WINDOW_SIZE */
	size_t begin, end;
	uint64_t at;	  /* position of begin in the input */
	bool ended;	  /* the input has no more bytes */
	struct error why; /* code != 0: the read error that ended it */
};

int window_open(struct window *out, struct error *err);
void window_close(struct window *window);
/* From the beginning of another input, or of the same one opened again. */
void window_start(struct window *window, struct input *in);

/* Makes n bytes visible, at most WINDOW_SIZE, and returns how many are: fewer only at the end. A
 * read error counts as the end. Invalidates pointers from window_bytes. */
size_t window_fill(struct window *window, size_t n);
static inline const uint8_t *window_bytes(const struct window *window)
{
	return window->bytes + window->begin;
}
/* Skips n visible bytes. */
void window_skip(struct window *window, size_t n);

/* ---- what all of them see ---- */

#define SALVAGE_STEP (1u << 20) /* bytes searched at once */

struct salvage {
	struct window window;
	struct archive *archive;
	struct archive *candidate; /* a head that is being checked */
	bool imagined;		   /* archive stands for a lost head */
	const uint8_t *uuid;	   /* borrowed: the one wanted, or NULL: any */
	enum salvage_head head;
	uint64_t begin; /* position of the first find */
	bool surveying;
	bool whole_head;	     /* the survey has found one */
	uint64_t spent;		     /* bytes of checksums that proved nothing */
	uint32_t n_copied;	     /* bytes of the head copy */
	uint32_t n_checked, n_plain; /* extents of a VMA without a head: with checksums, without */
	char *names;		     /* owned: of drives without a head */
	struct error refused;	     /* code != 0: an intact head of an unsupported kind */
	const struct salvage_sink *sink;
	struct salvage_totals totals;
	_Atomic uint64_t read_at;
	struct section section, next;
	uint64_t sizes[DRIVES_MAX]; /* bytes, by the clusters that a survey found */
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t scratch[CLUSTER_SIZE];
	uint32_t raw_used; /* bytes of raw that decoding has ever touched */
	uint8_t raw[PAYLOAD_SIZE_MAX];
	uint8_t head_bytes[HEAD_SIZE_MAX];
	uint8_t copy[HEAD_SIZE_MAX];
};

/* ---- salvage_find.c: headers in the window ---- */

/* Whether the budget allows a checksum of this many bytes that may prove nothing. */
bool salvage_may_spend(struct salvage *s, uint64_t n_bytes);
/* How many bytes of the window, at most wanted, can be searched for a beginning: each is followed
 * by a whole header's length, or by the end of the input. */
size_t salvage_searchable(struct salvage *s, size_t wanted);
/* The next offset, from this one on, where a head or section may begin; end or more: none. */
size_t salvage_find_landmark(struct salvage *s, size_t from, size_t end);
/* Whether a section of this archive begins at this offset, whatever position it states. */
bool salvage_check_section(struct salvage *s, size_t at, struct section *out);

/* ---- salvage_head.c: heads, and what replaces them ---- */

/* Empties it, at a cost that depends on its contents only. */
void salvage_clear_archive(struct archive *archive);
/* Moves the window to the first head or section that proves good. */
int salvage_find_begin(struct salvage *s, struct error *err);

/* For a survey. Whether a head of this archive is at this offset; the archive takes it then. */
bool salvage_meet_head(struct salvage *s, size_t at);
void salvage_note_extent(struct salvage *s);
/* A part of the head copy; with the last part the head is known. */
void salvage_note_head_copy(struct salvage *s, const uint8_t *payload);
/* Drives as the extents named them. */
int salvage_imagine_drives(struct salvage *s, struct error *err);

#endif
