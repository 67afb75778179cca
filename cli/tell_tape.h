/*
 * What is on the tape in a drive, as text or as JSON.
 */
#ifndef CLI_TELL_TAPE_H
#define CLI_TELL_TAPE_H

#include "cli/report.h"

bool list_is_tape(const char *path);
/* From the beginning to the end, and rewinds it. object: where its members go in JSON. Returns the
 * exit code: EXIT_DAMAGED if something on it is no archive that can be read. */
int list_tape(const char *path, struct report *report, struct json_t *object, struct error *err);

#endif
