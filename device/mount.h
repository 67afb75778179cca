/*
 * A folder of files by FUSE, with libfuse 3, which keep their sizes, and may be written if wanted.
 *
 * The process that serves it must live until it is unmounted: of a server that was killed the mount
 * stays, and whatever is read there fails, until mount_remove_dead, umount(8) or fusermount3(1)
 * takes it away.
 */
#ifndef DEVICE_MOUNT_H
#define DEVICE_MOUNT_H

#include "device/mount_file.h"

struct mount;

/* All is borrowed until mount_close. */
struct mount_tree {
	const char *folder;
	const struct mount_file *files;
	size_t n_files;
	bool writable;	 /* some file is */
	int64_t time_ns; /* of the files */
};

/* ERR_USAGE: it is no folder; ERR_UNSUPPORTED: there is no FUSE. */
int mount_check(const char *folder, struct error *err);
/* A mount of this program whose server has gone is taken away. 1: there was one. ERR_LOCKED: there
 * is one whose server has not. */
int mount_remove_dead(const char *folder, struct error *err);

/* Mounts it; requests wait for mount_serve. Not once the thread is confined by base/sandbox, as
 * unmounting; other threads may be. */
int mount_open(struct mount **out, const struct mount_tree *tree, struct error *err);
/* Until it is unmounted, by whomever. */
int mount_serve(struct mount *mount, struct error *err);
/* Has mount_serve return, once the requests at work are answered. Any thread. */
void mount_stop(struct mount *mount);
/* Unmounts it, even if it is in use: what is open there fails from then on. Any thread. */
void mount_end(struct mount *mount);
/* After mount_serve. NULL-safe. */
void mount_close(struct mount *mount);

#endif
