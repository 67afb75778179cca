/*
 * Commands around an instant: freeze before it, thaw after it.
 *
 * A process of its own, the guard, runs both. So thaw is run whatever becomes of the one that
 * asked: when it is killed, when it fails, when freezing failed or took too long, and when the
 * instant does not come within the time limit. It is always run after freeze has ended, by itself
 * or by force.
 */
#ifndef MACHINE_HOOKS_H
#define MACHINE_HOOKS_H

#include "machine/options.h"
#include "base/watcher.h"
#include "base/error.h"

struct hooks;

/* Starts the guard and waits until freeze has ended. Neither command: *out is NULL. */
int hooks_freeze(struct hooks **out, const char *freeze, const char *thaw, uint64_t timeout_s,
		 struct error *err);
/* Has thaw run, and waits for it. ERR_SYSTEM: the machine was thawed before this was called, so the
 * instant may not have been quiet. Otherwise 0; then *failed tells whether thaw did not succeed,
 * and warning says why. Frees the hooks. NULL-safe. */
int hooks_thaw(struct hooks *hooks, bool *failed, struct error *warning, struct error *err);

/* begin, between the commands of --freeze-command and --thaw-command if they are given, within
 * --freeze-timeout. Warns when thaw did not succeed. */
int hooks_around(int (*begin)(void *context, struct error *err), void *context,
		 const struct machine_options *options, const struct watcher *watcher, struct error *err);

#endif
