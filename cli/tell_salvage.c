#include "cli/tell_salvage.h"

#include "archive/rescue.h"
#include "archive/open.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/say.h"
#include "cli/summary.h"

#include <stdio.h>

#define RANGES_SHOWN 20u    /* of a drive, as text */
#define STRIP_SIZE   48u    /* columns that show where a drive is lost */
#define RANGES_JSON  10000u /* of a drive */

static const char *name_of(const struct rescue *rescue)
{
	return rescue->options->restore.archive;
}

static bool head_is_lost(const struct rescue *rescue)
{
	return salvage_head(rescue->salvage) == SALVAGE_HEAD_LOST;
}

static const char *head_word(const struct rescue *rescue)
{
	if (head_is_lost(rescue))
		return "lost";
	return rescue->moved ? "moved" : "found";
}

static void print_lost(const struct recovery *recovery, uint32_t drive)
{
	uint64_t offset = 0, size;

	for (unsigned n = 0; n < RANGES_SHOWN; n++, offset += size) {
		if (!recovery_next_lost(recovery, drive, &offset, &size))
			return;
		say(stdout, "  lost: bytes %llu to %llu\n", (unsigned long long)offset,
		    (unsigned long long)(offset + size - 1));
	}
}

/* Where: byte ranges alone do not show whether it is the beginning, the end or everywhere. */
static void print_strip(const struct recovery *recovery, uint32_t drive)
{
	uint64_t all = recovery->archive->drives[drive].size_bytes;
	uint64_t offset = 0, size = 0;
	char strip[STRIP_SIZE + 1] = "";
	bool more = true;

	for (unsigned n = 0; n < STRIP_SIZE; n++) {
		uint64_t begin = all / STRIP_SIZE * n + all % STRIP_SIZE * n / STRIP_SIZE;
		uint64_t end = all / STRIP_SIZE * (n + 1) + all % STRIP_SIZE * (n + 1) / STRIP_SIZE;

		while (more && offset + size <= begin) {
			offset += size;
			more = recovery_next_lost(recovery, drive, &offset, &size);
		}
		strip[n] = more && offset < end ? 'x' : '#';
	}
	say(stdout, "  [%s] x: lost\n", strip);
}

static void print_drive(const struct rescue *rescue, uint32_t i)
{
	bool chain = rescue->chain.n > 0;
	const char *const words[] = {"lost", "recovered",
				     chain ? "recovered, but may be out of date"
					   : "recovered without checksums",
				     chain ? "in none of these archives, or lost"
					   : "not in this incremental archive, or lost"};
	const struct archive_drive *drive = &rescue->archive->drives[i];
	char name[120], size[HUMAN_SIZE];
	const char *between = ": ";
	struct recovery_sums sums;

	recovery_sum(&rescue->recovery, i, &sums);
	say(stdout, "%s", escape_text(name, sizeof(name), drive->name.bytes, drive->name.length));
	if (head_is_lost(rescue))
		say(stdout, " (its size is unknown)");
	for (unsigned n = 1; n <= 4; n++) { /* lost bytes come last */
		if (sums.bytes[n % 4] > 0) {
			say(stdout, "%s%s %s", between, human_size(size, sums.bytes[n % 4]),
			    words[n % 4]);
			between = ", ";
		}
		if (n == CLUSTER_GOOD && rescue->recovery.drives[i].donated_bytes > 0)
			say(stdout, " (%s from donors)",
			    human_size(size, rescue->recovery.drives[i].donated_bytes));
	}
	say(stdout, ": %s\n", rescue->recovery.plan.drive_paths[i]);
	if (sums.n_lost > 0)
		print_strip(&rescue->recovery, i);
	print_lost(&rescue->recovery, i);
	if (sums.n_lost > RANGES_SHOWN)
		say(stdout, "  lost: %llu more ranges; --map has them all\n",
		    (unsigned long long)(sums.n_lost - RANGES_SHOWN));
}

