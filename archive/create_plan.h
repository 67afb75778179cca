/*
 * An archive to be written, judged before anything is opened: what its name means, its format and
 * its compression.
 */
#ifndef ARCHIVE_CREATE_PLAN_H
#define ARCHIVE_CREATE_PLAN_H

#include "format/format.h"
#include "writer/writer.h"

#include <sys/stat.h>

enum format_choice { FORMAT_BY_NAME, FORMAT_CHOICE_VMAB, FORMAT_CHOICE_VMA };

/* What a user may say about an archive to be written. All zero but the name, which must be given,
 * is the default. */
struct create_options {
	const char *name;     /* "-": standard output */
	unsigned format;      /* enum format_choice */
	const char *compress; /* METHOD[:LEVEL]; NULL: by the name */
	bool no_vma_checksums;
	uint64_t record_size;	  /* bytes, 0: free */
	uint64_t extent_size;	  /* bytes of data, VMAB only; 0: as is best */
	uint64_t threads;	  /* 0: one a processor */
	uint64_t rate;		  /* bytes a second, 0: no limit */
	uint64_t s3_parts;	  /* of an object at most; 0: as most stores have it */
	const char *retain_until; /* of an object: a day; NULL: nothing */
	bool no_sync;
	bool force;
	bool resume; /* goes on with what a run that broke off has left, and leaves it so */
	const char *resume_check; /* of a command: another one, which tells what is there */
};

struct create_plan {
	enum archive_format format;
	enum cluster_checksum cluster_checksum;
	enum wrap wrap;
	int level; /* 0: no compression */
};

/* Judges all options and what exists under the name. */
int create_plan_make(struct create_plan *out, const struct create_options *options,
		     struct error *err);
/* Format and compression alone. by_name: the archive will be a regular file, so its name must tell
 * the format. */
int create_plan_format(struct create_plan *out, bool by_name, const struct create_options *options,
		       struct error *err);

/* Whether the name ends like that of an archive, compressed or not. */
bool create_plan_names_archive(const char *name);

/* Whether writing an archive of this name would write to this file; "-": what standard output is.
 */
bool create_plan_overwrites(const char *name, const struct stat *file);

#endif
