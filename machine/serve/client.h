/*
 * The client of a live backup, as protocol.h has it.
 */
#ifndef MACHINE_SERVE_CLIENT_H
#define MACHINE_SERVE_CLIENT_H

#include "machine/options.h"
#include "writer/writer.h"

#include <sys/types.h>

struct live;
struct watcher;
struct json_t;

/* Connects; from here on there is no other backup. */
int live_open(struct live **out, const struct machine_options *options, struct error *err);
pid_t live_server(const struct live *live); /* its process; 0: not known */
uint32_t live_n_drives(const struct live *live);
const char *live_drive_name(const struct live *live, uint32_t i);
const char *live_drive_path(const struct live *live, uint32_t i); /* or NULL */
uint64_t live_drive_size(const struct live *live, uint32_t i);	  /* bytes */
/* Why the file of its map does not count any more; NULL: it does, or there is none. */
const char *live_drive_map_failure(const struct live *live, uint32_t i);
/* The instant. The watcher is told to give up when the backup has failed on the server's side, and
 * it was not closed within some seconds, because the output takes nothing. */
int live_begin(struct live *live, const struct watcher *watcher, struct error *err);
/* piece_clusters: the most that a piece of work has. For as many workers as the options have
 * threads. */
struct feed live_feed(struct live *live, uint32_t piece_clusters);
/* Of the capture, once the feed has ended; borrowed. */
struct json_t *live_counts(const struct live *live);
void live_close(struct live *live); /* NULL-safe */

#endif
