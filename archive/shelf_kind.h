/*
 * What the kinds of shelves have in common (archive/shelf.h). Private to them.
 */
#ifndef ARCHIVE_SHELF_KIND_H
#define ARCHIVE_SHELF_KIND_H

#include "format/format.h"

#include <sys/stat.h>

struct shelf;

/* How one kind of them works: shelf_folder.c, shelf_store.c. */
struct shelf_ops {
	int (*open)(struct shelf *shelf, struct error *err);
	int (*next)(struct shelf *shelf, const char **name, struct stat *status, struct error *err);
	bool (*has)(struct shelf *shelf, const char *name);
	int (*peek)(struct shelf *shelf, const char *name, uint8_t uuid[UUID_SIZE],
		    struct error *err);
	bool (*doubt)(struct shelf *shelf, const char *name, char *why, size_t size);
	int (*may_remove)(struct shelf *shelf, const char *name, struct error *err);
	int (*remove)(struct shelf *shelf, const char *name, struct error *err);
	void (*close)(struct shelf *shelf);
};

struct shelf {
	const struct shelf_ops *ops;
	const char *path; /* borrowed */
	bool is_store;	  /* each look costs a request, and a network may fail */
	int fd;		  /* of a folder */
	void *own;	  /* of the kind; owned */
};

extern const struct shelf_ops shelf_folder_ops, shelf_store_ops;

#endif
