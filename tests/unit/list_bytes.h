/*
 * What feeds a list of changes that lies in memory to its parser, for the unit test and the fuzz
 * target.
 */
#ifndef TESTS_LIST_BYTES_H
#define TESTS_LIST_BYTES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct list_bytes {
	const uint8_t *at;
	size_t left;
	size_t step; /* that come at once */
};

static inline int list_bytes_more(void *context, uint8_t *to, size_t n, size_t *got,
				  struct error *err)
{
	struct list_bytes *bytes = context;

	(void)err;
	*got = n < bytes->left ? n : bytes->left;
	*got = *got < bytes->step ? *got : bytes->step;
	memcpy(to, bytes->at, *got);
	bytes->at += *got;
	bytes->left -= *got;
	return 0;
}

static inline int list_bytes_skip(void *context, uint64_t n, struct error *err)
{
	struct list_bytes *bytes = context;
	size_t part = n < bytes->left ? (size_t)n : bytes->left;

	(void)err;
	bytes->at += part;
	bytes->left -= part;
	return 0;
}

#endif
