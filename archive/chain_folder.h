/*
 * The archives of the folders in which a chain's parents are looked for. Private to
 * archive/chain.c.
 */
#ifndef ARCHIVE_CHAIN_FOLDER_H
#define ARCHIVE_CHAIN_FOLDER_H

#include "archive/open.h"
#include "archive/shelf.h"

struct chain_link {
	char *path; /* owned */
	uint8_t uuid[UUID_SIZE];
	uint8_t parent[UUID_SIZE]; /* all zero: it is full */
	/* Owned, until chain_open hands it out: what can be read only once. NULL: a file. */
	struct opened_archive *stream;
};

/* Archives, by name or as a folder has them. */
struct found {
	struct chain_link *links; /* owned */
	unsigned n, room;
};

struct chain_name {
	char *name; /* owned */
	bool looked_at;
};

/* The archives of a folder by their first bytes, which prove nothing: parents are not known. */
struct chain_folder {
	char *path; /* owned; without a slash at its end if it is of a store */
	bool is_listed;
	struct shelf shelf;
	struct chain_name *names; /* owned; of a store sorted */
	unsigned n_names;
	struct error unread; /* why the first file there that cannot be read cannot be */
	struct found archives;
};

/* Adds one without a parent. Takes over path, also when it fails. */
int found_keep(struct found *found, char *path, const uint8_t uuid[UUID_SIZE], struct error *err);
/* The first one; NULL: there is none. */
const struct chain_link *found_by_uuid(const struct found *found, const uint8_t uuid[UUID_SIZE]);
void found_free(struct found *found);

/* The folder that a file lies in. Owned; NULL: no memory. */
char *chain_folder_of(const char *path);
/* Looks at its files, each once; of a store's, where each look is a request, only until one with
 * that uuid is found, and first at those whose names come just before that of the child. */
int chain_folder_look(struct chain_folder *folder, const char *child, const uint8_t uuid[UUID_SIZE],
		      struct error *err);
void chain_folder_free(struct chain_folder *folder);

#endif
