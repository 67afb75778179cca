/*
 * The drives of a serve, and their maps.
 */
#ifndef MACHINE_SERVE_DRIVES_H
#define MACHINE_SERVE_DRIVES_H

#include "machine/serve/state.h"

/* Takes the options apart: which drives, and which map belongs to which. Opens nothing. */
int drives_parse(struct serve *serve, struct error *err);
int drives_open(struct serve *serve, struct error *err);
int drives_flush(struct serve *serve, struct error *err);
/* A map that cannot be closed is told to the watcher, and is serve->map_error. */
void drives_close(struct serve *serve);

#endif
