/* A view of an input that moves forward: bytes can be examined any number of times before they are
 * skipped. Private to reader/. */
#ifndef READER_WINDOW_H
#define READER_WINDOW_H

#include "format/format.h"

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

#endif
