/*
 * The archives of a view's chain, of which a bounded number is open at a time. Private to archive/.
 */
#ifndef ARCHIVE_VIEW_LINKS_H
#define ARCHIVE_VIEW_LINKS_H

#include "archive/chain.h"

#include <pthread.h>

struct view_link {
	struct opened_archive opened; /* opened.archive == NULL: it is not open */
	uint32_t *drive_of;	      /* owned: of each of its drives, its number in the newest */
	unsigned n_users;
	uint64_t used; /* when, by a count */
};

struct view_links {
	struct chain chain;	 /* n == 0: a full archive stands alone */
	const char *name;	 /* borrowed: of the newest */
	struct view_link *links; /* owned; newest first. The newest stays open */
	unsigned n, n_open, n_open_max;
	uint64_t count;
	pthread_mutex_t lock; /* guards what is open, and is held while one is opened */
};

/* Opens the newest. streams: a full archive alone may be one that cannot be read in any order,
 * whose input_size is 0. Close *out even after an error. */
int view_links_open(struct view_links *out, const struct strings *archives,
		    const struct strings *folders, bool streams, struct error *err);
void view_links_close(struct view_links *links);

/* Opens it if need be; it stays open until view_link_put. Any thread. */
int view_link_get(struct view_links *links, unsigned link, struct view_link **out,
		  struct error *err);
void view_link_put(struct view_links *links, struct view_link *link);
/* Its name. */
const char *view_link_name(const struct view_links *links, unsigned link);

#endif
