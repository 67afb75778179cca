/*
 * A server of drives, which can be backed up while they are written to. One in a process.
 */
#ifndef MACHINE_SERVE_SERVE_H
#define MACHINE_SERVE_SERVE_H

#include "base/error.h"
#include "machine/serve/options.h"

struct serve;
struct watcher;

/* From here on clients are served, and signals end what serve_wait waits for. The options and the
 * watcher are borrowed until serve_close; the watcher is told from any thread. */
int serve_open(struct serve **out, const struct serve_options *options,
	       const struct watcher *watcher, struct error *err);
/* Until a client or a signal wants the end. */
void serve_wait(struct serve *serve);
/* Readable once they do. Borrowed. */
int serve_end_fd(const struct serve *serve);
/* NBD clients that use a drive. */
unsigned serve_n_users(const struct serve *serve);
/* That ever came. */
uint64_t serve_n_come(const struct serve *serve);
/* Answers requests in flight, flushes the drives, closes the maps, tells the client that asked for
 * the end how it went, and frees. */
int serve_close(struct serve *serve, struct error *err);

#endif
