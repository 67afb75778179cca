/*
 * A machine, as a backup sees it: asked for its drives, for one instant of all of them, and for
 * what they held then. There are several kinds (machine/kinds.h), and one way to use them:
 *
 *   open      connects, and finds the drives asked for; nothing is changed in the machine
 *   archive   if it can be a parent: told the archive's uuid
 *   changes_now, look   push, serve: whether what they recorded is right
 *   distrust  if it is not; of pull after changes
 *   token     of each drive: what the instant to come will be called
 *   begin     the instant, with the guest frozen around it if that is asked for; when it fails,
 *             nothing of it is left in the machine
 *   changes   of each drive: what changed since the instant that begin was told of
 *   drive     images, pull, libvirt: each drive as it was at the instant, to be swept over
 *   check     of these: whether what was read of them so far was of that instant
 *   chunks    push, serve: clusters as they come
 *   finish    all was read: whether all of it was of that instant; then nothing is left in the
 *             machine but what records changes for the next backup
 *   commit    the archive is durable and has its name: its instant becomes a checkpoint
 *   explain   something failed after begin: why, if the machine knows better; ends it as finish
 *   outcome   after finish: what it was like
 *   end       frees; *out of an open that failed, too. After begin, finish or explain come before
 *
 * Warnings are told to the watcher by open, begin, finish, explain and commit.
 *
 * One backup at a time in a process. Not thread-safe but for chunks and check. A signal: see
 * base/stop.h; each kind registers what has to be done.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "base/clusterset.h"
#include "machine/options.h"

struct chunk_source;
struct drive;
struct json_t;
struct machine;
struct watcher;

struct machine_drive {
	const char *name; /* in the archive; passed the allow-list */
	const char *path; /* the file it lies in, or NULL */
	uint64_t size_bytes;
	bool decrypted;	     /* it is encrypted where it lies, and what is read of it is not */
	uint64_t data_bytes; /* of kinds with chunks: an estimate of what will come; 0: unknown */
};

struct machine_config {
	const char *name;
	struct text data; /* when path is NULL */
	const char *path; /* a file to read; one that cannot be read is worth a warning */
};

/* All is borrowed from the machine, until its end. */
struct machine_description {
	const struct machine_drive *drives;
	uint32_t n_drives;
	const struct machine_config *configs; /* that a user's config of the same name replaces */
	uint32_t n_configs;
	/* The drives, if they are images that are off: [NAME=]DRIVE[,format=FMT] each. Or NULL. */
	const struct strings *images;
	bool is_running; /* a guest works beside the backup, which leaves it the processor */
};

/* What the archive is to have of each drive: all of it, or what changed since an earlier instant.
 */
struct machine_since {
	const uint8_t *uuid; /* UUID_SIZE bytes: the archive's. NULL: it can be nobody's parent */
	const char *const *tokens; /* of each drive: what the instant was called; NULL: all of it.
				      NULL: all of all drives. Borrowed during begin */
	const uint8_t *parent; /* UUID_SIZE bytes: of the archive that has the tokens. Or NULL */
};

/* What became of the archive. */
struct machine_archive {
	uint64_t raw_bytes; /* of its clusters with data, whole */
	uint64_t written_bytes;
	bool is_piped; /* whether it was kept is not known */
};

/* What changed in a drive, as the machine recorded it. */
struct machine_changes {
	bool known;
	struct cluster_set set; /* the caller's, if known; it may name more than has changed */
	char why[200]; /* why it is not known; empty: the token is none that this machine gave */
};

/* Takes a cluster of a drive, as it is now. bytes: NULL: zeros. Called by one thread. */
struct machine_taker {
	int (*take)(void *context, uint64_t cluster, const uint8_t *bytes, struct error *err);
	void *context;
};

struct machine_kind {
	int (*open)(struct machine **out, const struct machine_options *options,
		    const struct watcher *watcher, struct error *err);
	void (*describe)(const struct machine *machine, struct machine_description *out);
	/* NULL: need not know. UUID_SIZE bytes. */
	void (*archive)(struct machine *machine, const uint8_t *uuid);
	/* NULL, and the answer: nothing records in this drive. Borrowed. What begin will make may
	 * be told as since of later backups; if begin fails it means nothing. */
	const char *(*token)(const struct machine *machine, uint32_t i);
	/* NULL: there is nothing to do. */
	int (*begin)(struct machine *machine, const struct machine_since *since, struct error *err);
	/* NULL: never known. Of a drive for which begin was given a token. Kinds that hand over
	 * chunks bring at least these clusters of it, and need not bring more. */
	int (*changes)(struct machine *machine, uint32_t i, struct machine_changes *out,
		       struct error *err);
	/* These two: before begin, so that what the machine recorded can be proved. NULL: kinds
	 * that hand over drives; of these the instant can be read. First: as changes, of that
	 * since, but by now. */
	int (*changes_now)(struct machine *machine, uint32_t i, const struct machine_since *since,
			   struct machine_changes *out, struct error *err);
	/* Hands over the clusters of the set as they are now, and perhaps others, in any order. */
	int (*look)(struct machine *machine, uint32_t i, const struct cluster_set *set,
		    const struct machine_taker *taker, struct error *err);
	/* What it recorded of the drive was found wrong, and counts no more: its token changes.
	 * Kinds without look: after changes. NULL: each instant is recorded by itself. */
	int (*distrust)(struct machine *machine, uint32_t i, struct error *err);
	/* Whether it may know by the parent's uuid alone what changed since (cow/rebuilt.h). */
	bool rebuilds;
	/* NULL for kinds that hand over chunks. *out is borrowed. */
	int (*drive)(struct machine *machine, uint32_t i, struct drive **out, struct error *err);
	/* Of these kinds: whether all that was read of them before this call was of the instant.
	 * Any thread, one at a time, between begin and finish. */
	int (*check)(struct machine *machine, struct error *err);
	/* NULL for kinds that hand over drives. *out is borrowed. */
	int (*chunks)(struct machine *machine, uint32_t piece_clusters,
		      const struct chunk_source **out, struct error *err);
	/* These two: NULL: there is nothing to do. */
	int (*finish)(struct machine *machine, struct error *err);
	int (*explain)(struct machine *machine, struct error *err);
	/* NULL: there is nothing to do. Not called when begin was told of no uuid. Returns in how
	 * many drives a bitmap of the machine's records for the next backup. The archive is
	 * whole even if this fails. */
	int (*commit)(struct machine *machine, const struct machine_archive *archive,
		      struct error *err);
	/* NULL: nothing. Puts what the instant cost and what was captured into a JSON object, which
	 * may be NULL, and tells the watcher of it in a line. */
	void (*outcome)(struct machine *machine, struct json_t *capture);
	void (*end)(struct machine *machine); /* NULL-safe */
};

#endif
