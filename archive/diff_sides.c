#include "archive/diff_sides.h"

#include "archive/sums_drive.h"
#include "base/command.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "drive/target.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static int open_drive(struct diff_side *side, const struct watcher *watcher, struct error *err)
{
	const struct drive_suffix *suffix = &side->argument.suffix;
	const struct drive_options how = {
		.format = suffix->format,
		.secret = suffix->secret,
		.internal = suffix->snapshot,
		.keep = true,
	};

	if (suffix->since != NULL || suffix->bitmap != NULL || suffix->reflink_of != NULL)
		return fail(err, ERR_USAGE,
			    "%s: ,since=, ,bitmap= and ,reflink-of= are for drives "
			    "of a backup",
			    side->operand);
	if (strcmp(side->argument.path, "-") == 0)
		return fail(err, ERR_USAGE, "%s: standard input cannot be compared as a drive",
			    side->operand);
	TRY(drive_open(&side->drive, side->argument.path, &how, err));
	if (drive_warning(side->drive) != NULL)
		watcher_warn(watcher, "%s", drive_warning(side->drive));
	return 0;
}

static int begin(struct diff_side *side, const struct watcher *watcher, struct error *err)
{
	if (store_is_name(side->operand) || command_of(side->operand) != NULL)
		return 0;
	TRY(drive_argument_parse(side->operand, &side->argument, err));
	if (side->argument.name == NULL && !target_is_uri(side->argument.path))
		return 0;
	return open_drive(side, watcher, err);
}

int diff_sides_begin(struct diff_side sides[2], const char *const operands[2],
		     const struct watcher *watcher, struct error *err)
{
	for (unsigned i = 0; i < 2; i++)
		sides[i] = (struct diff_side){.operand = operands[i]};
	for (unsigned i = 0; i < 2; i++)
		TRY(begin(&sides[i], watcher, err));
	return 0;
}

static int find_archive(struct diff_side *side, const struct strings *folders, const char *folder,
			const struct watcher *watcher, struct error *err)
{
	struct strings names;
	int code;

	if (!strings_join(&names, side->operand, folders, NULL))
		return fail_memory(err);
	code = sums_find(&side->sums, &names, folder, watcher, err);
	free(names.items);
	return code;
}

/* The name by which the other side has the drive is found in diff.c. */
static int find_drive(struct diff_side *side, const char *folder, const struct watcher *watcher,
		      struct error *err)
{
	const char *name = side->argument.name != NULL ? side->argument.name : "drive";
	int code = sums_of_drive(&side->sums.made, folder, name, side->drive, watcher, err);

	if (code == 0)
		code = sums_of_writer(&side->sums.sums, side->sums.made, side->operand, err);
	if (code != 0)
		error_in_file(err, side->operand);
	return code;
}

int diff_sides_find(struct diff_side sides[2], const struct strings *folders, const char *folder,
		    const struct watcher *watcher, struct error *err)
{
	for (unsigned i = 0; i < 2; i++)
		TRY(sides[i].drive != NULL
			    ? find_drive(&sides[i], folder, watcher, err)
			    : find_archive(&sides[i], folders, folder, watcher, err));
	return 0;
}

void diff_sides_close(struct diff_side sides[2])
{
	for (unsigned i = 0; i < 2; i++) {
		found_sums_close(&sides[i].sums);
		drive_close(sides[i].drive);
		drive_argument_free(&sides[i].argument);
	}
}
