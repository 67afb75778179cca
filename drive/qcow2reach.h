/*
 * How long the file of a qcow2 image must be. Private to base/.
 */
#ifndef DRIVE_QCOW2REACH_H
#define DRIVE_QCOW2REACH_H

#include "base/error.h"

/* *reach: behind the last byte of all tables and clusters of the image as its machine sees it. What
 * is no qcow2, or makes no sense, is left to QEMU. */
int qcow2_reach(int fd, const char *path, uint64_t *reach, struct error *err);

#endif
