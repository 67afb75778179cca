/*
 * One clock: monotonic, so that setting the time of the host neither ends a wait nor makes it last.
 * All waits of the program are by it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

int64_t clock_ms(void); /* since some instant before the start */
int64_t clock_ns(void);
double clock_s(void);

/* Returns early when a signal handler ran. */
void clock_sleep_ms(unsigned ms);

/* A condition whose waits end by this clock; it replaces PTHREAD_COND_INITIALIZER. */
void clock_cond_init(pthread_cond_t *cond);
/* As pthread_cond_timedwait until clock_ms() is until_ms: 0, which may be spurious, or ETIMEDOUT.
 * Only for conditions made by clock_cond_init. */
int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

#endif
