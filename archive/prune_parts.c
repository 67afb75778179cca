#include "archive/prune_parts.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What an archive with an unreadable head stands on is not known: anything older. */
bool prune_may_need(const struct folder_archive *unknown, const struct folder_archive *archive)
{
	return !unknown->head_known &&
	       (*unknown->machine == '\0' || (strcmp(unknown->machine, archive->machine) == 0 &&
					      archive->time_s <= unknown->time_s));
}

int prune_seize(struct prune_seized *out, const struct shelf *shelf,
		const struct folder_archive *archive)
{
	char name[NAME_MAX + 1];
	int is_in_use;

	*out = (struct prune_seized){.archive = {.fd = -1}, .sums = {.fd = -1}};
	if (shelf->is_store)
		return 0;
	snprintf(name, sizeof(name), "%s.sums", archive->file);
	is_in_use = in_use_seize(&out->archive, shelf->fd, archive->file);
	return in_use_seize(&out->sums, shelf->fd, name) | is_in_use;
}

void prune_release(struct prune_seized *seized)
{
	in_use_end(&seized->archive);
	in_use_end(&seized->sums);
}
