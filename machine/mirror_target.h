/*
 * The target of a mirror: opened, and created if it is a file that is missing.
 */
#ifndef MACHINE_MIRROR_TARGET_H
#define MACHINE_MIRROR_TARGET_H

#include "base/error.h"

struct drive;
struct mirror_watch;

/* What a target has to be for, and may do. */
struct mirror_target {
	const char *path;   /* from the root, or an NBD URI */
	const char *format; /* NULL: by the name */
	uint64_t size_bytes;
	bool force;
	bool known;	    /* it is ours, by the state file: its content is kept, if it is there */
	bool beside;	    /* an NBD export that is written to by one other client */
	const char *socket; /* of an image, for one other client: see drive_options */
	/* Out. */
	bool reads_zeros; /* it is new, or was emptied */
	uint64_t inode;
	bool answers_late;
};

/* Whether it is no image in another format: a raw file or device, or an NBD URI. */
bool mirror_target_is_raw(const struct mirror_target *target);
/* A number that stays with a file, and that no other has; 0: none is there. */
uint64_t mirror_target_inode(const char *path);
/* Whether the file that is written to, with that inode, is still the one of that name, and a raw
 * one no shorter than it was made. */
int mirror_target_check(const struct mirror_target *target, struct error *err);
/* That, again and again. *out: NULL if it is no file; ended by free(). */
int mirror_target_watch(struct mirror_watch **out, const struct mirror_target *target,
			struct error *err);
/* Whether a raw file, of which the state says what it has, has another size than the drive. */
bool mirror_target_resized(const struct mirror_target *target);
/* Whether it may be opened as this says: before anything is promised of it. */
int mirror_target_look(const struct mirror_target *target, struct error *err);
/* Opens it for writing, and creates it if it is a file that is missing. The thread that does so
 * must outlive the drive. */
int mirror_target_open(struct drive **out, struct mirror_target *target, struct error *err);

#endif
