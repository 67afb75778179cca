/*
 * The file of a drive that is restored while a guest uses it. Its layout and what it promises:
 * spec/live.md. Private to device/.
 */
#ifndef DEVICE_LIVE_FILE_H
#define DEVICE_LIVE_FILE_H

#include "drive/overlay.h"
#include "format/format.h"

struct live_file {
	char *target, *path; /* owned: the name it will have, and the one it has until then */
	char *full;	     /* owned: the first, from the root on */
	int fd;
	int other_fd; /* the same, with errors of write-back of its own; -1: none */
	uint64_t size_bytes;
	bool is_new;
	bool made_target;
	int target_fd;	/* then; else -1 */
	bool copied;	/* the machine copies the drive: the target is another file */
	uint64_t inode; /* of the target then; 0: none is noted */
	struct overlay_place place;
	struct overlay_shared shared;
};

/* Makes it, or takes up what an earlier run left. ERR_USAGE: the target is there and something
 * else, or what is left is of another archive; ERR_LOCKED: another run has it. Close *out even
 * after an error. Its address must not change. */
int live_file_open(struct live_file *out, const char *target, const struct archive *archive,
		   uint32_t drive, bool copied, struct error *err);
void live_file_close(struct live_file *file);

/* Of one that is copied: makes the target, unless it is there. */
int live_file_make_target(struct live_file *file, struct error *err);

/* Once the drive that lies in it is complete: the target is there, and nothing but the drive. */
int live_file_show(struct live_file *file, struct error *err);
/* Of one that was opened, and nobody has used: what this run has made of it goes. */
void live_file_undo(struct live_file *file);
/* Takes the other name away: no later run goes on with it. */
int live_file_finish(struct live_file *file, struct error *err);

#endif
