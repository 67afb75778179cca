/*
 * A new file that has a temporary name in its folder until it is complete: archives and what is
 * restored. For drive/ and writer/output, which must not know each other.
 */
#ifndef BASE_NEWFILE_H
#define BASE_NEWFILE_H

#include "base/error.h"

struct newfile;

/* Creates .NAME.XXXXXX.part beside path; *fd is the caller's. Removes those that runs which were
 * killed or broke off have left: on a local file system, where nobody holds the lock that this one
 * has. Only its owner may read and write it, unless there is a file at path: then it has that one's
 * owner, group, mode and ACL, or is more private where these cannot be set. */
int newfile_create(struct newfile **out, int *fd, const char *path, struct error *err);

/* The same, but .NAME.resume.part, which stays when it is not published: so a later run can go on
 * with it. *found: it was there already; *fd is then at its beginning. create: if it is not there
 * it is made; else *out is NULL then. ERR_LOCKED: another run has it. */
int newfile_resume(struct newfile **out, int *fd, const char *path, bool create, bool *found,
		   struct error *err);
/* Its path until it is published; to be freed. NULL: no memory. */
char *newfile_where(const struct newfile *temp);
/* It is removed after all, when it is freed. */
void newfile_give_up(struct newfile *temp);

/* Gives it its name, and with sync makes that durable; if that fails a name that is new is taken
 * back. Without replace a file that has come to be at path meanwhile is left alone: ERR_USAGE.
 * Never after newfile_abandon_all. */
int newfile_publish(struct newfile *temp, bool replace, bool sync, struct error *err);

/* Removes the file if it was not published, and is none of newfile_resume. NULL-safe. */
void newfile_free(struct newfile *temp);

/* Does that for all that are not published, and lets none be created or published any more. True:
 * some were to be removed, and none was ever published. Any thread. */
bool newfile_abandon_all(void);

#endif
