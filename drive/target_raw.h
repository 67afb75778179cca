/*
 * What files and block devices have in common as targets.
 */
#ifndef DRIVE_TARGET_RAW_H
#define DRIVE_TARGET_RAW_H

#include "drive/disk.h"
#include "drive/image.h"
#include "drive/target_kind.h"

#include <pthread.h>

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
/* The error of writing at this byte; 0 if sys is 0. */
int target_raw_result(const struct target *target, int sys, uint64_t offset, struct error *err);

#endif
