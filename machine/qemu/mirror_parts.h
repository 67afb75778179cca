/*
 * Private to machine/qemu/mirror*.c.
 */
#ifndef MACHINE_QEMU_MIRROR_PARTS_H
#define MACHINE_QEMU_MIRROR_PARTS_H

#include "base/clusterset.h"
#include "base/grain.h"
#include "base/pace.h"
#include "machine/rundir.h"
#include "nbd/client.h"

#include <pthread.h>
#include <stdatomic.h>

struct drive;
struct guard;
struct json_t;
struct qmp;
struct watcher;

#define MIRROR_DRIVES_MAX  64u
#define MIRROR_NAME_SIZE   32u
#define MIRROR_SYNC_BYTES  (UINT64_C(1) << 20) /* left, at most, when a drive is in sync */
#define MIRROR_BATCH_BYTES (UINT64_C(64) << 20)
#define MIRROR_PENDING_MS  1000 /* until all jobs are pending, or a pivot is given up */

/* ---- mirror_names.c ---- */

char *mirror_name(char out[MIRROR_NAME_SIZE], const char *id, unsigned drive);
/* With an ending: "f" the node of its file, "r" and "t" bitmaps. */
char *mirror_part(char out[MIRROR_NAME_SIZE], const char *id, unsigned drive, const char *part);
char *mirror_keep_name(char out[MIRROR_NAME_SIZE], const char *id, unsigned generation);
/* id NULL: of any. */
bool mirror_name_is(const char *name, const char *id);
bool mirror_keep_name_is(const char *name, const char *id);
/* The run directory of a monitor's place. Owned; NULL: no memory. control: of its control socket.
 */
char *mirror_rundir(const char *place);
char *mirror_control(const char *rundir);

/* ---- mirror_output.c: the target, as we write to it beside QEMU ---- */

struct mirror_output {
	int fd;		     /* of a file or device; -1: none */
	struct drive *drive; /* of an NBD URI or image; owned; or NULL */
	bool wide;	     /* it is larger than the drive */
	int lost;	     /* an errno of a flush: it is told once, and never forgotten here */
	char *socket;	     /* of an image: where QEMU gets at it, too; owned. NULL: none */
	bool handed;	     /* QEMU has the image alone */
};

struct mirror_target;
/* Checks that nobody else uses it, and opens it. */
int beside_open(struct mirror_output *out, struct mirror_target *target, struct error *err);
void beside_close(struct mirror_output *output);
/* An errno, or 0. */
int beside_put(struct mirror_output *output, uint64_t offset, const uint8_t *bytes, uint64_t n);
int beside_zero(struct mirror_output *output, uint64_t offset, uint64_t n);
int beside_flush(struct mirror_output *output);

/* ---- what a mirror is ---- */

struct mirrored {
	unsigned i;
	const char *id; /* of the run; borrowed */
	char *name;	/* the texts are owned */
	bool by_node;	/* that is the node's: no device has one */
	char *node;	/* the drive's */
	char *file;	/* of the drive; NULL: QEMU does not say */
	char *target, *format;
	char *image_format; /* of the file; NULL: unknown */
	uint64_t size_bytes, n_clusters, inode;
	bool persistent;     /* its keep is */
	bool direct;	     /* QEMU uses no page cache for it */
	bool target_direct;  /* nor for the image that is its target */
	bool made;	     /* the target's file is new */
	bool fresh;	     /* the target reads as zeros where nothing was written */
	bool ours;	     /* by the state, a mirror began on that very file */
	bool known;	     /* by the state, with keep */
	bool again;	     /* the state had that target */
	uint64_t n_known;    /* of the first so many clusters it has all but what keep has */
	unsigned generation; /* of keep */
	bool keeps;	     /* keep is there */
	bool has_markers;    /* on the drive's node, and the target's */

