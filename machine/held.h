/*
 * Connections to QEMU's NBD server that outlive the client.
 *
 * QEMU before 8.2 ends by an assertion, and the guest with it, when a client hangs up whose export
 * is in an iothread, in order or not (seen with 7.2.22). It does not when it is QEMU that ends the
 * export. So the guard process keeps a duplicate of each socket, and when the backup is killed QEMU
 * sees nothing of that. The guard then has QEMU end the export, and only afterwards closes.
 *
 * A reply that nobody reads would be as bad: QEMU cannot end an export with one, and waits for it,
 * with all of the guest, whenever it drains that drive. So the guard reads what comes, and drops
 * it. And a handshake that nobody goes on with would stop QEMU when its server ends: it is spoilt,
 * so that QEMU ends that connection, in its main thread, which does no harm.
 */
#ifndef MACHINE_HELD_H
#define MACHINE_HELD_H

#include "base/error.h"

#include <pthread.h>

#define HELD_MAX 256u /* QEMU's server takes 100, unless it was started otherwise */

struct held {
	int fds[HELD_MAX];
	unsigned n;
	bool reads; /* the thread does */
	pthread_t thread;
};

/* Takes over fd; one too many is closed. */
void held_add(struct held *held, int fd);
/* The client has gone: reads what comes from now on, in a thread. */
void held_begin(struct held *held);
/* Returns when QEMU has ended all of them, however long that takes. Not without held_begin. */
void held_wait(struct held *held);
void held_close(struct held *held);

#endif
