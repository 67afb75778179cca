#include "cli/group_changes.h"

#include "archive/create.h"
#include "base/name.h"
#include "cli/memory.h"
#include "cli/sources.h"
#include "cow/sweep.h"
#include "drive/drive.h"
#include "machine/machine.h"

#include <stdlib.h>
#include <string.h>

const struct option_spec change_specs[] = {
	{"changed", 0, OPTION_LIST, OPTION_FIELD(change_options, changed),
	 .argument = "NAME=LIST[,...]",
	 .help = "with --parent: read only what LIST says has changed in the drive NAME; see "
		 "vmabak-changes(1)",
	 .sources = SOURCE_DRIVES},
	{"used", 0, OPTION_LIST, OPTION_FIELD(change_options, used), .argument = "NAME=MAP",
	 .help = "leave out what is free in the drive NAME by this map of its file system; see "
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

/* One of --changed or --used, of which it says how it is read. */
struct kind {
	const char *option;
	int (*read)(struct changes *out, const char *what, uint64_t size_bytes, struct error *err);
	struct changes **of;
};

static int read_one(const struct kind *kind, const char *argument,
		    const struct machine_description *description, struct error *err)
{
	size_t length = name_prefix(argument);
	uint32_t i = find_drive(description, argument, length);
	int code;

	if (length == 0)
		return fail(err, ERR_USAGE, "%s '%s': must be NAME=LIST[,...]", kind->option,
			    argument);
	if (i == description->n_drives)
		return fail(err, ERR_USAGE, "%s '%s': there is no drive %.*s", kind->option,
			    argument, (int)length, argument);
	if (kind->of[i] != NULL)
		return fail(err, ERR_USAGE, "%s '%s': drive %s has a list already", kind->option,
			    argument, description->drives[i].name);
	if (description->drives[i].path != NULL && strcmp(description->drives[i].path, "-") == 0)
		return fail(err, ERR_USAGE, "%s '%s': standard input can only be read in full",
			    kind->option, argument);
	kind->of[i] = memory_new(1, sizeof(*kind->of[i]));
	code = kind->read(kind->of[i], argument + length + 1, description->drives[i].size_bytes,
			  err);
	if (code != 0)
		error_prefix(err, "%s %s", kind->option, description->drives[i].name);
	return code;
}

int drive_changes_read(struct drive_changes *out, const struct change_options *options,
		       const struct machine_description *description, bool has_parent,
		       struct error *err)
{
	struct kind changed = {"--changed", changes_read, NULL};
	struct kind used = {"--used", changes_read_used, NULL};

	out->n_drives = description->n_drives;
	changed.of = out->of = memory_new(out->n_drives + 1, sizeof(*out->of));
	used.of = out->used = memory_new(out->n_drives + 1, sizeof(*out->used));
	out->sets = memory_new(out->n_drives + 1, sizeof(*out->sets));
	if (options->changed.n > 0 && !has_parent)
		return fail(err, ERR_USAGE,
			    "--changed needs --parent: a list says what changed since an archive");
	for (unsigned i = 0; i < options->changed.n; i++)
		TRY(read_one(&changed, options->changed.items[i], description, err));
	for (unsigned i = 0; i < options->used.n; i++)
		TRY(read_one(&used, options->used.items[i], description, err));
	return 0;
}

int drive_changes_leave_out(const struct drive_changes *changes, struct create *create,
			    struct drive *const *drives, struct error *err)
{
	for (uint32_t i = 0; i < changes->n_drives; i++) {
		uint64_t size_bytes = create->archive->drives[i].size_bytes;
		uint64_t n_all = clusters_of(size_bytes), n, used = 0;
		bool in;

		if (changes->used[i] == NULL)
			continue;
		if (create->plan.format != FORMAT_VMAB)
			return fail(err, ERR_USAGE,
				    "--used: VMA cannot store what was left out, VMAB can");
		TRY(drive_leave_out(drives[i], &changes->used[i]->set, err));
		for (uint64_t at = 0; at < n_all; at += n) {
			n = cluster_set_run(&changes->used[i]->set, at, n_all - at, &in);
			if (in)
				used += least((at + n) * CLUSTER_SIZE, size_bytes) -
					at * CLUSTER_SIZE;
		}
		create->marks[i].left_out_bytes = size_bytes - used;
	}
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
	for (uint32_t i = 0; i < changes->n_drives && changes->used != NULL; i++) {
		if (changes->used[i] != NULL)
			changes_free(changes->used[i]);
		free(changes->used[i]);
	}
	free(changes->used);
	free(changes->of);
	free(changes->sets);
	*changes = (struct drive_changes){0};
}
