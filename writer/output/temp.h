/*
 * A new file that has a temporary name in its folder until it is complete. Private to output/.
 */
#ifndef WRITER_OUTPUT_TEMP_H
#define WRITER_OUTPUT_TEMP_H

#include "format/common.h"

struct output_temp;

/* Creates .NAME.XXXXXX.part beside path, with the permissions that the umask leaves; *fd is the
 * caller's. */
int output_temp_create(struct output_temp **out, int *fd, const char *path, struct error *err);

/* Gives it its name, and with sync makes that durable. Without replace a file that has come to be
 * at path meanwhile is left alone: ERR_USAGE. Never after output_temp_abandon_all. */
int output_temp_publish(struct output_temp *temp, bool replace, bool sync, struct error *err);

/* Removes the file if it was not published. NULL-safe. */
void output_temp_free(struct output_temp *temp);

/* Removes all that are not published, and lets none be created or published any more. Any thread.
 */
void output_temp_abandon_all(void);

#endif
