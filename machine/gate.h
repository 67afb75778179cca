/*
 * The drives that QEMU's NBD server exports, and no connections to it once that server is about to
 * end.
 *
 * QEMU ends it by waiting, with all of the machine, for the end of its connections, and then serves
 * only those that are past their handshake (seen with 7.2, as Debian has it). A client in the midst
 * of its handshake, or one that was killed there, would stop the guest for ever.
 *
 * The server takes 100 connections, unless it was started otherwise, and lets more wait without a
 * word; some of them may be a guest's. So drives are opened in turn, with 32 connections at most.
 */
#ifndef MACHINE_GATE_H
#define MACHINE_GATE_H

#include "base/clusterset.h"
#include "drive/turns.h"
#include "nbd/client.h"

struct guard;

struct gate {
	struct turns turns;
	struct nbdclient_hold hold; /* without keep: connections are not held */
	pthread_mutex_t mutex;	    /* guards the rest */
	pthread_cond_t passed;
	bool busy; /* a client connects */
	bool shut;
};

void gate_init(struct gate *gate);
/* Has the guard keep each connection (machine/held.h), before there is one. They are not closed
 * before the server is, so no drive makes place for another. */
void gate_hold(struct gate *gate, struct guard *guard, unsigned n_drives);
/* The snapshot of that size that the server at this socket exports under that name; its connections
 * are made when it is read. That fails once the gate is shut. The drive is closed before *gate
 * goes. */
int gate_drive(struct gate *gate, struct drive **out, const char *socket, const char *export,
	       uint64_t size_bytes, struct error *err);
/* The clusters of that drive in which a bitmap that is exported with it has bits, into *out, which
 * the caller frees in any case. */
int gate_changes(struct gate *gate, const char *socket, const char *export, const char *bitmap,
		 struct cluster_set *out, struct error *err);
/* From another thread, before the server is ended: waits for a client that is connecting, 25 s at
 * most. */
void gate_shut(struct gate *gate);
/* Before the server at a socket is ended: waits until QEMU has noticed which of its clients are
 * gone, 5 s at most. */
void gate_settle(const char *socket);

#endif
