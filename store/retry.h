/*
 * Requests that are tried again. Private to store/.
 */
#ifndef STORE_RETRY_H
#define STORE_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>

#define RETRY_TRIES 8u

/* How long a server may be silent. */
long retry_stall_s(void);
/* Whether the same request may be answered otherwise later. 0: there was no answer. */
bool retry_helps(int status);
/* Twice as long each time, and at random, so that many do not come back together; until *stop. */
void retry_wait(unsigned n_tried, const atomic_bool *stop);

#endif
