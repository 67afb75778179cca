/*
 * The functions of each kind of drive, and what drive.c keeps for all kinds. Private to drive/.
 */
#ifndef DRIVE_KIND_H
#define DRIVE_KIND_H

#include "drive/drive.h"

#include <pthread.h>

/* drive.c has checked the ranges, and shortens a status that reaches too far. Threads as in
 * drive.h. */
struct drive_ops {
	int (*read)(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		    struct error *err);
	int (*status)(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err);
	bool (*changed)(struct drive *drive);
	/* As drive_zeros, but it may reach past the drive's end. Cheap. NULL: always 0. */
	uint64_t (*zeros)(struct drive *drive, uint64_t offset);
	/* For guests: any thread, several at the same time; 0 or an errno value. NULL unless
	 * drive->writable is set; read_now may always be NULL. */
	int (*read_now)(struct drive *drive, uint64_t offset, void *to, uint32_t n);
	int (*write)(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
		     unsigned flags);
	int (*zero)(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags);
	int (*trim)(struct drive *drive, uint64_t offset, uint64_t n);
	int (*flush)(struct drive *drive);
	/* NULL: no host page cache to manage. */
	void (*expect)(struct drive *drive, uint64_t offset, uint64_t n, bool *cold);
	void (*forget)(struct drive *drive, uint64_t offset, uint64_t n);
	void (*close)(struct drive *drive); /* frees its struct, but not the path */
};

/* The first member of the struct of each kind. */
struct drive {
	const struct drive_ops *ops;
	uint64_t size_bytes;
	bool writable;
	bool no_holes;			/* set by drive.c */
	char *path;			/* owned by drive.c */
	char *warning;			/* owned by drive.c; NULL: none */
	const struct cluster_set *used; /* borrowed; NULL: all */
	pthread_mutex_t asking;		/* held while ops->status runs */
};

/* What drive.c keeps, once a kind has set up the rest. Takes over path. */
void drive_set_up(struct drive *drive, char *path);

/* They open path, which is borrowed and outlives the drive, and set everything but drive->path. */
int drive_file_open(struct drive **out, const char *path, const struct drive_options *options,
		    struct error *err);
int captive_open(struct drive **out, const char *path, const struct drive_options *options,
		 struct error *err);
int drive_stdin_open(struct drive **out, const char *path, const struct drive_options *options,
		     struct error *err);
int drive_nbd_open(struct drive **out, const char *uri, const struct drive_options *options,
		   struct error *err); /* an NBD URI */

#endif
