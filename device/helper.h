/*
 * What programs that read file systems have in common. Private to device/.
 */
#ifndef DEVICE_HELPER_H
#define DEVICE_HELPER_H

#include "base/error.h"

struct child;

/* The thread cannot open anything but what these programs need, what is in this folder, and change
 * nothing but what is in the other, which may be NULL. */
int helper_confine(const char *folder, const char *into, struct error *err);
/* Of memory, and no core. */
void helper_limit(const struct child *child);
/* Some of its standard output, up to n bytes. *got 0: it has closed it. An error after five minutes
 * of silence, as an archive may be far away. */
int helper_read(const struct child *child, const char *program, void *to, size_t n, size_t *got,
		struct error *err);
/* Adds to an owned text, and ends it with a NUL. 0 or errno. */
int helper_append(char **text, size_t *n, size_t *room, const void *bytes, size_t n_bytes);

#endif
