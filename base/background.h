/*
 * Threads of a backup beside those of a guest, on processors that both use.
 *
 * Source: sched(7), sched_setattr(2).
 */
#ifndef BASE_BACKGROUND_H
#define BASE_BACKGROUND_H

/* Steps of nice(2). Of two threads that both take all they get, one ten steps below the other has a
 * tenth: a machine whose guests take all processors still gets its backup. */
#define BACKGROUND_PACKS 10 /* who reads, compresses and writes the archive */
#define BACKGROUND_SAVES 5  /* who reads for the buffer: guests may wait for it now and then */

/*
 * The calling thread, and all that it starts from then on, work in the background: they do not take
 * the processor from others by waking up, give it up to others that wake up (from Linux 6.12 on),
 * and their share of it is lower by so many steps. Does nothing to a thread that was given another
 * policy than the ordinary one.
 */
void background_work(int steps);

#endif
