/* A view of an input that moves forward: bytes can be looked at, again and again, before they are
 * let go. Private to reader/. */
#ifndef READER_WINDOW_H
#define READER_WINDOW_H

#include "format/format.h"

#define WINDOW_SIZE (HEAD_SIZE_MAX + (2u << 20)) /* bytes that can be seen at once */

struct input;

struct window {
	struct input *in; /* borrowed */
	uint8_t *bytes;	  /* owned, WINDOW_SIZE */
	size_t begin, end;
	uint64_t at;	  /* position in the input of what is at begin */
	bool ended;	  /* nothing follows what is there */
	struct error why; /* code != 0: it ended because it could not be read further */
};

int window_open(struct window *out, struct error *err);
void window_close(struct window *window);
/* From the beginning of another input, or of the same one opened again. */
void window_start(struct window *window, struct input *in);

/* Sees to it that n bytes, at most WINDOW_SIZE, can be seen, and returns how many can: fewer only
 * at the end. A place where reading fails is the end. Moves what window_bytes returned. */
size_t window_fill(struct window *window, size_t n);
static inline const uint8_t *window_bytes(const struct window *window)
{
	return window->bytes + window->begin;
}
/* Lets go of n bytes that are there. */
void window_skip(struct window *window, size_t n);

#endif
