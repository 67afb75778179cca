/*
 * What each kind of target brings, and what target.c keeps for all. Private to target/.
 */
#ifndef READER_TARGET_KIND_H
#define READER_TARGET_KIND_H

#include "reader/target/target.h"
#include "base/newfile.h"

#include <stdatomic.h>
#include <sys/stat.h>

struct target_kind {
	int (*zero)(struct target *target, uint64_t offset, uint64_t n, struct error *err);
	/* The size, and what lies past the drive; sync and the rest are target.c's. */
	int (*finish)(struct target *target, struct error *err);
};

struct target {
	const struct target_kind *kind;
	char *path; /* owned */
	int fd;
	bool sync;
	uint64_t size_bytes;	  /* of the drive */
	uint64_t old_bytes;	  /* up to here the target holds what was there before */
	uint32_t grain;		  /* bytes: what punching in a device must be aligned to */
	atomic_bool cannot_punch; /* it failed once */
	struct newfile *temp;	  /* a new file, or NULL */
};

/* Each fills a struct that has path, fd -1 and size_bytes. */
int target_file_create(struct target *target, struct error *err);
int target_file_open(struct target *target, struct error *err);
int target_device_open(struct target *target, struct error *err);

/* Punches a hole if that works here. False: the caller must write zeros. */
bool target_punch(struct target *target, uint64_t offset, uint64_t n);
int target_pwrite(struct target *target, uint64_t offset, const void *bytes, size_t n,
		  struct error *err);
/* ERR_LOCKED when a QEMU or another target uses what is open. Held until it is closed. */
int target_lock(const struct target *target, struct error *err);

#endif
