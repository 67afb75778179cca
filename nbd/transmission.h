#ifndef NBD_TRANSMISSION_H
#define NBD_TRANSMISSION_H

#include "nbd/worker.h"

/* Answers requests until the worker gives up the reader's role or the connection ends. */
void transmission_run(struct worker *worker);

#endif
