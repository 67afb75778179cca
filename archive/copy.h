/*
 * A copy of a drive that nothing writes to: from one place to another, without an archive.
 */
#ifndef ARCHIVE_COPY_H
#define ARCHIVE_COPY_H

#include "base/error.h"

struct watcher;

enum copy_verify { COPY_VERIFY_ALL = 1, COPY_VERIFY_WRITTEN };

struct copy_options {
	const char *source;  /* PATH[,KEY=VALUE]..., as for a backup */
	const char *target;  /* the same, as for a restore */
	const char *changed; /* a list (archive/changes.h) of where the target may differ; NULL: it
				may anywhere */
	const char *target_sums; /* [NAME=]FILE: what the target holds; NULL: not known */
	const char *sums;	 /* a file for the sums of the copy; NULL: none */
	bool force, rollback; /* as in struct target_options; changed and target_sums imply both */
	bool no_sync, no_verify;
	unsigned verify; /* enum copy_verify, 0: COPY_VERIFY_ALL */
	uint64_t rate;	 /* bytes read a second; 0: no limit */
};

struct copy_result {
	uint64_t size_bytes;
	uint64_t read_bytes;	 /* of the source, without the comparison */
	uint64_t written_bytes;	 /* to the target */
	uint64_t compared_bytes; /* of both, after that */
	uint64_t excess_bytes;	 /* of the target, past the drive, that were left alone */
};

/* ERR_DAMAGED: the target did not hold the source's data when it was read again, or what the sums
 * say before. */
int copy_drive(const struct copy_options *options, struct copy_result *out,
	       const struct watcher *watcher, struct error *err);

#endif
