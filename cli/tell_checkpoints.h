/*
 * What checkpoint list and checkpoint size print.
 */
#ifndef CLI_TELL_CHECKPOINTS_H
#define CLI_TELL_CHECKPOINTS_H

#include "machine/checkpoint.h"

struct json_t;

/* result: NULL: as text. */
void tell_checkpoints(const struct checkpoint_list *list, struct json_t *result);
/* How much changed since the one of that name, or, with NULL, since the latest. ERR_USAGE: there is
 * none. */
int tell_changed(const struct checkpoint_list *list, const char *name, struct json_t *result,
		 struct error *err);

#endif
