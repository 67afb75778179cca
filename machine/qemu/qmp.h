/*
 * QEMU's monitor, by QMP: of a virtual machine or of qemu-storage-daemon. What it says is not
 * trusted. One thread.
 *
 * Its place is the path of a unix socket, or tcp:HOST:PORT, as QEMU itself writes that, for a QEMU
 * on this host. Whoever gets at a TCP port of the host gets at such a monitor, and the kernel does
 * not tell whose process it is.
 */
#ifndef MACHINE_QEMU_QMP_H
#define MACHINE_QEMU_QMP_H

#include "base/error.h"

#include <sys/socket.h>

struct json_t;
struct qmp;

/* Connects and agrees on the protocol. A monitor takes one client at a time, so ERR_LOCKED when it
 * does not greet within 15 s. place is borrowed; ERR_USAGE: there can be none. */
int qmp_open(struct qmp **out, const char *place, struct error *err);
void qmp_close(struct qmp *qmp); /* NULL-safe */

/* Executes a command; arguments are as json_make takes them, or NULL. *out, if it is asked for, is
 * what it returned: owned. ERR_SYSTEM when QEMU refuses or does not answer within 60 s: then, and
 * whenever it breaks the protocol, every further call fails. Events are dropped: they only make
 * qmp_wait return. */
int qmp_execute(struct qmp *qmp, struct json_t **out, struct error *err, const char *command,
		const char *arguments, ...);
/* The same for one of many commands, one for each drive: it is sent, and the next can be before it
 * is answered, so that not each of them waits until QEMU's main loop is free. QEMU executes them in
 * order, also those after one that it refuses. Unless one fails, qmp_settle has to follow. */
int qmp_post(struct qmp *qmp, struct error *err, const char *command, const char *arguments, ...);
/* Waits for the answers. The error of the first one that was refused; *n_refused, or NULL: how
 * many. */
int qmp_settle(struct qmp *qmp, unsigned *n_refused, struct error *err);
/* Why QEMU refused the last command, in its words; empty if it did not. Borrowed. */
const char *qmp_refusal(const struct qmp *qmp);

/* Waits until QEMU says something unasked, an event, or the time is over; what it says is dropped.
 * Returns whether it did, since the last call. */
bool qmp_wait(struct qmp *qmp, int timeout_ms);

/* Makes a connection that broke anew. *gone: QEMU has ended. */
int qmp_again(struct qmp **qmp, const char *place, bool *gone, struct error *err);

/* Whether QEMU is there and keeps to the protocol, as far as is known. */
bool qmp_works(const struct qmp *qmp);
/* QEMU's process and its owner. False: not known, as over TCP. */
bool qmp_peer(const struct qmp *qmp, struct ucred *peer);
/* The group that a QEMU of another user belongs to. False: it needs no group, as it can use all
 * that is ours, or none could help. */
bool qmp_group(const struct qmp *qmp, gid_t *group);
/* What QEMU said of itself when it greeted: with its "version". Borrowed. */
const struct json_t *qmp_greeting(const struct qmp *qmp);
/* What this QEMU can do, for whoever asks it, which takes long: kept until the connection ends. At
 * first it is not known. */
struct qmp_abilities {
	bool known;
	bool limit, breaks; /* struct jobs_options */
};
struct qmp_abilities *qmp_abilities(struct qmp *qmp);
/* Whether a client of its NBD server may hang up whose export is in an iothread (machine/held.h).
 */
bool qmp_outlives_clients(const struct qmp *qmp);

#endif
