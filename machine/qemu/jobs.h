/*
 * The jobs, exports and block nodes that a backup makes in QEMU, and how they are ended, also those
 * of a run that died.
 *
 * All of a run are called vmabak-ID-N: ID are eight hexadecimal digits, N is the number of the
 * drive. A node of a push is connected to the export N of this program; one of a pull is a scratch
 * image in a file with a node of its own, vmabak-ID-N-file, and what QEMU exports under that name.
 */
#ifndef MACHINE_QEMU_JOBS_H
#define MACHINE_QEMU_JOBS_H

#include "base/error.h"

struct inventory;
struct qmp;

#define RUN_ID_SIZE    9u  /* bytes, with a NUL */
#define NODE_NAME_SIZE 32u /* QEMU's limit */

void run_id_make(char id[RUN_ID_SIZE]);
char *node_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive);

struct jobs_state {
	unsigned n;	      /* that there are */
	unsigned n_concluded; /* for good or bad */
	unsigned failed_drive;
	bool failed;	 /* one that has concluded */
	char error[200]; /* of the first that did not fail only because another did; escaped */
};

/* What has become of the jobs of a run. */
int jobs_look(struct qmp *qmp, const char *id, struct jobs_state *out, struct error *err);
/* The same for the drives of a inventory, of which each must have one that has not failed. */
int jobs_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct jobs_state *out, struct error *err);
/* Cancels those that still run, waits until they have ended, and forgets them. What they have
 * written must be being answered meanwhile. */
int jobs_end(struct qmp *qmp, const char *id, struct error *err);
/* Ends the exports of a run, whoever uses them. */
int exports_remove(struct qmp *qmp, const char *id, struct error *err);
/* Removes the nodes of a run. */
int nodes_remove(struct qmp *qmp, const char *id, struct error *err);

/* Ends what was left by a run that died: its sockets are served again, so that QEMU finds answers,
 * until its jobs are cancelled and its nodes removed. A run that is alive is ERR_LOCKED. id: of the
 * run, then as dead; NULL: of any. *n: how many runs there were. */
int leftovers_remove(struct qmp *qmp, const char *id, unsigned *n, struct error *err);

#endif
