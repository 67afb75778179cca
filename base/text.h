/*
 * Texts: borrowed bytes, untrusted text made harmless, lists of words.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not ended by a NUL. */
struct text {
	const uint8_t *bytes;
	uint32_t length;
};

/* The texts are borrowed; the array is owned. */
struct strings {
	const char **items;
	unsigned n;
};

/* One text, and after it those of two lists, of which either may be NULL. False: no memory. */
bool strings_join(struct strings *out, const char *first, const struct strings *then,
		  const struct strings *last);

/* Untrusted text made harmless for a terminal or a message: printable ASCII as it is, backslash
 * and all else as \xNN; cut with "..." when out is too small. Always ends in NUL. Returns out. */
char *escape_text(char *out, size_t out_size, const uint8_t *bytes, size_t length);

/* A text made as by printf. Owned; NULL: no memory. */
char *text_make(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
