/*
 * A drive: a virtual disk that is read, and that a guest may write to.
 */
#ifndef DRIVE_DRIVE_H
#define DRIVE_DRIVE_H

#include "base/error.h"

struct drive;

struct drive_options {
	const char *format; /* "raw", "qcow2", "vmdk", "vdi", "vhdx", ...; NULL: by the ending of
			       the name */
	bool direct;	    /* raw images and devices: past the page cache of the host */
	bool allow_writers; /* go on though something else has it open for writing */
	bool damaged_too;   /* an image that is cut short is worth a warning only */
	bool snapshot;	    /* an NBD URI: kept by QEMU while its drive is written to */
	bool writable;	    /* raw images and devices: for a guest that writes to it through us;
			       locked against all others until it is closed */
};

/* Opens a raw image or block device, another image through a captive read-only qemu-nbd, or what an
 * NBD URI names (raw). The format comes from the options or the name, never from the content, which
 * a guest controls; content that looks like another format than the name says is ERR_USAGE, for an
 * NBD URI only when it is read. An image may name others (a backing chain): they are read too.
 * ERR_LOCKED when something else writes to it and allow_writers is not set. The thread that opens a
 * drive must outlive it. */
int drive_open(struct drive **out, const char *path, const struct drive_options *options,
	       struct error *err);
void drive_close(struct drive *drive);

/* What is to be told of the image that was opened, or NULL; borrowed. */
const char *drive_warning(const struct drive *drive);
uint64_t drive_size(const struct drive *drive); /* bytes */

/* n bytes at offset, all within the drive. A drive that has shrunk is an error. Any thread. */
int drive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err);

/* n_clusters from cluster on, one after the other, zeros past the end of the drive. Any thread. */
int drive_read_clusters(struct drive *drive, uint64_t cluster, uint64_t n_clusters, uint8_t *to,
			struct error *err);

/* What is at offset: *zero tells whether it reads as zeros without being read, *n how many bytes
 * that holds for (at least 1, within the drive). Any thread. */
int drive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero, struct error *err);

/* How many bytes from offset on are known to be zeros without asking anyone; 0: none. Any thread.
 */
uint64_t drive_zeros(struct drive *drive, uint64_t offset);

/* Tells that a range will soon be read, so that a device with latency can begin. *cold: it took no
 * memory of the host before, and drive_forget should give back what it takes now. One caller. */
void drive_expect(struct drive *drive, uint64_t offset, uint64_t n, bool *cold);
void drive_forget(struct drive *drive, uint64_t offset, uint64_t n); /* any thread */

/* Whether the drive was changed by others since drive_open, as far as it can be told. */
bool drive_was_changed(struct drive *drive);

/* What a guest does with a drive. Any thread, several at once; ranges lie within the drive; 0 or an
 * errno value. Without drive_options.writable all that changes it is refused with EPERM. */
enum drive_flags {
	DRIVE_FUA = 1,	    /* durable before it returns */
	DRIVE_MAY_TRIM = 2, /* zero: the space may be given back */
	DRIVE_FAST = 4,	    /* zero: ENOTSUP unless it is faster than writing zeros */
	DRIVE_NOW = 8,	    /* EAGAIN, and nothing done, if that would wait for a disk */
};
int drive_fetch(struct drive *drive, uint64_t offset, void *to, uint32_t n, unsigned flags);
int drive_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n, unsigned flags);
int drive_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags);
/* Reads as zeros or as before afterwards; where there are no holes it does nothing. */
int drive_trim(struct drive *drive, uint64_t offset, uint64_t n);
/* All that was written by anyone is durable. After one that failed all fail. */
int drive_flush(struct drive *drive);
bool drive_is_writable(const struct drive *drive);

#endif
