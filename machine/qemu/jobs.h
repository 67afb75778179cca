/*
 * The jobs, exports and block nodes that a backup makes in QEMU, all called as in names.h, and how
 * they are ended.
 */
#ifndef MACHINE_QEMU_JOBS_H
#define MACHINE_QEMU_JOBS_H

#include "machine/qemu/inventory.h"

struct qmp;

struct jobs_state {
	unsigned n;	      /* jobs of the run */
	unsigned n_pending;   /* have copied all, and wait for jobs_finalize */
	unsigned n_concluded; /* for good or bad */
	unsigned n_probes;    /* other jobs of the run (machine/qemu/snapshot.h) */
	unsigned failed_drive;
	bool failed;	 /* one that has concluded */
	char error[200]; /* of the first that did not fail only because another did; escaped */
};

struct jobs_options {
	bool copies; /* all of the drive, not only what the guest overwrites */
	bool full;   /* also what an image never held, which is zeros */
	bool limit;  /* one request of such copying at a time: leaves room for those that a guest
			waits for */
	/* Of each drive whether only that is copied which the run's bitmap of the drive names at
	 * the instant. NULL: all of all. Borrowed. */
	const bool *parts;
	bool breaks; /* when old data cannot be saved, the guest's write goes on and the copy is
			lost, which no job reports; without it the guest's write fails */
};

/* Which of limit and breaks this QEMU has. */
void jobs_ask(struct qmp *qmp, struct jobs_options *options);
/* Whether the job of a drive does not tell of what it knows to be zeros. */
bool jobs_leave_out(const struct jobs_options *options, const struct inventory_drive *drive);
/* Starts a job for each drive, all at one instant: from the drive to the node of its name. */
int jobs_start(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       const struct jobs_options *options, struct error *err);
/* What has become of the jobs of a run. */
int jobs_look(struct qmp *qmp, const char *id, struct jobs_state *out, struct error *err);
/* The same for the drives of a machine, each of which must have a job that has not failed.
 * ERR_LOCKED: the machine is being migrated, and the jobs must end soon for it. */
int jobs_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct jobs_state *out, struct error *err);
/* With breaks, jobs that copy wait for this when all of them have copied all. */
int jobs_finalize(struct qmp *qmp, const char *id, struct error *err);
/* Cancels those that still run, waits until they have ended, and forgets them. Meanwhile their
 * writes must be answered. */
int jobs_end(struct qmp *qmp, const char *id, struct error *err);

typedef bool exports_test(const char *name, const char *id);
/* Ends the exports that the test, which is given id, says are ours, whoever uses them. *any, unless
 * NULL: there were some. */
int exports_remove(struct qmp *qmp, exports_test *is_ours, const char *id, unsigned within_ms,
		   bool *any, struct error *err);
/* All nodes, as an array: owned. */
int nodes_query(struct qmp *qmp, struct json_t **out, struct error *err);
/* Removes the nodes and bitmaps of a run, whose jobs and exports have ended. */
int nodes_remove(struct qmp *qmp, const char *id, struct error *err);

#endif
