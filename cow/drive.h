/*
 * What each kind of drive brings, and what drive.c keeps for all of them. Private to cow/.
 */
#ifndef COW_DRIVE_H
#define COW_DRIVE_H

#include "cow/cow.h"

/* drive.c checked the range and shortens an answer that reaches too far. The threads are those of
 * cow.h. */
struct drive_ops {
	int (*read)(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		    struct error *err);
	int (*status)(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err);
	bool (*changed)(struct drive *drive);
	/* May be NULL: there is no cache of the host's to care for. */
	void (*expect)(struct drive *drive, uint64_t offset, uint64_t n, bool *cold);
	void (*forget)(struct drive *drive, uint64_t offset, uint64_t n);
	void (*close)(struct drive *drive); /* frees its struct, but not the path */
};

/* The first member of each kind's own struct. */
struct drive {
	const struct drive_ops *ops;
	uint64_t size_bytes;
	char *path; /* owned by drive.c */
};

/* Each opens path, which is borrowed and outlives the drive, and sets all but drive->path. */
int drive_file_open(struct drive **out, const char *path, const struct drive_options *options,
		    struct error *err);
/* format is a name for qemu: lower-case letters and digits. */
int captive_open(struct drive **out, const char *path, const char *format, bool allow_writers,
		 struct error *err);
void captive_abandon_all(void);

#endif
