/*
 * In the guard process: ends the job that a run has left in libvirt, and removes the checkpoint
 * that it made.
 */
#ifndef MACHINE_LIBVIRT_CLEAN_UP_H
#define MACHINE_LIBVIRT_CLEAN_UP_H

#include "base/error.h"
#include "machine/guard.h"

/* Tries for a quarter of a minute. id: of the run; last: its last word, which tells whether there
 * is a job. */
int libvirt_clean_up(const struct machine_options *options, const char *id, char last,
		     struct error *err);

#endif
