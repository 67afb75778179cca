/*
 * restore --live: the machine runs while its drives are restored.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "archive/restore_plan.h"
#include "cli/command.h"
#include "machine/serve/options.h"

struct report;

struct live_choice {
	const char *machine; /* "any" or a source; NULL: no live restore */
	const char *connect; /* to which libvirt, or NULL */
	struct serve_options serve;
};

extern const struct option_spec live_specs[];

/* Judges the options, with which others cannot go together. define: a domain is to be defined. */
int live_check(const struct live_choice *choice, struct restore_options *restore, bool define,
	       struct error *err);
/* Whether the machine is a domain of libvirt. */
bool live_is_libvirt(const struct live_choice *choice);
/* All of it; returns the exit code. */
int live_restore(const struct live_choice *choice, const struct restore_options *restore,
		 const struct strings *archives, struct report *report);

#endif
