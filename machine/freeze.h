/*
 * Freezing a machine around the instant that a backup is of: by commands of the user, or by the
 * guest's agent. The guard process freezes and thaws (machine/guard.h).
 */
#ifndef MACHINE_FREEZE_H
#define MACHINE_FREEZE_H

#include "machine/guard.h"

/* How an instant went. */
struct instant_outcome {
	uint64_t instant_ms; /* what the machine took to begin; set by begin */
	uint64_t n_frozen;   /* file systems, as far as they are known */
	uint64_t frozen_ms;  /* from the freeze to the end of the thaw; 0: nothing was frozen */
	char thawing[1000];  /* why the machine may still be frozen, or empty */
	char unfrozen[1000]; /* why it was not frozen though that was tried, or empty */
};

struct instant {
	int (*begin)(void *context, struct error *err);
	void *context;
	struct guard *guard;
	const struct machine_options *options;
	/* With a connection to the guest's agent, both processes can thaw: this one does if the
	 * guard has died or does not answer. Otherwise NULL. */
	int (*thaw)(void *agent, struct error *err);
	void *agent;
	int connection; /* of that agent */
};

/* Calls begin, with the machine frozen if the options ask for that. It is thawed on every way out,
 * and when the backup is stopped or killed meanwhile. When it was thawed before begin returned, the
 * instant may not have been quiet, and that is an error. With QUIESCE_TRY an agent that does not
 * freeze the guest is none. */
int freeze_around(const struct instant *instant, struct instant_outcome *out, struct error *err);
/* The same with a guard of its own, for a backup that leaves nothing to clean up. */
int freeze_with_guard(struct instant *instant, const char *source, struct instant_outcome *out,
		      struct error *err);

/* ---- in the guard ---- */

/* By --freeze-command and --thaw-command. */
extern const struct freezer_kind freezer_commands;

#endif
