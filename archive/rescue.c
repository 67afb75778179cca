#include "archive/rescue.h"

#include "archive/open.h"
#include "base/changer.h"
#include "base/parse.h"
#include "base/watcher.h"
#include "reader/input/input.h"

#include <string.h>
#include <sys/stat.h>

static int open_input(struct rescue *rescue, struct error *err)
{
	const struct restore_options *options = &rescue->options->restore;

	TRY(input_open_damaged(&rescue->input, options->archive, err));
	if (options->rate != 0)
		input_limit(rescue->input, options->rate);
	return 0;
}

/* From the beginning again. */
static int reopen_input(struct rescue *rescue, struct error *err)
{
	if (input_size(rescue->input) != 0)
		return input_seek(rescue->input, 0, UINT64_MAX, err);
	input_close(rescue->input);
	rescue->input = NULL;
	return open_input(rescue, err);
}

static bool can_reopen(const struct rescue *rescue)
{
	const char *name = rescue->options->restore.archive;
	struct stat found;

	return input_size(rescue->input) != 0 ||
	       (strcmp(name, "-") != 0 && stat(name, &found) == 0 &&
		(S_ISREG(found.st_mode) || S_ISBLK(found.st_mode)));
}

/* The copy of the head lies at the end, and so may the clusters that tell how large drives are. */
static int find_head(struct rescue *rescue, struct error *err)
{
	rescue->moved = true;
	if (!can_reopen(rescue))
		return fail(err, ERR_DAMAGED,
			    "the head is lost, and a pipe cannot be read twice to find its copy: "
			    "save the archive to a file, and salvage that");
	TRY(salvage_survey(rescue->salvage, err));
	TRY(reopen_input(rescue, err));
	salvage_again(rescue->salvage, rescue->input);
	return 0;
}

/* A file of another kind is not a damaged archive: the error says what it is. */
static int find_begin(struct rescue *rescue, struct error *err)
{
	const uint8_t *uuid = rescue->options->uuid == NULL ? NULL : rescue->uuid;
	struct error strange = {0};

	input_check(rescue->input, &strange);
	if (salvage_open(&rescue->salvage, rescue->input, uuid, err) == 0)
		return 0;
	if (err->code == ERR_DAMAGED && strange.code != 0)
		return fail(err, ERR_DAMAGED, "no part of an archive found: %s", strange.text);
	return err->code;
}

static bool head_is_lost(const struct rescue *rescue)
{
	return salvage_head(rescue->salvage) == SALVAGE_HEAD_LOST;
}

static int find_archive(struct rescue *rescue, struct error *err)
{
	const struct rescue_options *options = rescue->options;

	if (options->uuid != NULL && !parse_uuid(options->uuid, rescue->uuid))
		return fail(err, ERR_USAGE, "--uuid '%s': is not a uuid", options->uuid);
	if (*options->restore.archive == '\0')
		return fail(err, ERR_USAGE, "the name of an archive must not be empty");
	TRY(restore_plan_options(&options->restore, err));
	TRY(open_input(rescue, err));
	TRY(find_begin(rescue, err));
	if (head_is_lost(rescue))
		TRY(find_head(rescue, err));
	rescue->moved |= salvage_begin(rescue->salvage) > 0;
	rescue->archive = salvage_archive(rescue->salvage);
	return 0;
}

static int open_chain(struct rescue *rescue, struct error *err)
{
	const struct strings *parents = &rescue->options->restore.parents;

	if (parents->n == 0)
		return 0;
	if (head_is_lost(rescue))
		return fail(err, ERR_DAMAGED,
			    "the head is lost, and with it what its parents are: salvage it alone, "
			    "or begin with its parent");
	return rescue_chain_open(&rescue->chain, rescue->archive, parents, err);
}

static int open_targets(struct rescue *rescue, struct error *err)
{
	struct recovery *recovery = &rescue->recovery;
	const struct strings *donors = &rescue->options->donors;

	TRY(recovery_open(recovery, rescue->archive, rescue->options, rescue->watcher, err));
	if (head_is_lost(rescue))
		recovery_leave_out_unseen(recovery);
	TRY(recovery_open_targets(recovery, rescue->options, err));
	if (donors->n > 0)
		TRY(donors_open(&rescue->donors, recovery, donors, err));
	if (changer_may_change(rescue->options->restore.archive))
		sandbox_allow_reading(&recovery->plan.sandbox);
	return sandbox_enter(&recovery->plan.sandbox, err);
}

static int recover(struct rescue *rescue, struct error *err)
{
	struct salvage_sink sink = recovery_sink(&rescue->recovery);

	if (rescue->chain.n > 0)
		TRY(rescue_chain_begin(&rescue->chain, &rescue->recovery, &sink, err));
	TRY(salvage_run(rescue->salvage, &sink, &rescue->ended, err));
	if (rescue->chain.n > 0)
		TRY(rescue_chain_run(&rescue->chain, salvage_totals(rescue->salvage), err));
	if (rescue->donors != NULL)
		TRY(donors_ask(rescue->donors, &rescue->recovery, rescue->watcher, err));
	return recovery_finish(&rescue->recovery, rescue->options, err);
}

int rescue_run(struct rescue *out, const struct rescue_options *options,
	       const struct watcher *watcher, struct error *err)
{
	struct progress_view view = {
		.label = strcmp(options->restore.archive, "-") == 0 ? "standard input"
								    : options->restore.archive,
		.covered_bytes = &out->recovery.counts.covered_bytes,
		.drive = &out->recovery.counts.drive,
		.drive_name = archive_drive_name,
	};
	int code;

	*out = (struct rescue){.options = options, .watcher = watcher};
	TRY(find_archive(out, err));
	TRY(open_chain(out, err));
	TRY(open_targets(out, err));
	view.drives = out->archive;
	view.drives_bytes = archive_drive_bytes(out->archive);
	view.total_bytes = input_size(out->input);
	view.done_bytes = salvage_read_at(out->salvage);
	watcher_begin(watcher, &view);
	code = recover(out, err);
	watcher_end(watcher, code == 0);
	return code;
}

static bool may_have_lost_unknown(const struct rescue *rescue)
{
	const struct salvage_totals *totals = salvage_totals(rescue->salvage);

	if (rescue->chain.n > 0)
		return !rescue->chain.is_complete || rescue->chain.is_uncertain;
	/* Nothing else tells what an incremental archive held that lacks a section or the end. */
	return archive_is_incremental(rescue->archive) &&
	       (totals->n_damaged > 0 || totals->n_sections < totals->n_expected ||
		totals->n_expected == 0);
}

bool rescue_lost_data(const struct rescue *rescue)
{
	struct recovery_sums sums;

	if (head_is_lost(rescue) || may_have_lost_unknown(rescue))
		return true;
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (rescue->recovery.drives[i].target == NULL)
			continue;
		recovery_sum(&rescue->recovery, i, &sums);
		/* What its parents hold, who were not named, is not recovered either. */
		if (sums.bytes[CLUSTER_LOST] > 0 || sums.bytes[CLUSTER_ABSENT] > 0)
			return true;
	}
	return false;
}

void rescue_close(struct rescue *rescue, bool done)
{
	donors_close(rescue->donors);
	rescue_chain_close(&rescue->chain);
	recovery_close(&rescue->recovery, done);
	salvage_free(rescue->salvage);
	if (rescue->input != NULL)
		input_close(rescue->input);
}
