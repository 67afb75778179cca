/*
 * What an archive holds, as text or as JSON.
 */
#ifndef CLI_TELL_LIST_H
#define CLI_TELL_LIST_H

#include "format/format.h"

struct json_t;
struct strings;
struct opened_archive;

/* Whether the archive ends properly, as far as its tail shows. */
struct list_end {
	int found; /* as reader_find_tail */
	struct totals totals;
	struct error err;
};

void list_print(const struct opened_archive *opened, const struct list_end *end);
/* A line for each of several archives, of which names has all. */
void list_table_title(const struct strings *names);
void list_table_row(const struct strings *names, const struct opened_archive *opened,
		    const struct list_end *end);
/* Into an object; NULL: nothing. */
void list_put(const struct opened_archive *opened, const struct list_end *end,
	      struct json_t *object);

#endif
