/*
 * What a restore puts where: decided, and judged as a whole, before anything is written.
 */
#ifndef CLI_RESTORE_PLAN_H
#define CLI_RESTORE_PLAN_H

#include "cli/options.h"
#include "format/format.h"

struct report;

struct restore_plan {
	const struct archive *archive; /* borrowed */
	char **drive_paths;  /* owned; one for each drive of the archive, NULL: not restored */
	char **config_paths; /* the same for the configs */
	uint32_t n_drives, n_configs; /* that are restored */
	bool in_directory;	      /* something goes into --directory */
};

/* Chooses the paths. Drives whose names cannot be paths are an error, configs a warning. *out can
 * be freed whatever comes. */
int restore_plan_make(struct restore_plan *out, const struct archive *archive,
		      const struct options *options, struct report *report, struct error *err);
/* Refuses two things that go to one place, the archive itself as a target, and configs that are
 * there already without
 * --force. The folder exists by now. */
int restore_plan_check(const struct restore_plan *plan, const struct options *options,
		       struct error *err);
void restore_plan_free(struct restore_plan *plan);

#endif
