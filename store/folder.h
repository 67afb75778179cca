/*
 * Objects of a store whose keys begin with the same PREFIX/, without those whose names have a slash
 * after it: what a folder has of files. Not for several threads at once.
 */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include "base/error.h"

struct store_folder;

struct store_object {
	char *name; /* after the prefix; owned by the list */
	uint64_t size_bytes;
	uint64_t tag;	     /* of its content: another one if that is replaced */
	uint64_t modified_s; /* as a number that grows with the time */
};

struct store_objects {
	struct store_object *items; /* owned; by name */
	unsigned n;
};

/* path: "s3://BUCKET/PREFIX" or "s3://BUCKET", without a slash at its end; borrowed. Nothing is
 * asked. *out is NULL after an error. */
int store_folder_open(struct store_folder **out, const char *path, struct error *err);
/* Those whose names begin so; "": all. One request for each 1000 objects. Free *out even after an
 * error. ERR_SYSTEM also for a bucket that is not there; a prefix without objects is no error. */
int store_folder_list(struct store_folder *folder, const char *begins, struct store_objects *out,
		      struct error *err);
void store_objects_free(struct store_objects *objects);
/* The first bytes of an object, at most n; *got is 0 if there is no such object, too. */
int store_folder_peek(struct store_folder *folder, const char *name, uint8_t *bytes, size_t n,
		      size_t *got, struct error *err);
/* Whether there is such an object. 1: yes; 0: no. */
int store_folder_has(struct store_folder *folder, const char *name, struct error *err);
/* ERR_LOCKED: the store has it locked against being removed. Also 0 if it is not there any more. */
int store_folder_check(struct store_folder *folder, const char *name, struct error *err);
/* Also 0 if it is not there any more. A store that keeps versions hides a locked object and says
 * that it is removed: so store_folder_check comes first. Older versions that a store keeps of it
 * stay. */
int store_folder_remove(struct store_folder *folder, const char *name, struct error *err);
/* Only if it begins with this text, of at most 64 bytes, which nobody else writes. is_there: it was
 * seen before, and some stores tell late what they have: then it is looked for twice. A request that
 * may have been heard is not sent again before another look; that nobody has replaced it between a
 * look and the request is up to stores that heed If-Match there, as that of AWS does (others
 * remove what is there: it would have to be replaced within one request's time). */
int store_folder_remove_own(struct store_folder *folder, const char *name, const char *begins,
			    bool is_there, struct error *err);
/* A small object, in one piece. 1: there is one of that name already, as far as the store tells. */
int store_folder_put_new(struct store_folder *folder, const char *name, const char *text,
			 struct error *err);
/* The address of an object. Owned; NULL: no memory. */
char *store_folder_url(const struct store_folder *folder, const char *name);
/* From here on no request is tried again, or takes longer than a few seconds. */
void store_folder_hurry(struct store_folder *folder);
void store_folder_close(struct store_folder *folder); /* NULL-safe */

#endif
