/*
 * Moves a running machine from exports of ours to files that hold the same: its devices get other
 * block nodes, between two of their requests.
 */
#ifndef MACHINE_QEMU_PIVOT_H
#define MACHINE_QEMU_PIVOT_H

#include "base/text.h"
#include "base/error.h"

struct pivot;
struct watcher;

struct pivot_drive {
	const char *name; /* of the export */
	const char *file; /* an absolute path */
};

/* All is borrowed until pivot_close. */
struct pivot_options {
	const char *monitor;	   /* as qmp_open takes it */
	const struct strings *nbd; /* where the exports are: unix:PATH or HOST:PORT */
	const struct pivot_drive *drives;
	unsigned n_drives;
};

/* Finds the device of each drive: ERR_USAGE if the machine has one neither at the export nor, from
 * an earlier run, at the file; ERR_LOCKED: a job has filters there. Changes nothing. */
int pivot_open(struct pivot **out, const struct pivot_options *options, struct error *err);
/* The files are there now, and the exports write into the same. After an error some may have moved,
 * and the rest is at the exports. */
int pivot_run(struct pivot *pivot, const struct watcher *watcher, struct error *err);
void pivot_close(struct pivot *pivot); /* NULL-safe */

#endif
