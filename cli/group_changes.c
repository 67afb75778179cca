#include "cli/group_changes.h"

#include "archive/create.h"
#include "base/name.h"
#include "cli/memory.h"
#include "cli/sources.h"
#include "cow/sweep.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

const struct option_spec change_specs[] = {
	{"changed", 0, OPTION_LIST, OPTION_FIELD(change_options, changed),
	 .argument = "NAME=LIST[,...]",
	 .help = "with --parent: read only what LIST says has changed in the drive NAME; see "
		 "vmabak-changes(1)",
	 .sources = SOURCE_DRIVES},
	OPTIONS_END,
};

/* The drive that the argument is of; n_drives: none. */
static uint32_t find_drive(const struct machine_description *description, const char *argument,
			   size_t length)
{
	uint32_t i = 0;

	while (i < description->n_drives &&
	       (strlen(description->drives[i].name) != length ||
		memcmp(description->drives[i].name, argument, length) != 0))
		i++;
	return i;
}

static int read_one(struct drive_changes *out, const char *argument,
		    const struct machine_description *description, struct error *err)
{
	size_t length = name_prefix(argument);
	uint32_t i = find_drive(description, argument, length);
	int code;

	if (length == 0)
		return fail(err, ERR_USAGE, "--changed '%s': must be NAME=LIST[,...]", argument);
	if (i == description->n_drives)
		return fail(err, ERR_USAGE, "--changed '%s': there is no drive %.*s", argument,
			    (int)length, argument);
	if (out->of[i] != NULL)
		return fail(err, ERR_USAGE, "--changed '%s': drive %s has a list already", argument,
			    description->drives[i].name);
	if (description->drives[i].path != NULL && strcmp(description->drives[i].path, "-") == 0)
		return fail(err, ERR_USAGE,
			    "--changed '%s': standard input can only be read in full", argument);
	out->of[i] = memory_new(1, sizeof(*out->of[i]));
	code = changes_read(out->of[i], argument + length + 1, description->drives[i].size_bytes,
			    err);
	if (code != 0)
		error_prefix(err, "--changed %s", description->drives[i].name);
	return code;
}

int drive_changes_read(struct drive_changes *out, const struct change_options *options,
		       const struct machine_description *description, bool has_parent,
		       struct error *err)
{
	out->n_drives = description->n_drives;
	out->of = memory_new(out->n_drives + 1, sizeof(*out->of));
	out->sets = memory_new(out->n_drives + 1, sizeof(*out->sets));
	if (options->changed.n > 0 && !has_parent)
		return fail(err, ERR_USAGE,
			    "--changed needs --parent: a list says what changed since an archive");
	for (unsigned i = 0; i < options->changed.n; i++)
		TRY(read_one(out, options->changed.items[i], description, err));
	return 0;
}

void drive_changes_use(struct drive_changes *changes, struct create *create, struct sweep *sweep)
{
	for (uint32_t i = 0; i < changes->n_drives; i++) {
		if (create->marks[i].proof.verdict == PROOF_RIGHT)
			changes->sets[i] = &changes->of[i]->set;
	}
	create_expect(create, changes->sets);
	if (sweep != NULL)
		sweep_restrict(sweep, changes->sets);
}

void drive_changes_free(struct drive_changes *changes)
{
	for (uint32_t i = 0; i < changes->n_drives; i++) {
		if (changes->of[i] != NULL)
			changes_free(changes->of[i]);
		free(changes->of[i]);
	}
	free(changes->of);
	free(changes->sets);
	*changes = (struct drive_changes){0};
}
