/*
 * A running serve, and what its files offer each other. Each uses those above it:
 *
 *   export.c    what the NBD server asks of a drive
 *   drives.c    opening and closing drives and their maps
 *   status.c    what status tells
 *   instants.c  instants, and their checkpoints
 *   since.c     what an increment is to have
 *   look.c      what its client may look at before
 *   peek.c      what the reader of a snapshot is given instead of chunks of a pass
 *   attend.c    what the client of a backup is given
 *   backup.c    one backup: the capture here, the archive in the client
 *   checkpoints.c  what clients ask of checkpoints
 *   mirror*.c   mirrors: mirror.h
 *   moves.c     checkpoints on their way to other maps, and from them
 *   control.c   the control socket: a thread for it and one for each client
 *   serve.c     opens all, waits for the end, closes all
 */
#ifndef MACHINE_SERVE_STATE_H
#define MACHINE_SERVE_STATE_H

#include "cow/arrival.h"
#include "cow/capture.h"
#include "cow/checkpoints.h"
#include "drive/argument.h"
#include "machine/message.h"
#include "machine/serve/options.h"
#include "nbd/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct control;
struct serve_backup;
struct serve_mirrors;
struct watcher;

struct served {
	struct drive_argument argument;
	char own_name[16];   /* of a drive without one: "disk0" */
	char *path;	     /* owned: argument.path, or that of a target that a mirror led it to;
				under serve->lock */
	struct drive *drive; /* whoever has the turn may change it, and path */
	bool is_given;	     /* the drive is borrowed, and its name is that of both */
	uint64_t size_bytes;
	const char *map_file;	/* or NULL: the map is in memory */
	struct generation *map; /* NULL: read only */
	struct volume *volume;
	bool distrusted; /* its map was found wrong; whoever has the turn asks and sets this */
	struct arrival *arrival; /* owned; of the checkpoint that comes, or came last; or NULL */
};

struct serve {
	const struct serve_options *options;
	const struct watcher *watcher;
	struct served *drives;
	uint32_t n_drives;
	struct nbdserver *nbd;
	struct control *control;
	struct serve_mirrors *mirrors;
	int wake;		/* an eventfd: readable when the serve is to end */
	struct error map_error; /* a map that could not be closed */
	double began_s;		/* by clock_s */

	pthread_mutex_t arrivals_lock; /* guards served.arrival */
	pthread_mutex_t lock;	       /* guards backup and what it points to, and the counters */
	struct serve_backup *backup;   /* NULL: none is running */
	uint64_t n_backups_done, n_backups_failed;
};

/* ---- instants.c ---- */

/* An instant that gets, or has, a checkpoint in the maps of some drives. */
struct serve_instant {
	char name[CHECKPOINT_NAME_SIZE];    /* empty: it gets none */
	uint8_t uuid[UUID_SIZE];	    /* of the archive, or zeros */
	uint64_t instant_ns;		    /* since 1970 */
	const struct served *const *drives; /* borrowed */
	uint32_t n_drives;
	struct {
		uint64_t id;
		uint16_t generation;
	} * of; /* owned: of each drive's map, before the instant */
	bool added, good;
};

int instant_expect(struct serve_instant *instant, const struct served *const *drives, uint32_t n,
		   struct error *err);
void instant_note_time(struct serve_instant *instant);
void instant_free(struct serve_instant *instant);
/* After the instant, when no machine is frozen for it; these wait for the disk. First: from here on
 * its tokens count, even if the host crashes. */
void instant_settle(const struct serve_instant *instant);
int instant_add(struct serve_instant *instant, bool good, struct error *err);
/* The archive is durable. */
int instant_commit(struct serve_instant *instant, uint64_t raw_bytes, uint64_t written_bytes,
		   struct error *err);
/* The checkpoint is gone unless it is good. */
void instant_drop(struct serve_instant *instant);

/* ---- a running backup, between backup.c, attend.c and status.c ---- */

/* A thread, and the client's way to it. */
struct attendant {
	struct serve_backup *backup;
	int fd; /* the control socket, borrowed, or our end of a data channel, owned */
	pthread_t thread;
	bool started;
};

struct serve_backup {
	struct serve *serve;
	int fd;			      /* borrowed: the client's control socket; -1: none */
	bool brief;		      /* no backup: whoever wants the turn waits for it */
	bool snapshot;		      /* no backup either: nothing is read but what is asked for */
	const struct served **drives; /* owned array, as volumes */
	struct volume **volumes;
	uint32_t n_volumes;	     /* and drives */
	struct buffer *buffer;	     /* owned */
	struct capture_since *since; /* owned; of each volume; NULL: all of all */
	struct capture *prepared;    /* owned; before the instant */
	struct serve_instant instant;
	struct capture *capture; /* owned; NULL before the instant */
	uint32_t n_chunks;
	_Atomic(struct chunk *) *lent; /* by index: the client has it. Owned array */
	double began_s;		       /* the instant, by clock_s */
	double yields_s; /* brief: by clock_s, until when its client is waited for; 0: for ever */

