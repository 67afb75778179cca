/*
 * What QEMU counts of the requests of its machine's devices, and since when it runs.
 */
#ifndef MACHINE_QEMU_STATS_H
#define MACHINE_QEMU_STATS_H

#include "base/error.h"

struct qmp;

/* When the last request of the device came that uses the node, in nanoseconds since 1970; 0: QEMU
 * does not tell, or there was none. */
uint64_t stats_last_request_ns(struct qmp *qmp, const char *node);
/* Since when this QEMU can have no write to the node behind it but those that it counts, if it has
 * counted none: when its process began. 0: it has counted some, or that cannot be known. */
uint64_t stats_unwritten_since_ns(struct qmp *qmp, const char *node);
/* The machine is paused, or has moved away. A storage daemon does not tell. */
bool stats_machine_is_still(struct qmp *qmp);
/* It has moved to another QEMU, and with it the bitmaps that lie in its images. */
bool stats_machine_has_moved(struct qmp *qmp);

#endif