/* The answer first. */
static void print_loss(const struct rescue *rescue)
{
	uint64_t lost = 0, absent = 0, all = 0;
	char sizes[2][HUMAN_SIZE];

	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		struct recovery_sums sums;

		if (rescue->recovery.drives[i].target == NULL)
			continue;
		recovery_sum(&rescue->recovery, i, &sums);
		lost += sums.bytes[CLUSTER_LOST];
		absent += sums.bytes[CLUSTER_ABSENT];
		all += rescue->archive->drives[i].size_bytes;
	}
	if (lost > 0)
		say(stdout, "%s: %s of %s lost\n", name_of(rescue), human_size(sizes[0], lost),
		    human_size(sizes[1], all));
	else if (absent > 0 && rescue->chain.n == 0)
		say(stdout, "%s: %s of %s not recovered: its parents are not named\n",
		    name_of(rescue), human_size(sizes[0], absent), human_size(sizes[1], all));
	else
		say(stdout, "%s: nothing %slost\n", name_of(rescue),
		    rescue_lost_data(rescue) ? "known to be " : "");
}

static void tell_sections(const struct rescue *rescue, struct report *report)
{
	const struct salvage_totals *totals = salvage_totals(rescue->salvage);
	char uuid[UUID_TEXT_SIZE], expected[40] = "";

	if (totals->n_expected > 0)
		snprintf(expected, sizeof(expected), " of %llu",
			 (unsigned long long)totals->n_expected);
	report_detail(report,
		      "%s: %s %s, head %s, %llu%s sections found, %llu of them damaged, %llu bytes "
		      "between them skipped",
		      name_of(rescue), archive_format_name(rescue->archive),
		      format_uuid(uuid, rescue->archive->uuid), head_word(rescue),
		      (unsigned long long)totals->n_sections, expected,
		      (unsigned long long)totals->n_damaged,
		      (unsigned long long)totals->passed_bytes);
}

static void print_result(const struct rescue *rescue)
{
	print_loss(rescue);
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (rescue->recovery.drives[i].target != NULL)
			print_drive(rescue, i);
	}
}

static void put_lost(const struct recovery *recovery, uint32_t drive, struct json_t *list)
{
	uint64_t offset = 0, size;

	for (unsigned n = 0; n < RANGES_JSON; n++, offset += size) {
		struct json_t *one;

		if (!recovery_next_lost(recovery, drive, &offset, &size))
			return;
		one = json_add_object(list);
		json_put_number(one, "offset", offset);
		json_put_number(one, "size_bytes", size);
	}
}

static void put_drive(const struct rescue *rescue, uint32_t i, struct json_t *one)
{
	const struct recovery_drive *drive = &rescue->recovery.drives[i];
	struct recovery_sums sums;

	recovery_sum(&rescue->recovery, i, &sums);
	json_put_bytes(one, "name", rescue->archive->drives[i].name);
	json_put_number(one, "size_bytes", rescue->archive->drives[i].size_bytes);
	json_put_bool(one, "size_known", !head_is_lost(rescue));
	json_put_text(one, "target", rescue->recovery.plan.drive_paths[i]);
	json_put_text(one, "map", drive->map_path);
	json_put_number(one, "good_bytes", sums.bytes[CLUSTER_GOOD]);
	json_put_number(one, "donated_bytes", drive->donated_bytes);
	json_put_number(one, "unverified_bytes", sums.bytes[CLUSTER_UNPROVED]);
	json_put_number(one, "absent_bytes", sums.bytes[CLUSTER_ABSENT]);
	json_put_number(one, "lost_bytes", sums.bytes[CLUSTER_LOST]);
	json_put_number(one, "n_lost", sums.n_lost);
	put_lost(&rescue->recovery, i, json_put_array(one, "lost"));
}

static void put_members(const struct rescue_chain *chain, struct json_t *result)
{
	struct json_t *list = json_put_array(result, "parents"), *one;

	for (unsigned i = 0; i < chain->n; i++) {
		const struct rescue_member *member = &chain->members[i];

		one = json_add_object(list);
		json_put_text(one, "archive", member->name);
		json_put_bool(one, "used", member->is_placed);
		json_put_bool(one, "after_gap", member->is_after_gap);
		json_put_number(one, "sections", member->totals.n_sections);
		json_put_number(one, "damaged_sections", member->totals.n_damaged);
		json_put_text(one, "read_error",
			      !member->head_known	? member->why
			      : member->ended.code != 0 ? member->ended.text
							: NULL);
	}
	json_put_bool(result, "chain_complete", chain->n > 0 && chain->is_complete);
	json_put_bool(result, "may_be_out_of_date", chain->is_uncertain);
}

