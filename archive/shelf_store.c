/*
 * Objects appear whole or not at all, so that nothing there is what is left of an archive; and
 * those named like one are taken for one without a look, as each look is a request.
 */
#include "archive/shelf_kind.h"

#include "base/name.h"
#include "store/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prefix {
	struct store_folder *folder;
	struct store_objects objects;
	unsigned next;
};

static int open_prefix(struct shelf *shelf, struct error *err)
{
	struct prefix *own = shelf->own = calloc(1, sizeof(*own));

	if (own == NULL)
		return fail_memory(err);
	TRY(store_folder_open(&own->folder, shelf->path, err));
	return store_folder_list(own->folder, "", &own->objects, err);
}

static int next(struct shelf *shelf, const char **name, struct stat *status, struct error *err)
{
	struct prefix *own = shelf->own;
	const struct store_object *object = &own->objects.items[own->next];

	(void)err;
	if (own->next == own->objects.n)
		return 0;
	own->next++;
	*name = object->name;
	*status = (struct stat){.st_mode = S_IFREG | 0600,
				.st_ino = (ino_t)object->tag,
				.st_size = (off_t)object->size_bytes,
				.st_mtim.tv_sec = (time_t)object->modified_s};
	return 1;
}

static int compare(const void *name, const void *object)
{
	return strcmp(name, ((const struct store_object *)object)->name);
}

static bool has(struct shelf *shelf, const char *name)
{
	const struct prefix *own = shelf->own;

	return own->objects.n > 0 && bsearch(name, own->objects.items, own->objects.n,
					     sizeof(*own->objects.items), compare) != NULL;
}

static int peek(struct shelf *shelf, const char *name, uint8_t uuid[UUID_SIZE], struct error *err)
{
	struct prefix *own = shelf->own;
	uint8_t first[SECTOR_SIZE];
	struct landmark mark;
	size_t got;

	TRY(store_folder_peek(own->folder, name, first, sizeof(first), &got, err));
	if (got < sizeof(first) || !landmark_recognise(first, &mark) || !mark.is_head ||
	    mark.format != FORMAT_VMAB)
		return 0;
	memcpy(uuid, mark.uuid, UUID_SIZE);
	return 1;
}

static bool doubt(struct shelf *shelf, const char *name, char *why, size_t size)
{
	(void)shelf;
	snprintf(why, size, "does not begin like an archive");
	return has_ending(name, ".vmab");
}

static int may_remove(struct shelf *shelf, const char *name, struct error *err)
{
	return store_folder_check(((struct prefix *)shelf->own)->folder, name, err);
}

static int remove_object(struct shelf *shelf, const char *name, struct error *err)
{
	return store_folder_remove(((struct prefix *)shelf->own)->folder, name, err);
}

static void close_prefix(struct shelf *shelf)
{
	struct prefix *own = shelf->own;

	if (own == NULL)
		return;
	store_objects_free(&own->objects);
	store_folder_close(own->folder);
	free(own);
}

const struct shelf_ops shelf_store_ops = {
	.open = open_prefix,
	.next = next,
	.has = has,
	.peek = peek,
	.doubt = doubt,
	.may_remove = may_remove,
	.remove = remove_object,
	.close = close_prefix,
};
