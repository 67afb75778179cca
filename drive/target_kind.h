/*
 * The functions of each kind of target, and what target.c keeps for all kinds. Private to drive/.
 */
#ifndef DRIVE_TARGET_KIND_H
#define DRIVE_TARGET_KIND_H

#include "drive/target.h"

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
	/* The zeros that come last, the size, syncing, the name. */
	int (*finish)(struct target *target, struct error *err);
	void (*close)(struct target *target); /* once open was called; frees neither struct */
};

struct target {
	const struct target_kind *kind;
	char *path;	     /* owned */
	uint64_t size_bytes; /* of the drive */
	bool sync;
	bool settled;
	uint64_t excess_bytes; /* see target_excess */
};

extern const struct target_kind target_new_file, target_old_file, target_device;
extern const struct target_kind target_server; /* an NBD URI */
extern const struct target_kind target_image;  /* another format than raw */

#endif
