/*
 * The client's side of a live backup, and what goes over the control socket for it:
 *
 *   client                                        server
 *   {"execute": "backup", "drives": [NAME...],    {"return": {"drives": [{"name", "path",
 *    "buffer": BYTES, "spill": BYTES,               "size_bytes", "map_failure"}],
 *    "spill_dir": DIR, "wait": BOOL}               "n_chunks": N}}, and with it a descriptor: the
 *                                                 memory, sealed, of N chunks
 *   {"execute": "channel"}                        {"return": {}}, and with it a descriptor: a
 *                                                 channel, a socket like this one
 *   {"execute": "begin"}                          {"return": {"quiesce_ns"}}: the instant has been
 *   {"execute": "release", "chunks": [I...]}      no answer
 *
 * and over each channel, which is for one thread of the client
 *
 *   {"execute": "next", "chunks": [I...]}         {"chunk": I, "guests": BOOL,
 *                                                   "data": [[DRIVE, CLUSTER, N]...],
 *                                                   "zeros": [[DRIVE, CLUSTER, N]...]}
 *                                                   or, all has come, {"done": {...}}
 *
 * Chunk I lies I * 4 MiB into the memory and is the client's until it gives it back, which it may
 * do along with a question for the next one; its clusters follow each other as the runs in "data"
 * name them. Drives are numbered from 0 as in the first answer. "guests": whether guests are at
 * work. When the backup fails, {"error": ...} comes over the control socket, and the channels end.
 * When either side closes the control socket, the backup is over: the server forgets it, the client
 * fails unless it is done.
 */
#ifndef MACHINE_SERVE_CLIENT_H
#define MACHINE_SERVE_CLIENT_H

#include "machine/options.h"
#include "writer/writer.h"

#include <sys/types.h>

#define LIVE_BUFFER	  (UINT64_C(64) << 20) /* bytes, unless the options say so */
#define LIVE_BUFFER_MAX	  (UINT64_C(1) << 40)
#define LIVE_SPILL	  (UINT64_C(1) << 30)
#define LIVE_CHANNELS_MAX 256u

struct live;
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
/* The instant. give_up: called when the backup has failed on the server's side and nobody has
 * closed it within some seconds, because the output takes nothing; from a thread of its own. */
int live_begin(struct live *live, void (*give_up)(void *context, const struct error *why),
	       void *context, struct error *err);
/* piece_clusters: the most that a piece of work has. For as many workers as the options have
 * threads. */
struct feed live_feed(struct live *live, uint32_t piece_clusters);
/* Of the capture, once the feed has ended; borrowed. */
struct json_t *live_counts(const struct live *live);
void live_close(struct live *live); /* NULL-safe */

#endif
