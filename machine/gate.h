/*
 * Connecting to QEMU's NBD server, and not ending that server meanwhile.
 *
 * QEMU ends it by waiting, with all of the machine, for the end of its connections, and serves
 * those alone then that are past their handshake (seen with 7.2, as Debian has it). A client in the
 * midst of its handshake, or one that was killed there, would have the guest stand still for ever.
 */
#ifndef MACHINE_GATE_H
#define MACHINE_GATE_H

#include "base/error.h"

#include <pthread.h>

struct drive;

struct gate {
	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t over;
	bool now;  /* somebody connects */
	bool last; /* nobody may any more */
};

#define GATE_INIT                                                               \
	{                                                                            \
		.mutex = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER \
	}

/* As drive_open, of a snapshot. One thread at a time. Fails when gate_end was called. */
int gate_open(struct gate *gate, struct drive **out, const char *uri,
		   struct error *err);
/* From another thread, before the server is ended: waits for one that goes on, 25 s at most. */
void gate_end(struct gate *gate);
/* Before the server at a socket is ended: until QEMU has noticed which of its clients are gone, or
 * 5 s. */
void gate_settle(const char *socket);

#endif
