/*
 * A new file that has a temporary name in its folder until it is complete: archives and what is
 * restored. For drive/ and writer/output, which must not know each other.
 */
#ifndef BASE_NEWFILE_H
#define BASE_NEWFILE_H

#include "base/error.h"

struct newfile;

/* Creates .NAME.XXXXXX.part beside path; *fd is the caller's. Removes those that runs which were
 * killed have left: on a local file system, where nobody holds the lock that this one has. Only its
 * owner may read and write it, unless there is a file at path: then it has that one's owner, group,
 * mode and ACL, or is more private where these cannot be set. */
int newfile_create(struct newfile **out, int *fd, const char *path, struct error *err);

/* Gives it its name, and with sync makes that durable; if that fails a name that is new is taken
 * back. Without replace a file that has come to be at path meanwhile is left alone: ERR_USAGE.
 * Never after newfile_abandon_all. */
int newfile_publish(struct newfile *temp, bool replace, bool sync, struct error *err);

/* Removes the file if it was not published. NULL-safe. */
void newfile_free(struct newfile *temp);

/* Removes all that are not published, and lets none be created or published any more. True:
 * there were some, and none was ever published. Any thread. */
bool newfile_abandon_all(void);

/* Removes what runs that were killed have left of files in this folder whose names wanted accepts:
 * on a local file system, where nobody holds their locks. */
void newfile_remove_dead(const char *folder, bool (*wanted)(void *context, const char *name),
			 void *context);

#endif
