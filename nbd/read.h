#ifndef NBD_READ_H
#define NBD_READ_H

#include "nbd/worker.h"

void read_request(struct worker *worker, const struct request *request);

#endif
