/*
 * A drive: a virtual disk that is read, and possibly written by a guest.
 */
#ifndef DRIVE_DRIVE_H
#define DRIVE_DRIVE_H

#include "base/error.h"

struct cluster_set;
struct drive;

struct drive_options {
	const char *format;   /* "raw", "qcow2", "vmdk", "vdi", "vhdx", ...; NULL: by the ending of
				 the name */
	const char *secret;   /* a file with the key of an encrypted image, as QEMU reads it; NULL:
				 none */
	const char *internal; /* of a qcow2 image: the id or name of the internal snapshot to read;
				 NULL: as it is now */
	uint64_t size_bytes;  /* of standard input; 0: not given */
	bool direct;	      /* raw images and devices: bypasses the host's page cache */
	bool allow_writers;   /* even if something else has it open for writing */
	bool keep;	      /* no QEMU can open it for writing until it is closed, where images
				 have locks; not with allow_writers */
	bool no_holes; /* everything counts as data: drive_status and drive_zeros find no zeros */
	bool damaged_too; /* only warns of an image that is cut short */
	bool snapshot;	  /* an NBD URI: a snapshot that QEMU keeps while the guest writes */
	const struct nbdclient_hold *hold; /* an NBD URI: see nbd/client.h; borrowed */
	bool writable;	    /* raw images and devices: a guest writes to it through us; locked
			       against other writers until it is closed */
	bool any_format;    /* with writable: also an NBD URI, or an image, through a qemu-nbd */
	bool beside;	    /* an NBD URI: another client writes, too, so that the server must
			       allow that */
	const char *socket; /* of an image, which is to be there, so that one other client can use
			       it, too; the caller removes it. NULL: none */
};

/* Opens a raw image or block device, an image of another format through a captive read-only
 * qemu-nbd, the raw export that an NBD URI names, or "-", standard input, which can be read only
 * once and in order, by threads that all take part until it is read or has failed. The format comes
 * from the options or the name, never from the content, which a guest controls; content that looks
 * like another format than the name says is ERR_USAGE, for an NBD URI once it is read. Images that
 * this one names (a backing chain) are read, too. ERR_LOCKED: something else writes to it and
 * allow_writers is not set. The thread that opens a drive must outlive it. */
int drive_open(struct drive **out, const char *path, const struct drive_options *options,
	       struct error *err);
void drive_close(struct drive *drive);

/* Only the first size_bytes of it are used from here on, before anything else is. ERR_USAGE: it has
 * less. */
int drive_limit(struct drive *drive, uint64_t size_bytes, struct error *err);

/* All clusters that are not in the set read as zeros from now on. Not for standard input. Borrowed.
 * ERR_USAGE: the drive has a file system that needs recovery, by which more may come into use. */
int drive_leave_out(struct drive *drive, const struct cluster_set *used, struct error *err);
/* That set; NULL: none. */
const struct cluster_set *drive_used(const struct drive *drive);

/* A warning about the image, or NULL; borrowed. */
const char *drive_warning(const struct drive *drive);
uint64_t drive_size(const struct drive *drive); /* bytes */

/* n bytes at offset, all within the drive. It is an error if the drive has shrunk. Any thread. */
int drive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err);

/* n_clusters clusters from cluster on, with zeros past the end of the drive. Any thread. */
int drive_read_clusters(struct drive *drive, uint64_t cluster, uint64_t n_clusters, uint8_t *to,
			struct error *err);

/* Whether the drive is known to read as zeros at offset, without reading it, and for how many bytes
 * from there on (at least 1, within the drive) that is so. Any thread. */
int drive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero, struct error *err);

/* How many bytes from offset on are known to be zeros without asking a server; 0: none. Any
 * thread. */
uint64_t drive_zeros(struct drive *drive, uint64_t offset);

/* Announces that a range will be read soon, so that a device with latency can start. *cold: the
 * range was not in the host's page cache, and drive_forget should drop it again. One caller at a
 * time. */
void drive_expect(struct drive *drive, uint64_t offset, uint64_t n, bool *cold);
void drive_forget(struct drive *drive, uint64_t offset, uint64_t n); /* any thread */

/* Whether others have changed the drive since drive_open, as far as that can be detected. */
bool drive_was_changed(struct drive *drive);

/* Requests of a guest. Any thread, several at the same time; ranges lie within the drive; 0 or an
 * errno value. Without drive_options.writable those that change it fail with EPERM. */
enum drive_flags {
	DRIVE_FUA = 1,	    /* durable before it returns */
	DRIVE_MAY_TRIM = 2, /* zero: may make a hole */
	DRIVE_FAST = 4,	    /* zero: ENOTSUP unless that is faster than writing zeros */
	DRIVE_NOW = 8,	    /* EAGAIN, with nothing done, if it would wait for a disk */
	DRIVE_BEHIND = 16,  /* write: one of many in order; a hint to keep little in memory that is
			     * not on the disk yet */
};
int drive_fetch(struct drive *drive, uint64_t offset, void *to, uint32_t n, unsigned flags);
int drive_write(struct drive *drive, uint64_t offset, const void *from, uint32_t n, unsigned flags);
int drive_zero(struct drive *drive, uint64_t offset, uint64_t n, unsigned flags);
/* The range then reads as zeros or as before. Does nothing where holes are not supported. */
int drive_trim(struct drive *drive, uint64_t offset, uint64_t n);
/* Makes all writes durable. Once one flush failed, all fail. */
int drive_flush(struct drive *drive);
bool drive_is_writable(const struct drive *drive);

#endif
