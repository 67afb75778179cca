/*
 * A backup into a folder of chains.
 */
#include "cli/backup.h"

#include "archive/shelf.h"
#include "cli/memory.h"
#include "store/store.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* With --to these are chosen, not given. */
static const char *excluded(const struct backup_options *options)
{
	const struct create_options *create = &options->create;

	if (create->name != NULL)
		return "-o";
	if (options->head.parent != NULL)
		return "--parent";
	/* One that another archive of the folder has would make its chain another one. */
	if (options->head.uuid != NULL)
		return "--uuid";
	if (options->head.sums != NULL)
		return "--sums";
	/* Nobody knows beforehand which archive it has to be since. */
	if (options->changes.changed.n > 0)
		return "--changed";
	if (options->head.dedup)
		return "--dedup";
	if (create->format == FORMAT_CHOICE_VMA)
		return "--format vma";
	return create->force ? "--force" : NULL;
}

/* The run that goes on would choose another name. */
static int fail_resume(const char *folder, struct error *err)
{
	size_t n = strlen(folder);

	return fail(err, ERR_USAGE,
		    "--to and --resume exclude each other: --to gives the archive of each run a "
		    "name of its own; choose one that stays, with -o "
		    "%.200s%sNAME-YYYY-MM-DDTHHMMSSZ.vmab, and --parent for an increment: it "
		    "belongs to the chain all the same",
		    folder, n > 0 && folder[n - 1] == '/' ? "" : "/");
}

int backup_check_chain(const struct backup_options *options, struct error *err)
{
	const struct folder_options *to = &options->to;
	const char *other = to->folder != NULL ? excluded(options) : NULL;

	if (options->head.no_sums && options->head.sums != NULL)
		return fail(err, ERR_USAGE, "--sums and --no-sums exclude each other");
	if (to->folder != NULL && options->create.resume)
		return fail_resume(to->folder, err);
	if (to->folder != NULL)
		return other == NULL
			       ? folder_check(to, err)
			       : fail(err, ERR_USAGE, "--to and %s exclude each other", other);
	if (to->machine != NULL || to->full_every != NULL || to->lock_wait != 0)
		return fail(err, ERR_USAGE, "%s needs --to DIR",
			    to->machine != NULL	     ? "--name"
			    : to->full_every != NULL ? "--full-every"
						     : "--lock-wait");
	return 0;
}

int backup_to(const struct machine_kind *kind, const struct backup_options *options,
	      struct report *report)
{
	struct backup_options chosen = *options;
	struct folder_next next;
	struct error err = {0};
	char *state = NULL, *folder = shelf_path(options->to.folder);
	int code;

	if (folder == NULL)
		memory_give_up();
	chosen.to.folder = folder;
	if (folder_next_open(&next, &chosen.to, &report->watcher, &err) == 0 &&
	    next.parent == NULL && increment_required(&options->increment))
		fail(&err, ERR_USAGE, "%s: %s, which --incremental require excludes",
		     options->to.machine, next.why_full);
	if (err.code != 0) {
		code = report_error(report, NULL, &err);
	} else {
		chosen.create.name = next.path;
		chosen.head.parent = next.parent;
		chosen.head.parent_optional = !increment_required(&options->increment);
		chosen.head.sums_beside = true;
		if (options->machine.state == NULL && !store_is_name(options->to.folder)) {
			state = text_make("%s/.vmabak/%s", options->to.folder, options->to.machine);
			if (state == NULL)
				memory_give_up();
			chosen.machine.state = state;
		}
		code = backup_machine(kind, &chosen, report);
	}
	free(state);
	folder_next_close(&next);
	free(folder);
	return code;
}
