/*
 * What deciding and applying share.
 */
#ifndef ARCHIVE_PRUNE_PARTS_H
#define ARCHIVE_PRUNE_PARTS_H

#include "archive/folder.h"
#include "archive/in_use.h"
#include "archive/shelf.h"

/* Whether what an archive stands on is not known, and this one may be that. */
bool prune_may_need(const struct folder_archive *unknown, const struct folder_archive *archive);

/* The archive and its sums, either of which may be the parent of what a run writes. */
struct prune_seized {
	struct in_use archive, sums;
};

/* 1: a run needs it. In a store nobody can know. */
int prune_seize(struct prune_seized *out, const struct shelf *shelf,
		const struct folder_archive *archive);
void prune_release(struct prune_seized *seized);

#endif
