/*
 * How fast QEMU's jobs may copy, while they push: without limit as long as there is room for what
 * they copy, then less and less of the rate of the output.
 */
#ifndef MACHINE_QEMU_SPEED_H
#define MACHINE_QEMU_SPEED_H

#include <stdint.h>

struct buffer;
struct qmp;

struct speed {
	const struct buffer *buffer; /* borrowed */
	int64_t measured_ms;
	uint64_t measured_bytes;
	double out_rate; /* bytes a second */
	uint64_t limit;	 /* that the jobs have; 0: none */
	int64_t told_ms; /* until then they are told no higher one, but that there is none */
	int64_t free_ms; /* when there had to be none for the last time */
};

/* The jobs begin, and push into that buffer. */
void speed_begin(struct speed *speed, const struct buffer *buffer);
/* To be called again and again. Tells the jobs of the run, one of each drive, how fast they may be,
 * if that has changed. taken_bytes: by the output, until now. */
void speed_set(struct speed *speed, struct qmp *qmp, const char *id, unsigned n_drives,
	       uint64_t taken_bytes);
/* Whoever has asked QEMU about each drive, or told it something, since begun_ms waits until then
 * before the next time: with many drives that takes QEMU's main loop long. */
int64_t speed_rest(int64_t begun_ms);

#endif
