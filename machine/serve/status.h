/*
 * What a serve tells of itself.
 */
#ifndef MACHINE_SERVE_STATUS_H
#define MACHINE_SERVE_STATUS_H

#include "machine/serve/state.h"

struct json_t;

void serve_status(struct serve *serve, struct json_t *out);
/* What a capture has done so far. */
void serve_counts(struct json_t *out, const struct capture *capture, const struct buffer *buffer);

#endif
