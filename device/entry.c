#include "device/entry.h"

#include <stdlib.h>
#include <string.h>

bool entry_name_set(struct file_entry *entry, const char *name, size_t n)
{
	if (n == 0 || n > ENTRY_NAME_MAX || memchr(name, '/', n) != NULL ||
	    memchr(name, '\0', n) != NULL || (n <= 2 && memcmp(name, "..", n) == 0))
		return false;
	memcpy(entry->name, name, n);
	entry->name[n] = '\0';
	return true;
}

int entries_add(struct entries *entries, const struct file_entry *entry, struct error *err)
{
	if (entries->most != 0 && entries->n == entries->most)
		return fail(err, ERR_UNSUPPORTED,
			    "too many names, of this folder and those above it: those after the "
			    "first %zu of it are left out",
			    entries->n);
	if (entries->n == entries->room) {
		size_t room = entries->room * 2 + 16;
		struct file_entry *grown = reallocarray(entries->of, room, sizeof(*grown));

		if (grown == NULL)
			return fail_memory(err);
		entries->of = grown;
		entries->room = room;
	}
	entries->of[entries->n++] = *entry;
	return 0;
}

void entries_free(struct entries *entries)
{
	free(entries->of);
	free(entries->unread);
	*entries = (struct entries){0};
}
