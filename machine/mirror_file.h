/*
 * The state file of a mirror, of either kind: one JSON object, which says what each target has.
 */
#ifndef MACHINE_MIRROR_FILE_H
#define MACHINE_MIRROR_FILE_H

#include "base/json.h"

/* *out: owned; NULL: there is no such file. ERR_USAGE: it is none, or larger than one is. */
int mirror_file_read(const char *path, struct json_t **out, struct error *err);
int mirror_file_foreign(const char *path, struct error *err);
/* Replaces the file; object is freed. durable: on disk when this returns. */
int mirror_file_write(const char *path, struct json_t *object, bool durable, struct error *err);

#endif
