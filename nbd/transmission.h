#ifndef NBD_TRANSMISSION_H
#define NBD_TRANSMISSION_H

#include "nbd/worker.h"

/* Answers requests until the worker has given up the role of the reader, or to the end. */
void transmission_run(struct worker *worker);

#endif
