/*
 * Where a restore puts drives and configs, decided and judged as a whole before it writes anything.
 */
#ifndef ARCHIVE_RESTORE_PLAN_H
#define ARCHIVE_RESTORE_PLAN_H

#include "base/sandbox.h"
#include "base/text.h"
#include "drive/argument.h"
#include "format/format.h"

struct watcher;

/* What a user may say about what is restored, and where to. */
struct restore_options {
	const char *archive;	/* its name; "-": standard input */
	struct strings parents; /* archives that it may need; others are found in its folder */
	struct strings folders; /* where more of them are looked for */
	const char *directory;	/* for drives without a target, and for configs */
	struct strings drives;	/* NAME[=TARGET]; none: all */
	bool configs;		/* even with drives */
	bool no_configs;
	bool force;
	bool rollback; /* only what differs in targets that exist is written; goes with force */
	bool resume;   /* what a run that broke off has written is kept, and taken up */
	bool passable; /* directory, if it is made: others may reach files in it by their names */
	bool no_sync;
	uint64_t threads; /* 0: one a processor */
	uint64_t rate;	  /* bytes a second, 0: no limit */
};

struct restore_plan {
	const struct archive *archive; /* borrowed */
	char **drive_paths; /* owned; one for each drive of the archive, NULL: not restored */
	struct drive_suffix *suffixes; /* the same: what followed the path; points into it */
	char **config_paths;	       /* owned; one for each config */
	uint32_t n_drives, n_configs;  /* that are restored */
	bool in_directory;	       /* something goes into --directory */
	const char *made_folder;       /* --directory, which did not exist; borrowed, or NULL */
	struct sandbox sandbox;	       /* of restore_plan_rules */
};

/* Judges the options, before the archive is opened. */
int restore_plan_options(const struct restore_options *options, struct error *err);
/* Chooses the paths. Drives whose names cannot be paths are an error, configs a warning. *out can
 * be closed even after a failure. */
int restore_plan_make(struct restore_plan *out, const struct archive *archive,
		      const struct restore_options *options, const struct watcher *watcher,
		      struct error *err);
/* The number of the config of that name, if it is restored; n_configs of the archive: it is not. */
uint32_t restore_plan_config(const struct restore_plan *plan, const char *name);
/* Sends it elsewhere: path must not come from the archive. */
int restore_plan_move_config(struct restore_plan *plan, uint32_t config, const char *path,
			     struct error *err);
/* The drive that goes to standard output, and then is the only one; or the number of drives. */
uint32_t restore_plan_stream(const struct restore_plan *plan);
/* Makes --directory if the plan needs it and it is missing. A signal removes it, too. */
int restore_plan_make_folder(struct restore_plan *plan, const struct restore_options *options,
			     struct error *err);
/* Refuses two things that go to one place, the archive itself as a target, and, without --force,
 * configs that exist already. To be called once the folder exists. */
int restore_plan_check(const struct restore_plan *plan, const struct restore_options *options,
		       struct error *err);
/* Allows the sandbox what the process still needs once all targets are open: to put configs there
 * and to give names to what it made; sandbox_enter gives up the rest. To be called before targets
 * are opened, which may take all descriptors. map: a file, or a folder for files, that will be
 * written too, or NULL. */
void restore_plan_rules(struct restore_plan *plan, const char *directory, const char *map);
/* To be called once the targets are closed. done: the restore went well; else a folder that was
 * made is removed if it is empty. */
void restore_plan_close(struct restore_plan *plan, bool done);

#endif
