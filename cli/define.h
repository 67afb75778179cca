/*
 * restore --define: the domain of libvirt whose drives are restored is defined on this host.
 */
#ifndef CLI_DEFINE_H
#define CLI_DEFINE_H

#include "archive/restore.h"

struct define;
struct json_t;
struct report;

struct define_options {
	bool wanted;
	const char *name, *connect; /* or NULL */
};

/* Judges the options, and sets what they mean for the restore. */
int define_check(const struct define_options *options, struct restore_options *restore,
		 struct error *err);
/* After restore_open: refuses what cannot be defined, and puts the state of a TPM where it has to
 * be. */
int define_open(struct define **out, const struct define_options *options, struct restore *restore,
		struct error *err);
/* After restore_run. */
int define_run(struct define *define, struct error *err);
void define_tell(const struct define *define, struct report *report);
void define_close(struct define *define); /* NULL-safe */

#endif
