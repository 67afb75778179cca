/*
 * grub-fstest, one run. Private to device/.
 */
#ifndef DEVICE_GRUB_H
#define DEVICE_GRUB_H

#include "base/error.h"

#define GRUB_WORDS 5u

struct grub_run {
	const char *image;	  /* the drive */
	const char *const *words; /* the command, GRUB_WORDS, NULL at the end */
	uint64_t most_bytes;	  /* of its output; more is an error */
	/* Takes its output; 0 or errno. */
	int (*take)(void *context, const void *bytes, size_t n);
	void *context;
};

/* Waits for its end. An error says what it said, in its words. 1: it was ended, as its output is
 * longer. ERR_UNSUPPORTED: it is not installed. */
int grub_run(const struct grub_run *run, struct error *err);

#endif
