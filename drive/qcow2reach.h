/*
 * How long the file of a qcow2 image must be. Private to drive/.
 */
#ifndef DRIVE_QCOW2REACH_H
#define DRIVE_QCOW2REACH_H

#include "base/error.h"

/* *reach: the end of the last table or cluster of the active image. What is not qcow2, or makes no
 * sense, is left to QEMU. */
int qcow2_reach(int fd, const char *path, uint64_t *reach, struct error *err);

#endif
