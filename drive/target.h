/*
 * Where a restore puts a drive: a new file, a file that exists, a block device, an image that QEMU
 * understands, what an NBD server has.
 *
 * After target_finish a target holds the drive and nothing else: every byte was written or zeroed
 * by the caller, and how zeros come about (a hole that is there already, punching, discarding,
 * writing) is the target's affair.
 */
#ifndef DRIVE_TARGET_H
#define DRIVE_TARGET_H

#include "base/error.h"

struct target;

struct target_options {
	bool force;	    /* an existing file or a block device may be overwritten */
	bool sync;	    /* target_finish makes the data durable */
	const char *format; /* "raw", "qcow2", ...; NULL: by the ending of the name */
};

/* Opens path for a drive of size_bytes and checks that it fits: writes nothing yet.
 *
 * - No such file: a new one under a temporary name in the same folder, renamed by target_finish.
 * - A file: only with force; it is overwritten in place and gets exactly size_bytes.
 * - A block device: only with force, only when nothing has it open exclusively, and only if it is
 *   at least size_bytes; what lies past the drive is zeroed if it is at most 4 MiB (rounding of
 *   volumes), and left alone otherwise.
 * - Of another format than raw: a new image, made by qemu-img and written through qemu-nbd; with
 *   force it takes the place of a file that exists.
 * What exists and looks like an image of another format than the name says is ERR_USAGE unless the
 * format is given.
 * - An NBD URI: only with force; as a block device. Nobody else is kept from it.
 *
 * What exists must not be open in a QEMU, nor be the target of another drive: ERR_LOCKED; until
 * target_close no QEMU can open it. Anything else (a folder, a tty, a fifo) is ERR_USAGE. */
int target_open(struct target **out, const char *path, uint64_t size_bytes,
		const struct target_options *options, struct error *err);

/* Whether path is that of what an NBD server has, not of a file. */
bool target_is_uri(const char *path);

/* Whether it takes data in whole clusters only, with the zeros in them: a device or what a server
 * has may be a thin volume, which must not be written piece by piece. Its zeros come with
 * target_finish, after all data. */
bool target_takes_clusters(const struct target *target);

/* n bytes at offset. Any thread, for parts that do not overlap. Both stay within size_bytes, and
 * begin and end at clusters or with the drive where only clusters are taken: asserted. */
int target_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		 struct error *err);
int target_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err);

/* Bytes past the drive's end that a larger block device keeps as they were; 0 otherwise. */
uint64_t target_excess(const struct target *target);

/* All data was written: brings it to where it will be, as far as zeros depend on that. To be called
 * for all targets before the first is finished, as they may be parts of one thin volume. */
int target_settle(struct target *target, struct error *err);

/* All went well: cut or extend to size, sync, rename. Not to be used after; close it. */
int target_finish(struct target *target, struct error *err);
/* Closes and frees; without target_finish before, a temporary file is removed. NULL-safe. */
void target_close(struct target *target);

/* For a config or the like: writes a new file whole. path is created under a temporary name,
 * synced, renamed; overwrites only with force. */
int target_put_file(const char *path, const void *bytes, size_t n,
		    const struct target_options *options, struct error *err);

#endif
