/*
 * What each kind of target brings, and what target.c keeps for all. Private to target/.
 */
#ifndef DRIVE_TARGET_KIND_H
#define DRIVE_TARGET_KIND_H

#include "drive/target.h"
#include "drive/rest.h"
#include "base/newfile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

struct nbdclient;
struct qemu_nbd;

struct target_kind {
	/* NULL: to the descriptor, one at a time. */
	int (*write)(struct target *target, uint64_t offset, const void *bytes, size_t n,
		     struct error *err);
	int (*zero)(struct target *target, uint64_t offset, uint64_t n, struct error *err);
	int (*settle)(struct target *target, struct error *err); /* or NULL: see target_settle */
	/* The size, zeros that come last, and what lies past the drive; sync and the rest are
	 * target.c's. */
	int (*finish)(struct target *target, struct error *err);
	void (*close)(struct target *target); /* of what is its own; or NULL */
	bool keeps_rest; /* what lies far past the drive: its size is not ours to change */
	bool zeros_last; /* whole clusters are written, and finish zeroes all others: no zero */
};

struct target {
	const struct target_kind *kind;
	char *path;	    /* owned */
	const char *format; /* borrowed until it is open */
	bool told;	    /* the format: by the user, not by the name */
	int fd;		    /* -1: none */
	bool sync;
	bool settled;
	uint64_t size_bytes; /* of the drive */
	uint64_t old_bytes;  /* up to here the target holds what was there before */
	uint64_t end_bytes;  /* up to here it becomes ours: the drive, and what little lies past */
	struct rest *rest;   /* with zeros_last: up to end_bytes */
	uint32_t grain;	     /* bytes: what is looked at and zeroed in a device */
	int look_fd;	     /* of a device, past the page cache; -1: none */
	uint64_t n_blanked;  /* times that zeros were written to a device */
	atomic_bool cannot_punch; /* it failed once */
	/* One writer at a time: a file system lets only one into a file anyway, and those who wait
	 * in the kernel burn the processor that decodes. */
	pthread_mutex_t writing;
	/* What was written and is not on its way to the disk yet; under writing. */
	uint64_t unsent_begin, unsent_end; /* offsets: all of it lies between */
	uint64_t unsent_bytes;
	struct newfile *temp; /* a new file, or NULL */
	bool replace;	      /* temp may take the place of another */
	int replaced_fd;      /* that one, locked; -1: none */
	struct nbdclient *client;
	struct qemu_nbd *server; /* which has the client; NULL: the client is ours */
};

/* Each fills a struct that has path, format, descriptors of -1 and size_bytes. */
int target_file_create(struct target *target, struct error *err);
int target_file_open(struct target *target, struct error *err);
int target_device_open(struct target *target, struct error *err);
int target_nbd_open(struct target *target, const struct target_options *options, struct error *err);
int target_image_open(struct target *target, bool exists, struct error *err);

/* What exists and nobody said a format for must not look like an image of another one: what reads
 * it would be at a loss afterwards. target->fd can be read, or client is one, or replaced_fd. */
int target_check_content(const struct target *target, uint64_t old_bytes, struct error *err);
/* Whether what has old_bytes has room for the drive; sets end_bytes and rest. */
int target_fit(struct target *target, struct error *err);

/* Punches a hole if that works here. False: the caller must write zeros. */
bool target_punch(struct target *target, uint64_t offset, uint64_t n);
int target_pwrite(struct target *target, uint64_t offset, const void *bytes, size_t n,
		  struct error *err);
/* ERR_LOCKED when a QEMU, another target or what drive/inuse.h tells uses what is open. Held until
 * it is closed. */
int target_lock(const struct target *target, int fd, struct error *err);

#endif
