#include "base/stop.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static enum stop_next (*_Atomic handler)(void); /* NULL: none, or it was called */
static _Atomic(const char *) folder;
static atomic_int signal_number;

void stop_handle(enum stop_next (*new)(void))
{
	atomic_store(&handler, new);
}

void stop_guard_folder(const char *path)
{
	atomic_store(&folder, path);
}

void stop_remove_folder(void)
{
	const char *path = atomic_load(&folder);

	if (path != NULL)
		rmdir(path);
}

enum stop_next stop_by(int number)
{
	enum stop_next (*called)(void) = atomic_exchange(&handler, NULL);

	if (called == NULL)
		return STOP_NOW;
	atomic_store(&signal_number, number);
	return called();
}

int stop_signal(void)
{
	return atomic_load(&signal_number);
}
