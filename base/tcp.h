/*
 * Connections over TCP to other programs on this host.
 */
#ifndef BASE_TCP_H
#define BASE_TCP_H

#include "base/error.h"

/* place: HOST:PORT, or [ADDRESS]:PORT for IPv6. ERR_USAGE: it is not of that form, or the host is
 * not this one. Waits up to PATIENCE_CONNECT_S for each address of the host. */
int tcp_connect(int *out, const char *place, struct error *err);

#endif
