#include "archive/view_links.h"

#include "reader/input/input.h"
#include "reader/reader.h"

#include <stdlib.h>

#define OPEN_MAX_WANTED 64u

static int find_chain(struct view_links *links, const struct strings *archives,
		      const struct strings *folders, struct error *err)
{
	struct strings parents = {archives->items + 1, archives->n - 1}, names;
	int code;

	if (!strings_join(&names, links->name, &parents, folders))
		return fail_memory(err);
	code = chain_find(&links->chain, &names, err);
	free(names.items);
	return code;
}

static int check_input(const struct opened_archive *opened, struct error *err)
{
	const char *filter = input_filter(opened->input);

	if (input_size(opened->input) != 0)
		return 0;
	return fail(err, ERR_UNSUPPORTED,
		    "%s: can only be read from its beginning to its end: %s; 'vmabak export "
		    "--cache-file FILE' keeps what is read on the way, and 'vmabak convert' makes "
		    "an archive that can be read in any order",
		    opened->name, filter == NULL ? "it comes through a pipe" : filter);
}

int view_links_open(struct view_links *out, const struct strings *archives,
		    const struct strings *folders, bool streams, struct error *err)
{
	struct opened_archive *newest;
	bool alone;

	*out = (struct view_links){.name = archives->items[0], .n_open_max = OPEN_MAX_WANTED};
	pthread_mutex_init(&out->lock, NULL);
	out->links = calloc(1, sizeof(*out->links));
	if (out->links == NULL)
		return fail_memory(err);
	out->n = out->n_open = 1;
	newest = &out->links[0].opened;
	TRY(archive_open(newest, out->name, 0, err));
	alone = archives->n == 1 && !archive_is_incremental(newest->archive);
	if (streams && alone && input_size(newest->input) == 0)
		return 0;
	TRY(check_input(newest, err));
	input_expect_random(newest->input);
	if (alone)
		return in_use_hold(&out->chain.newest, out->name, err);
	TRY(find_chain(out, archives, folders, err));
	struct view_link *links = realloc(out->links, out->chain.n * sizeof(*links));
	if (links == NULL)
		return fail_memory(err);
	out->links = links;
	for (unsigned i = 1; i < out->chain.n; i++)
		links[i] = (struct view_link){0};
	out->n = out->chain.n;
	return 0;
}

static void close_link(struct view_links *links, struct view_link *link)
{
	archive_close(&link->opened);
	links->n_open--;
}

void view_links_close(struct view_links *links)
{
	for (unsigned i = 0; i < links->n; i++) {
		archive_close(&links->links[i].opened);
		free(links->links[i].drive_of);
	}
	free(links->links);
	chain_free(&links->chain);
	pthread_mutex_destroy(&links->lock);
}

/* Closes the one that has not been used for longest, but the newest. */
static void make_room_locked(struct view_links *links)
{
	struct view_link *oldest = NULL;

	if (links->n_open < links->n_open_max)
		return;
	for (unsigned i = 1; i < links->n; i++) {
		struct view_link *link = &links->links[i];

		if (link->opened.archive != NULL && link->n_users == 0 &&
		    (oldest == NULL || link->used < oldest->used))
			oldest = link;
	}
	if (oldest != NULL)
		close_link(links, oldest);
}

static int open_locked(struct view_links *links, unsigned number, struct error *err)
{
	struct view_link *link = &links->links[number];
	int code;

	make_room_locked(links);
	links->n_open++;
	code = chain_open(&link->opened, &links->chain, number, 0, err);
	if (code == 0)
		code = check_input(&link->opened, err);
	if (code == 0)
		input_expect_random(link->opened.input);
	else
		close_link(links, link);
	return code;
}

int view_link_get(struct view_links *links, unsigned number, struct view_link **out,
		  struct error *err)
{
	struct view_link *link = &links->links[number];
	int code = 0;

	pthread_mutex_lock(&links->lock);
	if (link->opened.archive == NULL)
		code = open_locked(links, number, err);
	if (code == 0) {
		link->n_users++;
		link->used = ++links->count;
		*out = link;
	}
	pthread_mutex_unlock(&links->lock);
	return code;
}

void view_link_put(struct view_links *links, struct view_link *link)
{
	pthread_mutex_lock(&links->lock);
	link->n_users--;
	pthread_mutex_unlock(&links->lock);
}

const char *view_link_name(const struct view_links *links, unsigned link)
{
	return links->chain.n > 0 ? links->chain.links[link].path : links->name;
}
