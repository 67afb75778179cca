/*
 * Messages of the control socket and of data channels: each is one JSON object of at most
 * MESSAGE_MAX bytes, over a local socket that keeps their bounds (SOCK_SEQPACKET). Only root and
 * the user who runs the server are served. Even so nothing that comes is believed: what is no
 * object, too long, or unknown is answered with an error.
 *
 *   to the server     {"execute": "status"}
 *                     {"execute": "stop", "force": false}
 *                     {"execute": "checkpoints", "drive": I, "from": N}
 *                     {"execute": "delete-checkpoint", "name": NAME}
 *                     {"execute": "checkpoint", "name": NAME}, then "begin" and "commit"
 *                     {"execute": "backup", ...}
 *                     {"execute": "mirror-...", ...}: machine/serve/mirror.h
 *                     {"execute": "map-outline", "drive": I, "name": NAME}: a checkpoint that is to
 *                     go to another map; "there": it has one
 *                     {"execute": "map-bits", "drive": I, "name": NAME, "from": CLUSTER, "n": N}
 *                     {"execute": "map-begin", "drive": I, ..., "chunk_bytes": N}, the other way,
 *                     then "map-has" with "chunk", "map-take" with "chunk", "n" and "any", and
 *                     "map-end" with what "map-begin" had, and "trust". After a message with "any",
 *                     either way, bits come as one more, which is no JSON
 *   from the server   {"return": ...} or {"error": {"code": ..., "message": ...}}
 *
 * A backup goes on over the same connection:
 *
 *   client                                        server
 *   {"execute": "backup", "drives": [NAME...],    {"return": {"drives": [{"name", "path",
 *    "buffer": BYTES, "spill": BYTES,               "size_bytes", "data_bytes", "map_failure"}],
 *    "spill_dir": DIR, "wait": BOOL}               "n_chunks": N}}, and with it a descriptor: the
 *                                                 memory, sealed, of N chunks. Drives that are
 *                                                 recorded in have a "token": what the instant
 *                                                 to come will be called
 *   {"execute": "channel"}                        {"return": {}}, and with it a descriptor: a data
 *                                                 channel, a socket like this one
 *   {"execute": "changes-now", "drive": DRIVE,    {"return": {"known": BOOL, "runs": [...],
 *    "parent": UUID, "token": TEXT,                 "next": CLUSTER}}: as "since" and "changes",
 * but "from": CLUSTER}                               by now
 *   {"execute": "look", "drive": DRIVE,           {"return": {"zeros": BOOL}}: what these clusters,
 *    "cluster": CLUSTER, "n": N,                    64 at most, have now: zeros, or what lies where
 *    "more": [CLUSTER, N, ...]}                     the memory begins; "more": [0 or 1, ...]: of
 *                                                 others, which follow there, 64 with them at most,
 *                                                 whether they are zeros
 *   {"execute": "distrust", "drive": DRIVE}       {"return": {"token": TEXT}}: what the map has
 * does not count any more, and its token is this
 *   {"execute": "since", "uuid": UUID,            {"return": {"drives": [{"known": BOOL,
 *    "parent": UUID, "tokens": [TEXT...]}           "why": TEXT}...]}}: of drives that are known
 *                                                 only what changed since will come; uuid: of the
 *                                                 archive, after which the checkpoint is called;
 *                                                 parent: of the one that has the tokens.
 *                                                 Each may be left out, and all of it
 *   {"execute": "begin"}                          {"return": {"quiesce_ns"}}: the instant has been
 *    or with "snapshot": true                     nothing comes but what guests overwrite
 *   {"execute": "release", "chunks": [I...]}      no answer
 *
 * and over each data channel, which is for one thread of the client
 *
 *   {"execute": "next", "chunks": [I...]}         {"chunk": I, "guests": BOOL,
 *                                                   "data": [[DRIVE, CLUSTER, N]...],
 *                                                   "zeros": [[DRIVE, CLUSTER, N]...]}
 *                                                   or, when all has come, {"done": {...}}
 *
 *   {"execute": "changes", "drive": DRIVE,        {"return": {"runs": [SKIP, N, SKIP, N...],
 *    "from": CLUSTER}                               "next": CLUSTER}}: of a known drive, what
 *                                                 will come, a part of it; next: from where on
 *                                                 the rest is to be asked for
 *   {"execute": "changed", "drive": DRIVE,        {"return": {"runs", "next"}}: the same since a
 *    "name": NAME, "from": CLUSTER}                 good checkpoint, by now; also before "begin"
 *   {"execute": "peek", "drive": DRIVE,           {"return": {"saved": BOOL, "zeros": BOOL}}, of a
 *    "cluster": CLUSTER}                            snapshot: it comes, or came, as a chunk; or it
 *                                                 is zeros; else its bytes are one more message
 *   {"execute": "peek-zeros", "drive": DRIVE,     {"return": {"saved", "zeros", "n"}}: for how many
 *    "cluster": CLUSTER}                            clusters its storage says so
 *   {"execute": "commit", "written_bytes": N}     {"return": {}}, once all has come and the
 *                                                 archive is durable: the checkpoint is good
 *
 * Chunk I lies I * 4 MiB into the memory and is the client's until it gives it back, which it may
 * do along with a question for the next one; its clusters follow each other as the runs in "data"
 * name them. Drives are numbered from 0 as in the first answer. "guests": whether guests are at
 * work. When the backup fails, {"error": ...} comes over the control socket, and the data channels
 * end. When either side closes the control socket, the backup is over: the server forgets it, the
 * client fails unless it is done.
 *
 * All functions: any thread.
 */
#ifndef MACHINE_MESSAGE_H
#define MACHINE_MESSAGE_H

#include "base/json.h"

#define MESSAGE_MAX	      163840u
#define PROTOCOL_CHANNELS_MAX 256u /* of one backup */

/* Gives the sending end of a socket room for the longest message. */
void message_make_room(int fd);
/* Frees the message; NULL, or one that lacks something, fails for want of memory. pass: a
 * descriptor that goes with it, or -1. */
int message_send(int fd, struct json_t *message, int pass, struct error *err);
/* {"error": {"code": ..., "message": ...}}, in any case one that says that memory is lacking. */
int message_send_error(int fd, const struct error *what, struct error *err);
/* 1: a message, owned by the caller; 0: the other side has closed; negative. *passed, if not NULL:
 * a descriptor that came with it, owned, or -1. One thread at a time for each socket. */
int message_receive(int fd, struct json_t **out, int *passed, struct error *err);

/* Fills *err from the "error" of a message. */
int message_error(const struct json_t *message, struct error *err);
/* The server said something that the protocol does not have. */
int message_unexpected(struct error *err);

#endif
