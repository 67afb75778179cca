/*
 * Mirrors of served drives (cow/mirror.h), and what clients ask of them over the control socket:
 *
 *   {"execute": "mirror-start", "drives": [{"name", "target", "format"}...], "rate": BYTES,
 *    "hold": BOOL, "state": FILE, "force": BOOL}    {"return": {"drives": [{"name", "known",
 *                                                     "todo_bytes"}...]}}
 *   {"execute": "mirror-status"}                    {"return": {"mirror": {...}}}, or null
 *   {"execute": "mirror-set", "rate": BYTES,        {"return": {}}
 *    "hold": BOOL}
 *   {"execute": "mirror-pivot"}                     {"return": {"standstill_ns": N, "attempts": N}}
 *   {"execute": "mirror-abort"}                     {"return": {"drives": [...]}}
 *
 * format, rate, hold and state may be left out. All is done in this process: a client that goes
 * leaves a mirror as it is.
 *
 * A serve has one mirror, of any of its drives. Targets are opened, and what they have is noted, by
 * one thread, the keeper: it lives as long as the serve, as do the qemu-nbd of targets that are
 * images. One operation goes on at a time; status does not wait for it.
 */
#ifndef MACHINE_SERVE_MIRROR_H
#define MACHINE_SERVE_MIRROR_H

#include "base/name.h"
#include "cow/mirror.h"
#include "machine/mirror_target.h"
#include "machine/serve/state.h"

enum mirror_phase {
	MIRROR_NONE, /* there was none yet */
	MIRROR_RUNS,
	MIRROR_ABORTED,
	MIRROR_PIVOTED,
};

struct mirrored {
	struct served *served;
	const char *drive;	   /* the other one, borrowed; only to be told */
	char *target;		   /* owned; a path from the root, or an NBD URI */
	char *format;		   /* owned; NULL: by the name */
	uint64_t inode;		   /* of a file; 0: none */
	struct mirror_point point; /* what the state file says that it has */
	bool resized;		   /* it says that, but the file has another size now */
	bool ours;		   /* it says that a mirror began on that very file */
	struct mirror_point next;  /* what it is to say, once the source and its map are synced; */
	bool settles;		   /*   by the keeper */
	struct mirror *mirror;	   /* NULL: over */
	struct mirror_target to; /* how it was opened, and the drive; until the mirror has begun */
	struct drive *opened;	 /* owned, or NULL */
};

struct serve_mirrors {
	struct serve *serve;
	pthread_t keeper;
	bool started;

	pthread_mutex_t lock; /* guards what follows; changed: any of it */
	pthread_cond_t changed;
	bool busy;     /* an operation goes on, which alone may change the rest without the lock */
	bool settling; /* the keeper syncs drives and maps: nothing but a pivot waits for that */
	bool closing;
	struct mirror_start *asked; /* of the keeper; NULL: nothing */
	enum mirror_phase phase;
	struct mirrored drives[SERVED_MAX];
	uint32_t n_drives;
	char *state; /* owned: the file; NULL: none */
	uint64_t rate;
	bool hold;
	struct mirror *late[SERVED_MAX]; /* ended, but for their threads; NULL: none */
	int64_t noted_ms;		 /* when what the targets have was noted last */
};

/* ---- mirror_state.c ---- */

/* What the file says of these drives: fills their points; one that is missing says nothing.
 * ERR_USAGE: it is of other drives. */
int mirror_state_read(const char *path, struct mirrored *drives, uint32_t n, struct error *err);
struct mirror_state {
	const char *path; /* NULL: nothing is written */
	const char *phase;
	const struct mirrored *drives;
	uint32_t n_drives;
	const struct mirror_point *points; /* of each; NULL: their own */
};

/* durable: on disk when it returns. */
int mirror_state_write(const struct mirror_state *state, bool durable, struct error *err);

/* ---- mirror_keep.c ---- */

/* Notes what the targets have; soon: without waiting long. The keeper has the state tell it. */
void mirrors_note(struct serve_mirrors *mirrors, bool soon);
bool mirrors_settle_locked(const struct serve_mirrors *mirrors);
/* By the keeper: what was noted goes into the state once it may. */
void mirrors_settle_all(struct serve_mirrors *mirrors);
/* Brings to the disk what the point needs of the drive and its map before the state may tell it.
 * False: it must not. */
bool mirrors_settle(struct generation *map, const struct mirror_point *point);
/* Whether enough has changed since that was done. */
bool mirrors_note_is_due(const struct serve_mirrors *mirrors);
/* That which is being done of it ends early. Any thread. */
void mirrors_break(struct serve_mirrors *mirrors);
/* Ends them all. */
void mirrors_end(struct serve_mirrors *mirrors);
/* Waits until no other operation goes on, and begins one. */
void mirrors_enter(struct serve_mirrors *mirrors);
/* And until the keeper syncs nothing. */
void mirrors_enter_settled(struct serve_mirrors *mirrors);
void mirrors_leave(struct serve_mirrors *mirrors);
/* That of the mirror as it is; before it runs the state is that it does. */
int mirrors_write_state(const struct serve_mirrors *mirrors, struct error *err);
const char *mirrors_phase_text(enum mirror_phase phase);
/* The turn of instants, for a moment. False: a backup has it. */
bool mirrors_take_turn(struct serve_mirrors *mirrors, struct serve_backup *turn);

/* ---- mirror_start.c ---- */

struct mirror_start {
	const struct json_t *request;
	struct json_t *reply; /* owned by the asker */
	bool done;
	struct error err;
};

/* By the keeper. */
int mirrors_start(struct serve_mirrors *mirrors, const struct mirror_start *start,
		  struct error *err);

/* ---- mirror_requests.c ---- */

int mirrors_open(struct serve *serve, struct error *err);
/* Both NULL-safe. Once no guest writes any more: what the targets have is noted, and mirrors end;
 * the drives stay open. Then, once the drives are closed: the keeper ends. */
void mirrors_close(struct serve_mirrors *mirrors);
void mirrors_free(struct serve_mirrors *mirrors);
/* A request whose name begins with "mirror-". */
int serve_mirror(struct serve *serve, int fd, const struct json_t *request, struct error *err);

#endif
