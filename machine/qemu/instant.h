/*
 * The instant that a backup of a running QEMU is of: with the guest's file systems frozen by the
 * agent, if there is one, all jobs begin in one transaction.
 */
#ifndef MACHINE_QEMU_INSTANT_H
#define MACHINE_QEMU_INSTANT_H

#include "machine/options.h"

struct guard;
struct json_t;
struct qmp;

struct instant_outcome {
	uint64_t instant_ms; /* QEMU took for the transaction */
	uint64_t n_frozen;   /* file systems of the guest; without the agent 0 */
	uint64_t frozen_ms;
	char thawing[1000]; /* what went wrong with it, or empty */
};

/* Seconds: for freezing, and then for the instant. */
uint64_t instant_freeze_timeout(const struct machine_options *options);
/* Calls start; with options->guest_agent the guest is frozen around it, and thawed on every way
 * out, by the guard even when this process is stopped. An instant that came after that fails. */
int instant_start(int (*start)(void *context, struct error *err), void *context,
		  const struct machine_options *options, struct guard *guard, struct instant_outcome *outcome,
		  struct error *err);

/* For start: executes it; arguments are taken over. */
int instant_transaction(struct qmp *qmp, struct json_t *arguments, struct instant_outcome *outcome,
			struct error *err);

#endif
