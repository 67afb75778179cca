/*
 * The scratch file behind the buffer: clusters go in at one end and come out at the other. Private
 * to cow/buffer*.c. The buffer's lock guards all but spill_write and spill_read.
 */
#ifndef COW_BUFFER_SPILL_H
#define COW_BUFFER_SPILL_H

#include "base/error.h"

struct spill;

/* A file of at most size_bytes without a name, in folder. */
int spill_new(struct spill **out, const char *folder, uint64_t size_bytes, struct error *err);
void spill_free(struct spill *spill); /* NULL-safe */

/* A place for one cluster, to be written and then settled. False: full. */
bool spill_reserve(struct spill *spill, uint64_t *place);
int spill_write(struct spill *spill, uint64_t place, const uint8_t *bytes); /* 0 or errno */
/* What has come to be at the place; good: the cluster is there. */
void spill_settle(struct spill *spill, uint64_t place, uint32_t drive, uint64_t cluster, bool good);

/* How many settled clusters lie one after the other at the end that comes out, at most max. */
uint32_t spill_ready(struct spill *spill, uint32_t max);
/* Reads the first n of them, and gives their room on the disk back. Fails unless they are, byte for
 * byte, what was written. */
int spill_read(struct spill *spill, uint32_t n, uint8_t *bytes, struct error *err);
void spill_look(const struct spill *spill, uint32_t i, uint32_t *drive, uint64_t *cluster);
void spill_forget(struct spill *spill, uint32_t n);

const char *spill_folder(const struct spill *spill); /* for messages; borrowed */
/* Reserved and not forgotten, and how many there can be. */
uint64_t spill_used(const struct spill *spill);
uint64_t spill_places(const struct spill *spill);

#endif