	struct mirror_output output;
	struct drive *from; /* QEMU's export */
	struct cluster_set need,
		seen;	  /* to be copied; written by the guest, so that the job copies */
	uint64_t cursor;  /* all before it was copied */
	uint64_t reached; /* behind it nothing was written yet */
	struct cluster_set doubtful; /* where that may be older than what the job wrote */
	struct pace pace;
	bool has_job;
	bool drained; /* a generation of keep is to be cut once the target is flushed */
	bool failed;  /* under mirror->lock, as err */
	struct error err;
	_Atomic uint64_t need_bytes, copied_bytes, job_bytes; /* left, done, left to the job */
	int64_t compared_ms; /* when the job's figures were compared, 0: not yet, and what they were
			      */
	uint64_t compared_done, compared_left, most_left;
	_Atomic unsigned n_worse;   /* comparisons in a row by which it came no nearer to its end */
	int64_t noted_ms, tried_ms; /* when progress was noted; when keep was to be cut */
	bool was_cut;
};

enum mirror_phase { MIRROR_RUNS, MIRROR_ABORTED, MIRROR_PIVOTED, MIRROR_GONE };

struct qemu_mirror {
	const char *place;
	const struct watcher *watcher;
	char id[RUN_ID_SIZE];	    /* of this run */
	char state_id[RUN_ID_SIZE]; /* of the state file */
	char *rundir, *control;	    /* owned */
	char *server; /* owned: the socket of QEMU's own NBD server; NULL: one is started */
	bool serves;  /* it was */
	bool exported;
	bool has_iothreads;  /* with which QEMU does not outlive a client of its exports */
	struct guard *guard; /* of the connections; NULL: they are not held */
	struct nbdclient_hold hold;
	char *state; /* owned; NULL: none */
	int lock;
	struct mirrored drives[MIRROR_DRIVES_MAX];
	unsigned n_drives;
	_Atomic uint64_t rate;
	atomic_bool hurry;   /* a pivot does not hold to the rate */
	atomic_bool leaving; /* it is asked something: a batch, or a wait, is broken off */
	uint64_t standstill_ns;
	bool is_instant; /* after an abort: the targets are what the drives were at one */

	pthread_mutex_t lock_all; /* guards what follows */
	pthread_cond_t changed;
	enum mirror_phase phase;
	bool withdrawn; /* nobody waits for the pivot any more */
	bool committed; /* it is too late for that */
};

/* ---- mirror_state.c ---- */

/* What the file says of these drives; one that is missing says nothing. */
int qmirror_read_state(struct qemu_mirror *mirror, struct error *err);
/* Durable when it returns; without a file nothing is done. */
int qmirror_write_state(const struct qemu_mirror *mirror, const char *phase, struct error *err);

/* ---- mirror_status.c ---- */

/* Of each look at the job: whether guests write faster than the target takes it is judged in
 * seconds, and only once all was copied, as what was left to the job until then waits for us. */
void qmirror_compare(struct mirrored *drive, uint64_t done_bytes, uint64_t left_bytes,
		     int64_t now_ms);
void qmirror_put_status(struct qemu_mirror *mirror, struct json_t *out);
/* The answer to a start that went well. Owned. */
struct json_t *qmirror_begun(const struct qemu_mirror *mirror);

/* ---- mirror_bits.c ---- */

/* Adds one to a node that has the last cluster, and does not record: others get it from there. To
 * bring it in from a file takes a node, and newer QEMUs wait for all requests when one is added or
 * removed, with the guest, also for those to a target that gives no answer. */
int bits_add_marker(struct qmp *qmp, const struct mirrored *drive, const char *node,
		    struct error *err);
/* Adds a bitmap that records. marked: with the last cluster. */
int bits_add(struct qmp *qmp, const struct mirrored *drive, const char *name, bool marked,
	     struct error *err);
int bits_remove(struct qmp *qmp, const struct mirrored *drive, const char *name, struct error *err);
/* All bitmaps of keep with the state's id that a node has, but for that generation. */
int bits_remove_keeps(struct qmp *qmp, const char *node, const char *state_id, int generation,
		      struct error *err);
/* Of any state, on all nodes. *any: there were some. */
int bits_forget_keeps(struct qmp *qmp, bool *any, struct error *err);
/* What the guest has written since it was asked last, into an empty set. 1: something; 0: nothing.
 */
int bits_harvest(struct qmp *qmp, const struct mirrored *drive, struct cluster_set *out,
		 struct error *err);