static void put_json(const struct rescue *rescue, struct json_t *result)
{
	const struct salvage_totals *totals = salvage_totals(rescue->salvage);
	char uuid[UUID_TEXT_SIZE];
	struct json_t *list;

	json_put_text(result, "archive", name_of(rescue));
	json_put_number(result, "archive_bytes", totals->archive_bytes);
	json_put_text(result, "format", archive_format_name(rescue->archive));
	json_put_text(result, "uuid", format_uuid(uuid, rescue->archive->uuid));
	json_put_text(result, "head", head_word(rescue));
	json_put_bool(result, "tail", totals->n_expected > 0);
	json_put_number(result, "sections", totals->n_sections);
	json_put_number(result, "damaged_sections", totals->n_damaged);
	json_put_number(result, "passed_bytes", totals->passed_bytes);
	json_put_text(result, "read_error", rescue->ended.code != 0 ? rescue->ended.text : NULL);
	json_put_real(result, "duration_s", progress_seconds());
	put_members(&rescue->chain, result);
	list = json_put_array(result, "drives");
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (rescue->recovery.drives[i].target != NULL)
			put_drive(rescue, i, json_add_object(list));
	}
	summary_put_configs(&rescue->recovery.plan, result);
}

/* Without a tail nothing tells how many sections there were. */
static void tell_sections_lost(const struct rescue_member *member, struct report *report)
{
	const struct salvage_totals *totals = &member->totals;
	uint64_t n_lost = totals->n_damaged;

	if (totals->n_expected > totals->n_sections)
		n_lost += totals->n_expected - totals->n_sections;
	if (totals->n_expected > 0 && n_lost > 0)
		report_note(report, "%s: %llu of its %llu sections are damaged or missing",
			    member->name, (unsigned long long)n_lost,
			    (unsigned long long)totals->n_expected);
	else if (totals->n_expected == 0 && totals->n_sections > 0)
		report_note(report,
			    "%s: its end is missing; %llu sections were found, %llu of them "
			    "damaged",
			    member->name, (unsigned long long)totals->n_sections,
			    (unsigned long long)n_lost);
}

/* What each parent lacks. */
static void tell_members(const struct rescue_chain *chain, struct report *report)
{
	for (unsigned i = 0; i < chain->n; i++) {
		const struct rescue_member *member = &chain->members[i];

		if (!member->head_known)
			report_note(report, "%s: cannot be used: %s", member->name, member->why);
		if (member->is_after_gap)
			report_note(report,
				    "%s: is not the parent of the one before: an archive between "
				    "them is missing",
				    member->name);
		tell_sections_lost(member, report);
	}
	if (chain->n > 0 && !chain->is_complete)
		report_note(report, "not all parents down to a full archive are there");
	if (chain->is_uncertain)
		report_note(report, "what newer archives lost is not known in full, so data of "
				    "older ones may be out of date");
}

/* Its drives are not whole, whatever is intact. */
static void tell_parents_not_named(const struct rescue *rescue, struct report *report)
{
	if (archive_is_incremental(rescue->archive) && rescue->chain.n == 0 &&
	    rescue_lost_data(rescue))
		report_warning(report,
			       "%s: is incremental: data that its parent holds is not recovered; "
			       "name its parents after it",
			       name_of(rescue));
}

static void tell_notes(const struct rescue *rescue, struct report *report)
{
	if (head_is_lost(rescue))
		report_note(report,
			    "%s: the head is lost, and with it the configs and the names and sizes "
			    "of drives: they are numbered, and end with the last cluster found",
			    name_of(rescue));
	if (rescue->archive->cluster_checksum == CLUSTER_UNPROTECTED)
		report_note(report, "%s: has no data checksums: recovered data may be wrong",
			    name_of(rescue));
	tell_members(&rescue->chain, report);
}

/* Also if nothing is lost: a command that fails may not have given all that there is. */
static void tell_stopped(const struct rescue *rescue, struct report *report)
{
	for (unsigned i = 0; i < rescue->chain.n; i++)
		if (rescue->chain.members[i].ended.code != 0)
			report_warning(report, "%s: reading stopped early: %s",
				       rescue->chain.members[i].name,
				       rescue->chain.members[i].ended.text);
	if (rescue->ended.code != 0)
		report_warning(report, "%s: reading stopped early: %s", name_of(rescue),
			       rescue->ended.text);
}

void tell_salvage(const struct rescue *rescue, struct report *report)
{
	if (report->result != NULL)
		put_json(rescue, report->result);
	else if (!report->options.quiet)
		print_result(rescue);
	report_flush(report);
	tell_parents_not_named(rescue, report);
	tell_stopped(rescue, report);
	if (report->json)
		return;
	tell_sections(rescue, report);
	tell_notes(rescue, report);
}
