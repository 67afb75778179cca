#include "archive/shelf.h"

#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_NAME 1200u

int shelf_open(struct shelf *out, const char *path, struct error *err)
{
	bool is_store = store_is_name(path);

	*out = (struct shelf){.ops = is_store ? &shelf_store_ops : &shelf_folder_ops,
			      .path = path,
			      .is_store = is_store,
			      .fd = -1};
	return out->ops->open(out, err);
}

int shelf_next(struct shelf *shelf, const char **name, struct stat *status, struct error *err)
{
	return shelf->ops->next(shelf, name, status, err);
}

bool shelf_has(struct shelf *shelf, const char *name, const char *ending)
{
	char full[FULL_NAME];

	return snprintf(full, sizeof(full), "%s%s", name, ending) < (int)sizeof(full) &&
	       shelf->ops->has(shelf, full);
}

int shelf_peek(struct shelf *shelf, const char *name, uint8_t uuid[UUID_SIZE], struct error *err)
{
	return shelf->ops->peek(shelf, name, uuid, err);
}

bool shelf_doubt(struct shelf *shelf, const char *name, char *why, size_t size)
{
	return shelf->ops->doubt(shelf, name, why, size);
}

int shelf_remove(struct shelf *shelf, const char *name, const char *ending, struct error *err)
{
	char full[FULL_NAME];

	snprintf(full, sizeof(full), "%s%s", name, ending);
	return shelf->ops->remove(shelf, full, err);
}

int shelf_may_remove(struct shelf *shelf, const char *name, struct error *err)
{
	return shelf->ops->may_remove(shelf, name, err);
}

void shelf_close(struct shelf *shelf)
{
	if (shelf->ops != NULL)
		shelf->ops->close(shelf);
	*shelf = (struct shelf){.fd = -1};
}

bool shelf_is_prefix(const char *name)
{
	return store_is_name(name) && !store_is_web(name) &&
	       (strchr(name + strlen("s3://"), '/') == NULL || name[strlen(name) - 1] == '/');
}

char *shelf_path(const char *name)
{
	size_t n = strlen(name);

	return strndup(name, store_is_name(name) && name[n - 1] == '/' ? n - 1 : n);
}
