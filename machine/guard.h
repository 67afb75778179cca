/*
 * The guard process of a backup: this program again (vmabak guard, cli/cmd_guard.c), in a session
 * of its own, which shares nothing with the backup but a socket. It freezes and thaws the machine,
 * so that the machine is thawed in time even when the backup is stopped or killed, and it cleans up
 * after a backup that was killed.
 *
 *   backup                                  guard
 *   GUARD_FREEZE, perhaps a connection ->   freezes
 *                                      <-   GUARD_FREEZE, and how that went
 *   takes the instant
 *   GUARD_THAW                         ->   (or the time is up, or the backup has gone:) thaws
 *                                      <-   GUARD_THAW, how that went, and whether the word came
 *                                           in time
 *   the other words, at any time       ->   the last one says what there is to clean up once the
 *                                           backup has gone
 *                                      <-   GUARD_STOPPED: the backup was stopped (SIGSTOP) while
 *                                           there was; the guard has had it go on
 */
#ifndef MACHINE_GUARD_H
#define MACHINE_GUARD_H

#include "base/error.h"
#include "machine/options.h"

struct held;

enum guard_word {
	GUARD_FREEZE = 'F',
	GUARD_THAW = 'T',
	GUARD_BEGINS = 'B',  /* what has to be ended may begin at any moment */
	GUARD_BEGAN = 'J',   /* it has begun */
	GUARD_PENDING = 'P', /* it has ended; what it has made does not count yet, and is to go */
	GUARD_DONE = 'D',    /* nothing is left to clean up */
	GUARD_READS = 'R',   /* of a mirror: an export is read, the jobs are to stay */
	GUARD_HOLD = 'H',    /* with a socket to QEMU (machine/held.h) */
	GUARD_STOPPED = 'S',
};

#define GUARD_FD 3 /* the guard's end of the socket */

struct guard_answer {
	enum guard_word word; /* GUARD_FREEZE, GUARD_THAW or GUARD_STOPPED */
	bool in_time;	      /* GUARD_THAW: the backup had asked for it before the time was up */
	uint64_t n_frozen;    /* GUARD_FREEZE: file systems, as far as they are known */
	struct error err;
};

/* ---- in the backup ---- */

struct guard;

/* Starts it, before anything is done to the machine. Until it has ended, ^Z does not stop this
 * process. source: the kind of the machine, "qemu",
 * "libvirt" or "serve". id: of the run; NULL: there will be nothing to clean up. */
int guard_start(struct guard **out, const char *source, const struct machine_options *options,
		const char *id, struct error *err);

/* A guard that has died is found out by guard_hear. connection: a descriptor for the freezer, or
 * -1. */
void guard_tell(struct guard *guard, enum guard_word word, int connection);

/* Has the guard keep a duplicate of a socket to QEMU until the backup has gone and all is cleaned
 * up. */
int guard_hold(struct guard *guard, int fd, struct error *err);

/* Waits for the answer to this word. 1: there it is; 0: not in time; ERR_SYSTEM: the guard has
 * died. */
int guard_hear(struct guard *guard, enum guard_word word, uint64_t timeout_s,
	       struct guard_answer *out, struct error *err);

/* ERR_SYSTEM: this process was stopped between GUARD_BEGINS and now. A guest may have waited for
 * it, and may again: the backup is to be given up. */
int guard_check_going(struct guard *guard, struct error *err);

/* Has the guard clean up now, after a thaw that it has yet to do. True: it has ended within the
 * time, and did all. May be called again, and by another thread than the one that hears. */
bool guard_hang_up(struct guard *guard, unsigned timeout_s);
void guard_free(struct guard *guard); /* hangs up first; NULL-safe */

/* The end of a backup, and of *guard. done: nothing is left to clean up; otherwise the guard does
 * what it can, in the background. NULL-safe. */
void guard_end(struct guard *guard, bool done);

/* ---- in the guard ---- */

/* What an attempt to freeze may use. */
struct freezing {
	uint64_t limit_s;
	int64_t until_ms;  /* of base/clock.h: the end of that limit */
	int backup;	   /* its socket, readable once the backup gives up or has gone */
	int connection;	   /* that came with the word, or -1; a freezer may take it and set -1 */
	uint64_t n_frozen; /* file systems: a freezer adds those that it froze */
};

struct freezer;

/* One way to freeze a machine. */
struct freezer_kind {
	unsigned limit_s; /* if the user gives none: for freezing, and then for the instant */
	/* Returns once the limit has passed; a freeze that came about too late is an error. */
	int (*freeze)(struct freezer *freezer, struct freezing *attempt, struct error *err);
	/* Called once after each freeze, whatever that returned: a freeze that failed may have come
	 * about, or may yet. Takes as long as it takes. */
	int (*thaw)(struct freezer *freezer, struct error *err);
};

struct freezer {
	const struct freezer_kind *kind;
	const struct machine_options *options; /* borrowed */
	void *state;			       /* from freeze to thaw */
};

/* Does what the backup at fd asks for, and thaws the machine in time whatever becomes of the
 * backup. Several freezers freeze in this order and thaw in the reverse one. Returns when the
 * backup has gone: its last word but GUARD_FREEZE, GUARD_THAW and GUARD_HOLD; 0: there was none.
 * held: gets what is to be held. */
char guard_serve(int fd, struct freezer *freezers, unsigned n, struct held *held);

/* The user's limit, or else that one. */
uint64_t guard_limit_s(const struct machine_options *options, unsigned otherwise);

#endif
