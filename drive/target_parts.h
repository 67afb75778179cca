/*
 * The functions of each kind of target, what target.c keeps for all kinds, and what kinds have in
 * common. Private to drive/.
 */
#ifndef DRIVE_TARGET_PARTS_H
#define DRIVE_TARGET_PARTS_H

#include "drive/backing.h"
#include "drive/target.h"

#include <pthread.h>
#include <stddef.h>

struct target_kind {
	size_t size; /* of its own struct, whose first member is a struct target */
	/* Fills it after target.c has filled that member. */
	int (*open)(struct target *target, const struct target_options *options, struct error *err);
	int (*write)(struct target *target, uint64_t offset, const void *bytes, size_t n,
		     struct error *err);
	/* NULL: the caller writes whole clusters, and finish zeroes all others. */
	int (*zero)(struct target *target, uint64_t offset, uint64_t n, struct error *err);
	int (*settle)(struct target *target, struct error *err); /* or NULL: see target_settle */
	/* The zeros that come last, the size, syncing. */
	int (*finish)(struct target *target, struct error *err);
	/* See target_read and target_keep; NULL: no rollback, nothing to be done. */
	int (*read)(const struct target *target, uint64_t offset, void *bytes, size_t n);
	void (*keep)(struct target *target, uint64_t offset, uint64_t n);
	void (*close)(struct target *target); /* once open was called; frees neither struct */
};

struct target {
	const struct target_kind *kind;
	char *path;	     /* owned */
	uint64_t size_bytes; /* of the drive */
	bool sync, rollback;
	bool hold, settled;
	struct newfile *temp; /* what target_publish names, if it is new */
	bool replaces;	      /* then: what has the name by now */
	char *held;	      /* see target_held; owned */
	_Atomic uint64_t written_bytes;
	uint64_t excess_bytes; /* see target_excess */
};

extern const struct target_kind target_new_file, target_old_file, target_device;
extern const struct target_kind target_server; /* an NBD URI */
extern const struct target_kind target_stream; /* standard output */
extern const struct target_kind target_image;  /* another format than raw */

/* ---- target_raw.c: files and block devices ---- */

#define SENT_N 4 /* parts whose write-back is waited for when as many more have begun */

struct sent {
	uint64_t begin, n; /* offset, bytes; n is 0: none */
};

struct target_raw {
	struct target target;
	struct image image;
	struct disk disk;
	/* One writer at a time: a file system lets only one into a file anyway, and threads that
	 * wait in the kernel spin on a processor that decoding needs. */
	pthread_mutex_t writing;
	/* Written data whose write-back was not started; under writing. */
	uint64_t unsent_begin, unsent_end; /* offsets: it all lies in between */
	uint64_t unsent_bytes;
	struct sent sent[SENT_N]; /* the latest, in turn; under writing */
	unsigned n_sent;
};

/* To be called first, so that it can be closed. */
void target_raw_init(struct target_raw *raw);
/* Opens and locks what exists at its path, and checks its content unless the format was given. */
int target_raw_open(struct target_raw *raw, const struct target_options *options,
		    enum content_use use, struct error *err);
void target_raw_close(struct target_raw *raw);

/* As in struct target_kind. */
int target_raw_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		     struct error *err);
int target_raw_read(const struct target *target, uint64_t offset, void *bytes, size_t n);
/* The error of writing at this byte; 0 if sys is 0. */
int target_raw_result(const struct target *target, int sys, uint64_t offset, struct error *err);

/* ---- rest.c ----
 *
 * The parts of a device or an NBD export that a restore did not write, and which must be zeroed in
 * the end.
 */

struct rest;

/* For a drive of size_bytes and a device of room_bytes: ERR_USAGE if that is too small. Because
 * volumes are rounded up, up to 4 MiB past the drive belong to the rest; more is left alone. */
int rest_new(struct rest **out, const char *path, uint64_t size_bytes, uint64_t room_bytes,
	     struct error *err);
void rest_free(struct rest *rest); /* NULL-safe */

uint64_t rest_end(const struct rest *rest);    /* the device becomes ours up to this byte */
uint64_t rest_excess(const struct rest *rest); /* bytes beyond that */

/* Marks bytes of the drive as written: whole clusters, except at its end. Any thread. */
void rest_mark_bytes(struct rest *rest, uint64_t offset, uint64_t n);
void rest_mark(struct rest *rest, uint64_t cluster, uint64_t n_clusters);
bool rest_has(const struct rest *rest, uint64_t cluster);

/* The first run of unwritten clusters from *cluster on, at most max of them. False: there is none.
 */
bool rest_next(const struct rest *rest, uint64_t *cluster, uint64_t *n_clusters, uint64_t max);

#endif
