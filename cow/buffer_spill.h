/*
 * The spill file behind the buffer, a queue of clusters. Private to cow/buffer*.c. Callers hold the
 * buffer's lock, except in spill_write and spill_read.
 */
#ifndef COW_BUFFER_SPILL_H
#define COW_BUFFER_SPILL_H

#include "base/error.h"

struct spill;

/* An unnamed file in folder, of at most size_bytes. */
int spill_new(struct spill **out, const char *folder, uint64_t size_bytes, struct error *err);
void spill_free(struct spill *spill); /* NULL-safe */

/* A place for one cluster, which the caller writes and then settles. False: full. */
bool spill_reserve(struct spill *spill, uint64_t *place);
int spill_write(struct spill *spill, uint64_t place, const uint8_t *bytes); /* 0 or errno */
/* The result of writing to a place; good: it holds the cluster. */
void spill_settle(struct spill *spill, uint64_t place, uint32_t drive, uint64_t cluster, bool good);

/* The number of settled clusters at the head of the queue that can be read at once, at most max. */
uint32_t spill_ready(struct spill *spill, uint32_t max);
/* Reads the first n of them and frees their disk space. Fails unless every byte is as it was
 * written. */
int spill_read(struct spill *spill, uint32_t n, uint8_t *bytes, struct error *err);
void spill_look(const struct spill *spill, uint32_t i, uint32_t *drive, uint64_t *cluster);
void spill_forget(struct spill *spill, uint32_t n);

const char *spill_folder(const struct spill *spill); /* for messages; borrowed */
/* Places reserved and not yet forgotten, and the most there can be. */
uint64_t spill_used(const struct spill *spill);
uint64_t spill_places(const struct spill *spill);

#endif
