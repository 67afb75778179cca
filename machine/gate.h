/*
 * Lets clients connect to QEMU's NBD server until that server is about to end.
 *
 * QEMU ends it by waiting, with all of the machine, for the end of its connections, and then serves
 * only those that are past their handshake (seen with 7.2, as Debian has it). A client in the midst
 * of its handshake, or one that was killed there, would stop the guest for ever.
 */
#ifndef MACHINE_GATE_H
#define MACHINE_GATE_H

#include "base/error.h"

#include <pthread.h>

struct drive;

struct gate {
	pthread_mutex_t mutex; /* guards the rest */
	pthread_cond_t passed;
	bool busy; /* a client connects */
	bool shut;
};

void gate_init(struct gate *gate);
/* As drive_open, of the snapshot that the server at this socket exports under that name. One thread
 * at a time. Fails once the gate is shut. */
int gate_open(struct gate *gate, struct drive **out, const char *socket, const char *export,
	      struct error *err);
/* From another thread, before the server is ended: waits for a client that is connecting, 25 s at
 * most. */
void gate_shut(struct gate *gate);
/* Before the server at a socket is ended: waits until QEMU has noticed which of its clients are
 * gone, 5 s at most. */
void gate_settle(const char *socket);

#endif
