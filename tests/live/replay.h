/*
 * Holds images of drives against what dependent writers (tests/live/chain.h) can have written.
 *
 * The replay begins with the drives as they were before the writers began, and follows them: it
 * reads from the headers of an image how far each chain had come on each drive, does those
 * operations itself, and compares every byte. Then the steps of each chain must be all up to one
 * and none after it, over all drives: that is what one instant looks like. NA - NB in {0, 1}
 * follows.
 *
 * A step that was done but whose header was not yet is found by trying it. What was trimmed may
 * read as before or as zeros until it is written again, there and nowhere else.
 */
#ifndef TESTS_LIVE_REPLAY_H
#define TESTS_LIVE_REPLAY_H

#include "tests/live/chain.h"

struct replay;

/* contents: the drives as they were, borrowed and changed. NULL: no memory. */
struct replay *replay_new(const struct chain_set *set, uint8_t *const *contents);
void replay_free(struct replay *replay); /* NULL-safe */

/* The images of all drives at one instant, that of the call before or a later one. False: they
 * are not, text says why, and the replay is of no more use. *n_operations: on the first drive, by
 * all chains. */
bool replay_check(struct replay *replay, const uint8_t *const *images, uint64_t *n_operations,
		  char *text, size_t text_size);

#endif
