/*
 * A new folder that is filled with what a file system of an archive has: whatever that is, nothing
 * is made or changed outside of it. Private to device/.
 *
 * Names are those of one thing in a folder; nothing that exists is opened, replaced or followed, so
 * two things of one name, as only a broken file system has them, are an error of the second.
 */
#ifndef DEVICE_TREE_H
#define DEVICE_TREE_H

#include "device/entry.h"

struct tree;

/* .NAME.XXXXXX.part beside path, for this user alone. ERR_USAGE: there is something at path. */
int tree_make(struct tree **out, const char *path, struct error *err);
const char *tree_folder(const struct tree *tree);
/* Gives it its name. sync: once all of it is durable. */
int tree_publish(struct tree *tree, bool sync, struct error *err);
/* Removes it if it was not published. NULL-safe. */
void tree_free(struct tree *tree);

/* All: within the folder of that descriptor. 0, or errno of what could not be made. */
int tree_root(const struct tree *tree, int *fd);
int tree_make_folder(int folder, const char *name, int *fd);
int tree_make_file(int folder, const char *name, int *fd);
int tree_make_link(int folder, const char *name, const char *target);
/* A further name of a file of the tree that was made before, at path. */
int tree_make_name(const struct tree *tree, const char *path, int folder, const char *name);
void tree_remove_file(int folder, const char *name);

/* Owner, mode and time, as far as they are known and this user may set them. *owner_lost: it is
 * known, and could not be. name: NULL for what fd is. */
int tree_set_attributes(int fd, const char *name, const struct file_entry *entry, bool *owner_lost);

#endif
