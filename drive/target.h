/*
 * Where a restore puts a drive: a new file, an existing file, a block device, an image in a format
 * of QEMU, an NBD export.
 *
 * After target_finish a target holds the drive and nothing else. The caller has written or zeroed
 * every byte; the target chooses how to make zeros (an existing hole, punching, discarding,
 * writing).
 */
#ifndef DRIVE_TARGET_H
#define DRIVE_TARGET_H

#include "base/error.h"

struct target;

struct target_options {
	bool force;    /* an existing file or a block device may be overwritten */
	bool rollback; /* what exists, no image, is changed only where it differs */
	/* A new file that is not finished stays, as .NAME.resume.part; what a run before has left
	 * so, or what exists, is changed only where it differs. */
	bool resume;
	bool hold;			  /* target_finish leaves the naming to target_publish */
	bool sync;			  /* target_finish makes the data durable */
	const char *format;		  /* "raw", "qcow2", ...; NULL: by the ending of the name */
	const char *const *image_options; /* borrowed: see struct qemu_new_image */
	unsigned n_image_options;
};

/* Opens path for a drive of size_bytes and checks that it fits, but writes nothing yet.
 *
 * - No such file: creates one under a temporary name in the same folder; target_finish renames it.
 * - A file: only with force; it is overwritten in place and becomes exactly size_bytes long.
 * - A block device: only with force, only if no other program has it open exclusively, and only if
 * it has at least size_bytes; up to 4 MiB past the drive are zeroed (volumes are rounded up), and a
 *   longer tail is left alone.
 * - A format other than raw: a new image, created by qemu-img and written through qemu-nbd; with
 * force it replaces an existing file, and keeps what options a qcow2 had that are not given, or is
 * put onto a block device.
 * - An NBD URI: only with force; like a block device, but without a lock against other users.
 * - "-", standard output: see target_window.
 *
 * With rollback, which force goes with, a file, block device or export must be there; no holes are
 * made in it but by what an NBD server makes of zeros, which are written only where it has others.
 * The same holds with resume for what is there.
 *
 * An existing file or device that looks like an image of another format than the name says is
 * ERR_USAGE unless the format is given. It must not be open in a QEMU, nor be the target of another
 * drive: ERR_LOCKED; until target_close no QEMU can open it. Anything else (a folder, a tty, a
 * fifo) is ERR_USAGE. */
int target_open(struct target **out, const char *path, uint64_t size_bytes,
		const struct target_options *options, struct error *err);

/* What is at path now. ERR_USAGE if it can be no target: without force what is there already, a
 * folder, tty or fifo, a dangling link; a file among device nodes, which can be found or be made
 * by a name that is mistyped. */
enum target_place { TARGET_MISSING, TARGET_FILE, TARGET_DEVICE, TARGET_EXPORT };
int target_look(const char *path, bool force, enum target_place *out, struct error *err);

/* Whether path is an NBD URI, not the name of a file. */
bool target_is_uri(const char *path);

/* Whether path is standard output: "-". */
bool target_is_stream(const char *path);
/* Standard output takes clusters in order, window by window: of what is written to it, only what
 * lies in the window, all of which must come before target_advance writes it out and moves on.
 * Returns the number of clusters from *begin on; 0: the drive is out. */
uint64_t target_window(const struct target *target, uint64_t *begin);
int target_advance(struct target *target, struct error *err);

/* Whether it accepts only whole clusters, including the zeros in them: a device or an NBD export
 * may be a thin volume, which must not be written piece by piece. target_finish makes its zeros,
 * after all data. */
bool target_takes_clusters(const struct target *target);

/* n bytes at offset. Any thread, for ranges that do not overlap. Ranges lie within size_bytes, and
 * with target_takes_clusters they begin at clusters and end at clusters or with the drive:
 * asserted. */
int target_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		 struct error *err);
int target_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err);

/* Whether it is changed only where it differs: not a file that this run has made. */
bool target_compares(const struct target *target);
/* If so: reads what is there now, zeros past its end; 0 or an errno value. Any thread. */
int target_read(const struct target *target, uint64_t offset, void *bytes, size_t n);
/* Instead of target_write: there it has these bytes already. */
void target_keep(struct target *target, uint64_t offset, uint64_t n);
/* How many bytes were written so far, zeros that are no holes included. */
uint64_t target_written(const struct target *target);

/* Bytes past the drive's end that are left alone, on a larger device; otherwise 0. */
uint64_t target_excess(const struct target *target);

/* Once all data is written: syncs it if the zeros have to come after it. To be called for all
 * targets before the first is finished, because they may be parts of one thin volume. */
int target_settle(struct target *target, struct error *err);

/* After success: zeroes the rest, sets the size, syncs, renames. Then it can only be asked
 * for target_written and what follows, and closed. */
int target_finish(struct target *target, struct error *err);
/* With hold, after target_finish: where a new file can be read, the target's until it is closed; or
 * NULL, of what was there. */
const char *target_held(const struct target *target);
int target_publish(struct target *target, struct error *err);
/* Closes and frees; removes a temporary file that was not finished, without resume.
 * NULL-safe. */
void target_close(struct target *target);

/* For a config or the like: writes a whole file under a temporary name, syncs and renames it.
 * Replaces an existing file only with force. */
int target_put_file(const char *path, const void *bytes, size_t n,
		    const struct target_options *options, struct error *err);

#endif
