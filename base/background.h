/*
 * Threads of a backup beside those of a guest, on processors that both use.
 *
 * Source: sched(7), sched_yield(2).
 */
#ifndef BASE_BACKGROUND_H
#define BASE_BACKGROUND_H

#include <sys/types.h>

/* Steps of nice(2). Of two threads that both take all they get, one ten steps below the other has a
 * tenth: a machine whose guests take all processors still gets its backup. */
#define BACKGROUND_PACKS 10 /* who reads, compresses and writes the archive */
#define BACKGROUND_SAVES 5  /* who reads for the buffer: guests may wait for it now and then */

/* Clusters that are looked at between two pauses. */
#define BACKGROUND_STRETCH 8u

/*
 * The calling thread, and all that it starts from then on, work in the background: they do not take
 * the processor from others by waking up, and their share of it is lower by so many steps. Does
 * nothing to a thread that was given another policy than the ordinary one.
 *
 * For threads that work long at a time. One that only hands on, and so waits for the processor more
 * than it uses it, is owed so much in the background that others have to wait for it (Linux 6.6
 * on).
 */
void background_work(int steps);

/*
 * To be called every 100 us or so of such work: a kernel that let someone who woke up wait, because
 * he had just used up his share, does not look at it again before its next tick, milliseconds
 * later. Costs next to nothing when nobody waits.
 */
void background_pause(void);

/*
 * For the program of a backup, once, from the thread that will start those that pack: works in the
 * background by BACKGROUND_PACKS, and so does its session.
 *
 * Nice values count among the processes of a session; between sessions (setsid(2)) the processors
 * may first be shared evenly ("autogroup" in sched(7)), and then threads that stand back in their
 * own session do not stand back from a guest in another. So the session as a whole gets that nice
 * value until the program ends, however it does: a process of its own sees to that. Nothing is done
 * to it where there are no such groups, nor if others work in it: it has a terminal, or guest, a
 * process, or 0: not known, belongs to it.
 */
void background_backup(pid_t guest);

#endif
