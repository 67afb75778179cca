/*
 * What a folder of chains holds, as text or as JSON.
 */
#ifndef CLI_TELL_FOLDER_H
#define CLI_TELL_FOLDER_H

#include "cli/report.h"

bool list_is_folder(const char *path);
/* object: where its members go in JSON. Returns the exit code: EXIT_DAMAGED if an archive of a
 * machine is not whole. */
int list_folder(const char *path, struct report *report, struct json_t *object, struct error *err);

#endif
