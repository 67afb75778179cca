/*
 * In the guard process: what a dead run has left in QEMU, and its files.
 */
#ifndef MACHINE_QEMU_CLEAN_UP_H
#define MACHINE_QEMU_CLEAN_UP_H

#include "base/error.h"
#include "machine/options.h"

/* Tries for half a minute. id: of the run, or of a mirror; last: its last word to the guard. */
int qemu_clean_up(const struct machine_options *options, const char *id, char last,
		  struct error *err);

#endif
