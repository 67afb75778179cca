/*
 * What each kind of drive brings, and what drive.c keeps for all of them. Private to drive/.
 */
#ifndef DRIVE_KIND_H
#define DRIVE_KIND_H

#include "drive/drive.h"

#include <pthread.h>

/* drive.c checked the range and shortens an answer that reaches too far. The threads are those of
 * drive.h. */
struct drive_ops {
	int (*read)(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		    struct error *err);
	int (*status)(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err);
	bool (*changed)(struct drive *drive);
	/* How many bytes from offset on are known to be zeros, 0 if none: cheap, any thread. May be
	 * NULL: that is not known without asking. */
	uint64_t (*zeros)(struct drive *drive, uint64_t offset);
	/* For guests: any thread, several at once; 0 or an errno value. NULL where drive->writable
	 * is not set; read_now may be NULL anyway. */
	int (*read_now)(struct drive *drive, uint64_t offset, void *to, uint32_t n);
	int (*write)(struct drive *drive, uint64_t offset, const void *from, uint32_t n,
		     unsigned flags);
	int (*zero)(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags);
	int (*trim)(struct drive *drive, uint64_t offset, uint64_t n);
	int (*flush)(struct drive *drive);
	/* May be NULL: there is no cache of the host's to care for. */
	void (*expect)(struct drive *drive, uint64_t offset, uint64_t n, bool *cold);
	void (*forget)(struct drive *drive, uint64_t offset, uint64_t n);
	void (*close)(struct drive *drive); /* frees its struct, but not the path */
};

/* The first member of each kind's own struct. */
struct drive {
	const struct drive_ops *ops;
	uint64_t size_bytes;
	bool writable;
	char *path;		/* owned by drive.c */
	char *warning;		/* owned by drive.c; NULL: none */
	pthread_mutex_t asking; /* held while ops->status runs */
};

/* Each opens path, which is borrowed and outlives the drive, and sets all but drive->path. */
int drive_file_open(struct drive **out, const char *path, const struct drive_options *options,
		    struct error *err);
int captive_open(struct drive **out, const char *path, const struct drive_options *options,
		 struct error *err);
/* An NBD URI. */
int drive_nbd_open(struct drive **out, const char *uri, const struct drive_options *options,
		   struct error *err);

#endif
