/*
 * A new file that has a temporary name in its folder until it is complete. Private to target/.
 */
#ifndef READER_TARGET_TEMP_H
#define READER_TARGET_TEMP_H

#include "format/common.h"

struct target_temp;

/* Creates .NAME.XXXXXX.part beside path, with the permissions that the umask leaves; *fd is the
 * caller's. */
int target_temp_create(struct target_temp **out, int *fd, const char *path, struct error *err);

/* Gives it its name, and with sync makes that durable. Without replace a file that has come to be
 * at path meanwhile is left alone: ERR_USAGE. Never after target_temp_abandon_all. */
int target_temp_publish(struct target_temp *temp, bool replace, bool sync, struct error *err);

/* Removes the file if it was not published. NULL-safe. */
void target_temp_free(struct target_temp *temp);

/* Removes all that are not published, and lets none be created or published any more. Any thread.
 */
void target_temp_abandon_all(void);

#endif
