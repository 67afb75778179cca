/*
 * A push, for machine/qemu/push*.c alone: the steps of push.c.
 */
#ifndef MACHINE_QEMU_PUSH_RUN_H
#define MACHINE_QEMU_PUSH_RUN_H

#include "cow/chunks.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qemu.h"
#include "machine/qemu/receive.h"
#include "machine/qemu/speed.h"
#include "machine/rundir.h"

#include <pthread.h>
#include <stdatomic.h>

struct guard;
struct track;

struct machine {
	struct qemu qemu;
	struct track *track; /* NULL: nothing is tracked */
	struct jobs_options jobs;
	struct buffer *buffer;
	struct chunk_source chunks;
	_Atomic uint64_t taken_bytes; /* out of the buffer */
	struct receiver_counts counts;
	char id[RUN_ID_SIZE];
	char *path; /* of the socket */
	struct receiver *receiver;
	struct guard *guard;
	bool listening;
	bool running; /* the thread is */
	pthread_t thread;
	bool gone; /* QEMU has ended; known when the thread has */

	struct speed speed; /* of the jobs; only the thread uses it */
};

/* The steps of one run, each of which may fail; whatever has failed, push_undo is to follow, unless
 * its thread was started, which push_join waits for. First: a name, and a buffer. */
int push_make(struct machine *machine, struct error *err);
/* The guard, the exports, and QEMU's nodes. */
int push_connect(struct machine *machine, struct error *err);
/* The jobs, at one instant. */
int push_start(void *machine, struct error *err);
/* The thread that looks after them until they have ended. */
int push_go(struct machine *machine, struct error *err);
void push_undo(struct machine *machine);
void push_join(struct machine *machine);
/* For qemu_stir. */
void push_interrupt(void *machine);
/* What was made by push_make. */
void push_free(struct machine *machine);

#endif
