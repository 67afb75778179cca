/*
 * One backup of the drives served here.
 */
#ifndef MACHINE_SERVE_BACKUP_H
#define MACHINE_SERVE_BACKUP_H

#include "machine/serve/state.h"

struct json_t;

/* A whole backup, with the client at fd that asked for it. Returns when the client has gone, or
 * with an error that it can still be told. */
int serve_backup(struct serve *serve, int fd, const struct json_t *request, struct error *err);

#endif
