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
/* Up to a few milliseconds behind clock_ns, at a fraction of its cost: for what each request of a
 * guest asks. */
int64_t clock_coarse_ns(void);
double clock_s(void);

/* Since 1970, to be told or kept; no wait is by these. clock_file_ns: as the kernel stamps files.
 */
uint64_t clock_real_ns(void);
uint64_t clock_file_ns(void);

/* Returns early when a signal handler ran. */
void clock_sleep_ms(unsigned ms);
/* Until clock_ns() is until_ns, whatever signals come. */
void clock_sleep_until_ns(int64_t until_ns);

/* A condition whose waits end by this clock; it replaces PTHREAD_COND_INITIALIZER. */
void clock_cond_init(pthread_cond_t *cond);
/* As pthread_cond_timedwait until clock_ms() is until_ms: 0, which may be spurious, or ETIMEDOUT.
 * Only for conditions made by clock_cond_init. INT64_MAX: without an end. */
int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

#endif
