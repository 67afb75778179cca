/*
 * A limit of time for calls into a library that have none, such as those of libvirt: they wait for
 * another program and cannot be made to come back.
 */
#ifndef MACHINE_LIBVIRT_DEADLINE_H
#define MACHINE_LIBVIRT_DEADLINE_H

#include "base/error.h"

struct watcher;

/* From here on deadlines count: once one has passed, the watcher's give_up is called. Without this,
 * as in the guard process, which waits for as long as it takes, they do not. A second call does nothing. */
int deadlines_start(const struct watcher *watcher, struct error *err);
/* A call to that program begins; one at a time. */
void deadline_begin(const char *program, int seconds);
void deadline_end(void);

#endif
