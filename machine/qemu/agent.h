/*
 * The QEMU guest agent, which freezes the guest's file systems for a moment. It is not trusted and
 * may not be there, so every wait for it has a limit. One thread.
 */
#ifndef MACHINE_QEMU_AGENT_H
#define MACHINE_QEMU_AGENT_H

#include "base/error.h"

struct agent;

/* Connects, and finds out within that time whether an agent listens; PATIENCE_AGENT_S is enough for
 * one that does. path is borrowed. */
int agent_open(struct agent **out, const char *path, int within_ms, struct error *err);
void agent_close(struct agent *agent); /* NULL-safe */
/* Its connection, borrowed, for another process. */
int agent_fd(const struct agent *agent);
/* In that process: takes over a connection that was synchronised, and closes it if this fails. */
int agent_adopt(struct agent **out, const char *path, int fd, struct error *err);

/* Freezes all file systems that can be frozen; *n: how many. gone: a descriptor that is readable
 * once nobody needs the answer, which is then not waited for, or -1. After a failure, lateness
 * included, they may be frozen or still become so: thaw. */
int agent_freeze(struct agent *agent, int timeout_ms, int gone, uint64_t *n, struct error *err);
/* Thaws, after synchronising with an agent that may not have answered in time. */
int agent_thaw(struct agent *agent, struct error *err);

#endif
