/*
 * Ranges of an object, several asked for at a time. The first one after a move is small, and alone;
 * as long as reading goes on from there, more are asked for ahead: so little is fetched by who
 * reads here and there, and a connection's delay costs little to who reads on.
 *
 * A range costs a store some work before its first byte (Ceph 2 ms of a processor), and a far one
 * an answer's delay. So they are short at first, which lets several connections share a slow line,
 * and longer where they come fast. What has come of a range is handed out at once, and the memory
 * used again, while it is in the processor's cache.
 *
 * Private to store/: ranges.c has the memory, fetchers.c asks for it, reader.c hands it out.
 */
#ifndef STORE_RANGES_H
#define STORE_RANGES_H

#include "store/heads.h"
#include "store/origin.h"
#include "store/store.h"

#include <pthread.h>

#define N_FETCHERS  4u
#define MIB	    (UINT64_C(1) << 20)
#define BLOCK_BYTES MIB
#define N_BLOCKS    64u /* of memory; those that are asked for count, too */
#define RANGE_SIZE  (8 * MIB)
#define RANGE_MAX   (32 * MIB)
#define N_RANGES    (unsigned)(N_BLOCKS * BLOCK_BYTES / RANGE_SIZE)

enum range_state { RANGE_FREE, RANGE_WANTED, RANGE_ASKED, RANGE_THERE };

struct range {
	enum range_state state;
	uint64_t position, size;
	uint64_t there;	    /* how much of it has come */
	uint64_t round;	    /* in which it was wanted: after a move it is of no use */
	unsigned n_counted; /* blocks that it may still need */
	bool given_up;
	uint8_t *blocks[RANGE_MAX / BLOCK_BYTES]; /* NULL: not there yet, or used up */
};

struct store_reader {
	struct origin origin;
	struct http *http;
	pthread_t threads[N_FETCHERS];
	unsigned n_threads;

	pthread_mutex_t lock;	     /* guards the rest */
	pthread_cond_t came, wanted; /* for the caller; for the fetchers */
	struct range ranges[N_RANGES];
	uint8_t *spare[N_BLOCKS]; /* owned, as those in use are; the last one was used last */
	unsigned n_spare;
	unsigned n_counted;	  /* of all ranges: at most N_BLOCKS */
	uint64_t range_size;	  /* of the next ones */
	uint64_t position, up_to; /* of the next byte handed out, and as far as it may go on */
	uint64_t asked_to;	  /* ranges are wanted or there up to here */
	uint64_t round;
	unsigned ahead; /* blocks that may be asked for; 0: those of one range */
	bool ended;
	struct error err;
	struct heads heads;
};

/* NULL: no memory. */
uint8_t *ranges_take_block_locked(struct store_reader *reader);
/* Block i of a range is not needed any more, whether it has come or not. */
void ranges_drop_block_locked(struct store_reader *reader, struct range *range, unsigned i);
unsigned ranges_blocks_of(uint64_t size);
void ranges_free_locked(struct store_reader *reader, struct range *range);
/* Nothing of it will be read. */
bool ranges_is_passed(const struct store_reader *reader, const struct range *range);

/* A thread of reader->threads, whose context is the reader: fetches what is wanted. */
void *fetchers_work(void *reader);

#endif
