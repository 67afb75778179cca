/*
 * NBD exports that QEMU's backup jobs write to: they take clusters in any order, put each into a
 * buffer once, and read as zeros, whatever they took.
 *
 * Clusters that have not come as data when a job is done are zeros: either the job said so, or it
 * left them out because it knew.
 */
#ifndef MACHINE_QEMU_RECEIVE_H
#define MACHINE_QEMU_RECEIVE_H

#include "base/clusterset.h"
#include "cow/buffer.h"

struct receiver;

struct receiver_drive {
	uint64_t size_bytes;
	bool may_leave_out; /* the job leaves out clusters that it knows to be zeros */
};

struct receiver_counts {
	uint64_t data_clusters;
	uint64_t zero_clusters;	 /* that the job said are zeros */
	uint64_t again_clusters; /* repeated after a connection broke, and dropped */
	uint64_t held_requests;	 /* waited for room in the buffer */
};

/* One export a drive, named "0", "1" and so on. drives and buffer are borrowed. Without a buffer,
 * and once it has failed, all data is acknowledged and dropped: a job whose archive has failed must
 * end without harm to its machine. */
int receiver_new(struct receiver **out, const struct receiver_drive *drives, uint32_t n_drives,
		 struct buffer *buffer, struct error *err);
/* Clusters of the set must come; of others, those that do not come have not changed. Borrowed. */
void receiver_expect(struct receiver *receiver, uint32_t drive, const struct cluster_set *set);
/* At the unix socket path. */
int receiver_listen(struct receiver *receiver, const char *path, struct error *err);
/* Connections that use the export of a drive. */
unsigned receiver_users(const struct receiver *receiver, uint32_t drive);

/* All jobs have ended well: puts the zeros into the buffer and ends it. A cluster that is missing
 * is an error. */
int receiver_finish(struct receiver *receiver, struct error *err);

struct receiver_counts receiver_counts(const struct receiver *receiver);

/* Answers requests that were read, hangs up, removes the socket. NULL-safe. */
void receiver_free(struct receiver *receiver);

#endif
