/*
 * QEMU's monitor, by QMP on a unix socket: of a virtual machine or of qemu-storage-daemon. What it
 * says is not trusted. One thread.
 */
#ifndef MACHINE_QEMU_QMP_H
#define MACHINE_QEMU_QMP_H

#include "base/error.h"

#include <sys/socket.h>

struct json_t;
struct qmp;

/* Connects and agrees on the protocol. A monitor takes one client at a time, so ERR_LOCKED when it
 * does not greet within 10 s. path is borrowed. */
int qmp_open(struct qmp **out, const char *path, struct error *err);
void qmp_close(struct qmp *qmp); /* NULL-safe */

/* Executes a command; arguments, an object or NULL, are taken over. *out, if it is asked for, is
 * what it returned: owned. ERR_SYSTEM when QEMU refuses or does not answer within 60 s: then, and
 * whenever it says what makes no sense, every further call fails. Events are not kept: they only
 * have qmp_wait return, and who wants to know asks. */
int qmp_execute(struct qmp *qmp, const char *command, struct json_t *arguments, struct json_t **out,
		struct error *err);

/* Waits until QEMU says something unasked, an event, or the time is over; what it says is dropped.
 * Returns whether it did. */
bool qmp_wait(struct qmp *qmp, int timeout_ms);

/* A connection that broke is made anew: *qmp is that then, and *own too, which the caller closes.
 * *gone: QEMU has ended. */
int qmp_again(struct qmp **qmp, struct qmp **own, const char *path, bool *gone, struct error *err);

/* Whether QEMU is there and talks sense, as far as is known. */
bool qmp_works(const struct qmp *qmp);
/* QEMU's process and its owner. */
bool qmp_peer(const struct qmp *qmp, struct ucred *peer);
/* What QEMU said of itself when it greeted: its version. Borrowed. */
const struct json_t *qmp_greeting(const struct qmp *qmp);

#endif
