/*
 * A limit of time for calls into a library that have none, as those of libvirt: they wait for
 * another program, and cannot be made to come back.
 */
#ifndef MACHINE_LIBVIRT_DEADLINE_H
#define MACHINE_LIBVIRT_DEADLINE_H

#include "base/error.h"

struct report;

/* From here on deadlines count: when one has passed, the program is given up. Without it, as in the
 * guards, which wait for as long as it takes, they do not. */
int deadlines_start(struct report *report, struct error *err);
/* A call to who begins; one at a time. */
void deadline_begin(const char *who, int seconds);
void deadline_end(void);

/* Ends the program with an error, as a signal would: a thread that cannot be had back holds what an
 * orderly end needs. */
_Noreturn void give_up(struct report *report, const struct error *why);

#endif
