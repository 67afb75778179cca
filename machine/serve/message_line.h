/*
 * A checkpoint in messages about checkpoints that move between maps (message.h).
 */
#ifndef MACHINE_SERVE_MESSAGE_LINE_H
#define MACHINE_SERVE_MESSAGE_LINE_H

#include "cow/checkpoints.h"

struct json_t;

#define MESSAGE_BITS_MAX 65536u /* bytes, in a message of their own */

void message_put_line(struct json_t *object, const struct checkpoint *line);
/* All but generation, good and incomplete. False: it is none. */
bool message_get_line(const struct json_t *object, struct checkpoint *out);

#endif
