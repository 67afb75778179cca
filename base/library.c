#include "base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static int load(struct library *library, struct error *err)
{
	void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);
	void *found = handle;

	for (size_t i = 0; found != NULL && library->names[i] != NULL; i++) {
		found = dlsym(handle, library->names[i]);
		memcpy((char *)library->members + i * sizeof(found), &found, sizeof(found));
	}
	if (found == NULL)
		return fail(err, ERR_UNSUPPORTED, "%.*s cannot be loaded: %.300s",
			    (int)strcspn(library->file, "."), library->file, dlerror());
	library->handle = handle;
	return 0;
}

int library_load(struct library *library, struct error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	int code = library->handle != NULL ? 0 : load(library, err);
	pthread_mutex_unlock(&lock);
	return code;
}
