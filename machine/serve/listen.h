/*
 * The NBD server of a process that serves drives: a serve, or a snapshot.
 */
#ifndef MACHINE_SERVE_LISTEN_H
#define MACHINE_SERVE_LISTEN_H

#include "base/error.h"
#include "machine/serve/options.h"

struct nbdserver;
struct nbdserver_export;
struct watcher;

/* At all places of the options, with their TLS. The exports are copied; *out is to be freed also
 * after a failure, and NULL if there is none. The watcher, which is told what clients do, is
 * borrowed until then. */
int serve_listen(struct nbdserver **out, const struct nbdserver_export *exports, uint32_t n,
		 const struct serve_options *options, const struct watcher *watcher,
		 struct error *err);

#endif
