/*
 * The QEMU guest agent: has the guest's file systems stand still for a moment. Not trusted, and
 * perhaps not there: who talks to it waits for a limited time only. One thread.
 */
#ifndef MACHINE_QEMU_AGENT_H
#define MACHINE_QEMU_AGENT_H

#include "base/error.h"

struct agent;

/* Connects, and finds out within 5 s whether an agent listens. path is borrowed. */
int agent_open(struct agent **out, const char *path, struct error *err);
void agent_close(struct agent *agent); /* NULL-safe */
/* Its connection, borrowed, for another process. */
int agent_fd(const struct agent *agent);
/* In that process: takes over a connection that was synchronised. */
struct agent *agent_adopt(const char *path, int fd);

/* Freezes all file systems that can be; *n: how many. When it fails, also because the time is over,
 * they may be frozen or about to be: thaw. */
int agent_freeze(struct agent *agent, int timeout_ms, uint64_t *n, struct error *err);
/* Thaws; an agent that answered nothing in time is first brought back to sense. */
int agent_thaw(struct agent *agent, struct error *err);

#endif
