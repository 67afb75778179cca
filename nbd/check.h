#ifndef NBD_CHECK_H
#define NBD_CHECK_H

#include "nbd/state.h"

/* 0, or the errno value that answers it. */
int check_request(const struct connection *connection, const struct request *request);

#endif
