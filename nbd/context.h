/*
 * Metadata contexts.
 */
#ifndef NBD_CONTEXT_H
#define NBD_CONTEXT_H

#include "nbd/state.h"

/* The data of OPT_LIST_META_CONTEXT and OPT_SET_META_CONTEXT. */
bool context_option(struct connection *connection, uint32_t option, const uint8_t *data, size_t n);
/* Descriptors of a range, at most max, into out: how many, or minus an errno value. */
int context_ask(const struct connection *connection, unsigned context, uint64_t offset,
		uint64_t length, uint8_t *out, unsigned max);

#endif
