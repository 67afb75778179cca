/*
 * A limit of time for calls into a library that have none, as those of libvirt: they wait for
 * another program, and cannot be made to come back.
 */
#ifndef MACHINE_LIBVIRT_DEADLINE_H
#define MACHINE_LIBVIRT_DEADLINE_H

#include "base/error.h"

struct watcher;

/* From here on deadlines count: when one has passed, the watcher is told to give up. Without this,
 * as in the guards, which wait for as long as it takes, they do not. The watcher is borrowed until
 * the process ends. */
int deadlines_start(const struct watcher *watcher, struct error *err);
/* A call to who begins; one at a time. */
void deadline_begin(const char *who, int seconds);
void deadline_end(void);

#endif
