/*
 * Threads of a backup beside those of a guest, on processors that both use.
 *
 * Nice values count among the processes of a session or control group. How these share the
 * processors is for the administrator to set (see "autogroup" in sched(7), CPUWeight= of systemd).
 *
 * Source: sched(7), sched_yield(2).
 */
#ifndef BASE_BACKGROUND_H
#define BASE_BACKGROUND_H

/* Steps of nice(2). Of two threads that both use all they get, one ten steps below the other gets a
 * tenth: even if guests use all processors, the backup makes progress. */
#define BACKGROUND_PACKS 10 /* for threads that read, compress and write the archive */
#define BACKGROUND_SAVES 5  /* for those that read for the buffer: guests may wait for it */

/* Clusters to look at between two pauses. */
#define BACKGROUND_STRETCH 8u

/*
 * The calling thread, and all that it starts later, work in the background: they do not preempt
 * others when they wake up, and their share of the processor is lower by so many steps. Does
 * nothing to a thread with another policy than SCHED_OTHER.
 *
 * Do not use it for threads that mostly sleep: SCHED_BATCH lets them build up lag and then delay
 * others (Linux 6.6 and later).
 */
void background_work(int steps);

/*
 * To be called every 100 us or so of such work. When the kernel lets a woken thread wait because
 * that thread had just used up its share, it does not reconsider before the next tick, milliseconds
 * later. Costs next to nothing when no thread waits.
 */
void background_pause(void);

#endif
