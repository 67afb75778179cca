/*
 * Where QEMU's backup jobs write to: NBD exports that take clusters in any order, put each into a
 * buffer once, and give nothing back.
 *
 * What never came as data when a job is done is zeros: either it was told so, or the job left it
 * out because it knew.
 */
#ifndef MACHINE_QEMU_RECEIVE_H
#define MACHINE_QEMU_RECEIVE_H

#include "cow/buffer.h"

struct receiver;

struct receiver_drive {
	uint64_t size_bytes;
	bool may_leave_out; /* the job does not tell of what it knows to be zeros */
};

struct receiver_counts {
	uint64_t data_clusters;
	uint64_t zero_clusters;	 /* that were told */
	uint64_t again_clusters; /* came once more, after a connection broke: not taken */
	uint64_t held_requests;	 /* waited for room in the buffer */
};

/* One export a drive, named "0", "1" and so on. drives and buffer are borrowed. Without a buffer,
 * and once it has failed, all that comes is acknowledged and thrown away: a job whose archive has
 * come to nothing must end without harm to its machine. */
int receiver_new(struct receiver **out, const struct receiver_drive *drives, uint32_t n_drives,
		 struct buffer *buffer, struct error *err);
/* At a unix socket: path. */
int receiver_listen(struct receiver *receiver, const char *path, struct error *err);
/* Connections that use the export of a drive. */
unsigned receiver_users(const struct receiver *receiver, uint32_t drive);

/* All jobs have ended well: puts the zeros into the buffer and ends it. A cluster that should have
 * come and did not is an error. */
int receiver_finish(struct receiver *receiver, struct error *err);

struct receiver_counts receiver_counts(const struct receiver *receiver);

/* Answers what has been read, hangs up, removes the socket. NULL-safe. */
void receiver_free(struct receiver *receiver);

#endif