	struct attendant listener; /* at the control socket */
	struct attendant channels[PROTOCOL_CHANNELS_MAX];
	uint32_t n_channels;
	atomic_bool done; /* all was given */
	atomic_bool settled;
	pthread_mutex_t settling; /* held by the one that settles the instant */

	pthread_mutex_t lock; /* guards the rest */
	bool over;	      /* the client has gone, or is to be dropped */
	struct error misuse;  /* why it is dropped, if it is to be told */
};

/* ---- export.c ---- */

/* The export of a drive; what it points to is borrowed from served. */
struct nbdserver_export serve_export(const struct served *served, bool read_only);

/* ---- drives.c ---- */

/* Takes the options apart: which drives, and which map belongs to which. Opens nothing. */
int drives_parse(struct serve *serve, struct error *err);
int drives_open(struct serve *serve, struct error *err);
int drives_flush(struct serve *serve, struct error *err);
/* A map that cannot be closed is told to the watcher, and is serve->map_error. */
void drives_close(struct serve *serve);

/* ---- status.c ---- */

void serve_status(struct serve *serve, struct json_t *out);
/* What a capture has done so far. */
void serve_counts(struct json_t *out, const struct capture *capture, const struct buffer *buffer);

/* ---- since.c ---- */

/* "since": which tokens are known here is told, and the capture prepared for them. */
int serve_since(struct serve_backup *backup, const struct json_t *request, struct error *err);
/* Unless that was done: of all drives all is wanted. */
int serve_prepare(struct serve_backup *backup, struct error *err);
/* The answer to "changes", owned; NULL: an error. */
struct json_t *serve_changes(const struct serve_backup *backup, const struct json_t *request,
			     struct error *err);

/* What changed in the drive since the instant that the token names, which may be NULL, of the
 * archive that is "parent" in the request: NULL: it is known, and in *out, else why not. */
const char *serve_judge(const struct served *served, const struct json_t *request,
			const char *token, struct capture_since *out);

/* ---- look.c ----
 *
 * "changes-now", "look", "distrust": each answers.
 */

int serve_changes_now(const struct serve_backup *backup, const struct json_t *request,
		      struct error *err);
int serve_look(const struct serve_backup *backup, const struct json_t *request, struct error *err);
int serve_distrust(const struct serve_backup *backup, const struct json_t *request,
		   struct error *err);

/* The same, of "changed": answers at fd. */
int serve_changed_since(const struct serve_backup *backup, int fd, const struct json_t *request,
			struct error *err);

/* ---- peek.c ---- */

/* "peek", "peek-zeros", "changed": answers at fd. 1: it is another request. */
int serve_peek(const struct serve_backup *backup, int fd, const struct json_t *request,
	       struct error *err);

/* ---- attend.c ----
 *
 * What the client of a backup asks for while it runs, and gives back.
 */

/* One more, for a data channel that the client is sent an end of. Before attendants_start. */
int attendants_add(struct serve_backup *backup, struct error *err);
/* attendants_join has to be called on failure, too. */
int attendants_start(struct serve_backup *backup, struct error *err);
/* The buffer has failed: ends the data channels, and waits until the client has gone. */
void attendants_join(struct serve_backup *backup);
void attendants_free(struct serve_backup *backup);

/* The client has gone, or is to be dropped. */
bool backup_is_over(struct serve_backup *backup);

/* ---- backup.c ---- */

/* The path of a drive as it is now, owned; NULL: no memory. */
char *served_path(struct serve *serve, const struct served *served);

/* False: another backup is running. One whose client has gone is about to end: it is waited for, so
 * that what follows immediately upon a backup, or upon one that was killed, can begin. BACKUP has
 * the turn then; NULL: it was only asked. */
bool serve_take_turn(struct serve *serve, struct serve_backup *backup);
void serve_give_turn(struct serve *serve);
/* A whole backup, with the client at fd that asked for it. Returns when the client has gone, or
 * with an error that it can still be told. */
int serve_backup(struct serve *serve, int fd, const struct json_t *request, struct error *err);

/* ---- checkpoints.c ---- */

/* "checkpoint": one that a user asks for, with the client at fd. */
int serve_checkpoint(struct serve *serve, int fd, const struct json_t *request, struct error *err);
/* "checkpoints": answers. */
int serve_checkpoints(struct serve *serve, int fd, const struct json_t *request, struct error *err);
/* "delete-checkpoint" */
int serve_delete_checkpoint(struct serve *serve, const struct json_t *request, struct error *err);

/* ---- moves.c ---- */

/* "map-outline", "map-bits", "map-begin", "map-has", "map-take", "map-end": answers. 1: it is
 * another request. */
int serve_move(struct serve *serve, int fd, const struct json_t *request, struct error *err);

/* ---- control.c ---- */

/* From here on clients are served. The socket has mode 0600, and appears when it can be connected
 * to. One that a dead server left is replaced; one that answers: ERR_LOCKED. */
int control_open(struct serve *serve, struct error *err);
/* No new clients; the others are cut, and so a backup ends, but for the one that asked to stop. */
void control_cut(struct serve *serve);
/* After that: the one that asked is told how it went. */
void control_close(struct serve *serve, const struct error *how);

#endif
