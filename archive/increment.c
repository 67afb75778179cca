#include "archive/increment.h"

#include "archive/changes.h"
#include "archive/create.h"
#include "base/watcher.h"

#include <string.h>

int increment_tokens(struct create *create, struct changes *const *changes, struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		const char *until = changes[i] != NULL ? changes[i]->until : NULL;

		if (until != NULL && create->archive->format == FORMAT_VMAB)
			TRY(create_set_token(create, i, until, err));
	}
	return 0;
}

static bool parent_has(const struct create *create, uint32_t drive)
{
	return create->parent.drive_of[drive] != sums_archive(create->parent.found.sums)->n_drives;
}

static struct proof_job make_job(const struct create *create, uint32_t drive,
				 struct drive *const *drives, struct changes *const *changes)
{
	uint32_t i = create->parent.drive_of[drive];

	return (struct proof_job){
		.archive = create->archive,
		.drive = drive,
		.source = drives != NULL ? drives[drive] : NULL,
		.changes = changes[drive],
		.sums = &create->parent.sums,
		.parent_bytes = sums_archive(create->parent.found.sums)->drives[i].size_bytes,
		.parent_mark = &create->parent.marks[i],
	};
}

/* Not an increment, then, and the list is of no use. */
static int drive_is_new(const struct create *create, uint32_t drive, bool has_list,
			const struct increment_options *options, const struct watcher *watcher,
			struct error *err)
{
	const struct text *text = &create->archive->drives[drive].name;
	char name[80];

	escape_text(name, sizeof(name), text->bytes, text->length);
	if (options->require)
		return fail(err, ERR_USAGE,
			    "drive %s: the parent has no drive of that name, so all of it would "
			    "have to be stored, which --incremental require excludes",
			    name);
	if (has_list)
		watcher_warn(watcher,
			     "drive %s: its change list is not used: the parent has no drive of "
			     "that name, so all of it is stored",
			     name);
	return 0;
}

int increment_check(const struct create *create, struct changes *const *changes,
		    const struct increment_options *options, const struct watcher *watcher,
		    struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		if (!parent_has(create, i)) {
			TRY(drive_is_new(create, i, changes[i] != NULL, options, watcher, err));
		} else if (changes[i] != NULL) {
			struct proof_job job = make_job(create, i, NULL, changes);

			TRY(proof_check_since(&job, &options->proof, err));
		}
	}
	return 0;
}

int increment_prove(struct create *create, struct drive *const *drives,
		    struct changes *const *changes, const struct increment_options *options,
		    const struct watcher *watcher, struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		struct proof_job job;

		if (changes[i] == NULL || !parent_has(create, i))
			continue;
		job = make_job(create, i, drives, changes);
		if (drives == NULL)
			TRY(proof_none(&job, &create->marks[i].proof, err));
		else
			TRY(proof_run(&job, &options->proof, &create->marks[i].proof, watcher,
				      err));
	}
	return 0;
}