/* What keep has. 1; 0: it is not there, or cannot be believed. */
int bits_keep(struct qmp *qmp, const struct mirrored *drive, const char *state_id,
	      struct cluster_set *out, struct error *err);
/* Of all bitmaps without a name, as those of jobs are, of a node, or of all: how much they have. */
int bits_of_jobs(struct qmp *qmp, const char *node, uint64_t *out, struct error *err);

/* ---- mirror_jobs.c ---- */

/* The node of the target, marked: with its marker, and the job, which is ready when it returns. */
int job_start(struct qmp *qmp, const struct mirrored *drive, uint64_t rate, bool marked,
	      struct error *err);
struct job_look {
	bool there, pending, concluded, paused;
	bool alone; /* QEMU has no other job */
	uint64_t done_bytes, left_bytes;
	char error[200]; /* or empty */
};
int job_look(struct qmp *qmp, const struct mirrored *drive, struct job_look *out,
	     struct error *err);
int job_set_rate(struct qmp *qmp, const struct mirrored *drive, uint64_t rate, struct error *err);
/* Ends the drive's job, whatever it does, and removes the target's node. */
int job_end(struct qmp *qmp, const struct mirrored *drive, struct error *err);
/* Ends all jobs of mirrors; guests that wait for one that is pending first. */
int job_end_all(struct qmp *qmp, struct error *err);
/* Everything of mirrors is taken out of QEMU, but keeps. socket: of the server that was started
 * for them. any: whether there was something; may be NULL. */
int mirror_clean(struct qmp *qmp, const char *socket, bool *any, struct error *err);
/* Whether a job of a mirror is there. */
int mirror_has_jobs(struct qmp *qmp, bool *out, struct error *err);
/* The file or device of the target. Owned; NULL: no memory. */
struct json_t *job_file_node(const struct mirrored *drive, bool direct);
/* Exports of the drives, to be copied from, and their end. */
int exports_start(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err);
int exports_end(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err);

/* ---- mirror_image.c: see there ---- */

/* The image was opened, and QEMU is about to use it. */
int image_admit(struct qmp *qmp, struct mirrored *drive, struct error *err);
/* QEMU uses it. */
void image_hide(struct mirrored *drive);
/* Of all images. Those of whose drives it failed have failed. */
int images_hand_over(struct qemu_mirror *mirror, struct error *err);

/* ---- mirror_held.c ---- */

/* Before there are connections to exports; does nothing where they need not be held. */
int held_start(struct qemu_mirror *mirror, struct error *err);
const struct nbdclient_hold *held_hold(const struct qemu_mirror *mirror);
/* done: the exports are gone; otherwise the guard ends them. */
void held_stop(struct qemu_mirror *mirror, bool done);

/* ---- mirror_uri.c ---- */

/* QEMU's node for an NBD URI: owned. NULL: err says why there can be none. */
struct json_t *mirror_uri_node(const char *uri, struct error *err);

/* ---- mirror_copy.c ---- */

/* A batch of what the target lacks. An error that is the drive's is noted there; any other is that
 * of QEMU's monitor. */
int qmirror_copy(struct qemu_mirror *mirror, struct mirrored *drive, struct error *err);
bool qmirror_copied(const struct mirrored *drive);
bool qmirror_in_sync(const struct mirrored *drive);
/* What is left of the set, from that cluster on. */
uint64_t qmirror_count(const struct mirrored *drive, uint64_t from);
void qmirror_fail(struct qemu_mirror *mirror, struct mirrored *drive, const struct error *why);

/* ---- mirror_begin.c ---- */

/* By a request of mirror_wish.c. Undoes what it did if it fails. */
int qmirror_begin(struct qemu_mirror *mirror, const struct json_t *request, struct error *err);

/* ---- mirror_note.c ---- */

/* Looks at the jobs; notes what targets have when it is due. */
int qmirror_tick(struct qemu_mirror *mirror, struct error *err);

/* ---- mirror_end.c ---- */

int qmirror_pivot(struct qemu_mirror *mirror, struct error *err);
int qmirror_abort(struct qemu_mirror *mirror, struct error *err);
/* The same without waiting for anything. */
int qmirror_force(struct qemu_mirror *mirror, struct error *err);

#endif
