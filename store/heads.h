/*
 * Short pieces of an object that are wanted soon, here and there, all of them asked for at a time:
 * of a far store one after the other would cost its delay each.
 *
 * Private to store/, and part of a struct store_reader.
 */
#ifndef STORE_HEADS_H
#define STORE_HEADS_H

#include "store/origin.h"
#include "store/store.h"

#include <pthread.h>

#define HEADS_MAX    STORE_EXPECTED_MAX
#define HEAD_BYTES   4096u
#define HEAD_THREADS 16u

struct head;

struct heads {
	/* Of the reader; borrowed: */
	struct origin *origin;
	pthread_mutex_t *lock; /* guards all of it */
	pthread_cond_t *came;

	struct head *all; /* owned: HEADS_MAX; NULL: none was ever expected */
	pthread_t threads[HEAD_THREADS];
	unsigned n_threads;
	pthread_cond_t wanted;
	uint64_t n_asked; /* for their order */
	bool ended;
};

/* What is expected no more is given up. A lack of memory or threads is no error: then each is asked
 * for when it is read. */
void heads_expect(struct heads *heads, const uint64_t *places, unsigned n);
/* Up to *n bytes from the position, and then how many, if that is in a head that was asked for; 0:
 * it is not. Waits for it. */
int heads_read_locked(struct heads *heads, uint64_t position, void *to, size_t *n,
		      struct error *err);
void heads_end(struct heads *heads);

#endif
