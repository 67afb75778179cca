/*
 * What a serve and its clients say to each other. Only root and the user who runs the server are
 * served. Even so nothing that comes is believed: what is no object, too long, or unknown is
 * answered with an error.
 *
 *   to the server     {"execute": "status"}
 *                     {"execute": "stop", "force": false}
 *                     {"execute": "backup", ...}
 *   from the server   {"return": ...} or {"error": {"code": ..., "message": ...}}
 *
 * A backup goes on over the same connection:
 *
 *   client                                        server
 *   {"execute": "backup", "drives": [NAME...],    {"return": {"drives": [{"name", "path",
 *    "buffer": BYTES, "spill": BYTES,               "size_bytes", "map_failure"}],
 *    "spill_dir": DIR, "wait": BOOL}               "n_chunks": N}}, and with it a descriptor: the
 *                                                 memory, sealed, of N chunks
 *   {"execute": "channel"}                        {"return": {}}, and with it a descriptor: a data
 *                                                 channel, a socket like this one
 *   {"execute": "begin"}                          {"return": {"quiesce_ns"}}: the instant has been
 *   {"execute": "release", "chunks": [I...]}      no answer
 *
 * and over each data channel, which is for one thread of the client
 *
 *   {"execute": "next", "chunks": [I...]}         {"chunk": I, "guests": BOOL,
 *                                                   "data": [[DRIVE, CLUSTER, N]...],
 *                                                   "zeros": [[DRIVE, CLUSTER, N]...]}
 *                                                   or, when all has come, {"done": {...}}
 *
 * Chunk I lies I * 4 MiB into the memory and is the client's until it gives it back, which it may
 * do along with a question for the next one; its clusters follow each other as the runs in "data"
 * name them. Drives are numbered from 0 as in the first answer. "guests": whether guests are at
 * work. When the backup fails, {"error": ...} comes over the control socket, and the data channels
 * end. When either side closes the control socket, the backup is over: the server forgets it, the
 * client fails unless it is done.
 */
#ifndef MACHINE_SERVE_PROTOCOL_H
#define MACHINE_SERVE_PROTOCOL_H

#include <stdint.h>

#define PROTOCOL_CHANNELS_MAX 256u		  /* of one backup */

#endif
