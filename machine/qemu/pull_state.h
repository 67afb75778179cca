/*
 * Private to machine/qemu/pull*.c.
 */
#ifndef MACHINE_QEMU_PULL_STATE_H
#define MACHINE_QEMU_PULL_STATE_H

#include "machine/gate.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qemu.h"

#include <pthread.h>
#include <stdatomic.h>

/* Looks at the jobs that others have asked for. */
struct pull_looks {
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t done;
	uint64_t n_wanted, n_done;
	bool over; /* no more will come, for this reason */
	struct error err;
};

struct machine {
	struct qemu qemu;
	struct track *track; /* NULL: nothing is tracked */
	struct jobs_options jobs;
	bool filters; /* instead of jobs */
	char id[RUN_ID_SIZE];
	char *path; /* of the socket, if we start the server; the scratch images lie beside it */
	int lock;   /* of the run directory; -1: none */
	struct guard *guard;
	unsigned n_scratches;
	struct scratch *scratches;
	uint64_t scratch_bytes; /* size of the images in the end */
	struct gate gate;
	struct drive **drives; /* one for each of the inventory, or NULL */
	bool running;	       /* the thread is */
	pthread_t thread;
	atomic_bool asked; /* to end */
	struct error err;  /* why it ended early, once the thread has ended */
	struct pull_looks looks;
};

/* Of QEMU's filters, not the scratch images over the drives. */
bool pull_reads_snapshots(const struct machine *machine);
/* Until the end, or until something goes wrong, which is then machine->err; looks once more after
 * the end was asked for. Asks QEMU only after an event, and now and then. */
void pull_watch(struct machine *machine);
/* Another thread: whether all that was read before this call was of the instant. */
int pull_check(struct machine *machine, struct error *err);

#endif
