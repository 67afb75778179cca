#include "cli/tell_prune.h"

#include "archive/prune.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/report.h"
#include "cli/say.h"

#include <stdio.h>

/* "daily, weekly", "an archive that is kept needs it" */
static const char *reason_of(const struct prune_item *item, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < KEEP_RULES; i++)
		if ((item->rules & 1u << i) != 0 && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s",
						 used == 0 ? "" : ", ", keep_rule_name(i));
	if (used == 0 && item->is_kept)
		snprintf(out, size, "%s",
			 item->archive->state != FOLDER_WHOLE ? "not whole"
			 : item->archive->is_protected	      ? "protected"
			 : item->is_locked		      ? "locked"
			 : item->is_in_use		      ? "in use"
							      : "needed");
	else if (used == 0)
		snprintf(out, size, "not removed");
	return out;
}

/* What failed, or was not tried, stays. */
static bool stays(const struct prune *prune, const struct prune_item *item)
{
	return prune->options->dry_run ? item->is_kept : !item->was_removed;
}

void prune_put(const struct prune *prune, struct json_t *machines)
{
	struct json_t *machine = json_add_object(machines), *list, *one, *reasons;
	char text[HUMAN_SIZE];

	json_put_text(machine, "machine", prune->machine);
	list = json_put_array(machine, "archives");
	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		one = json_add_object(list);
		json_put_text(one, "archive", item->archive->file);
		json_put_text(one, "created",
			      item->archive->head_known
				      ? human_time(text, item->archive->created_ns)
				      : NULL);
		json_put_number(one, "archive_bytes", item->archive->stored_bytes);
		json_put_bool(one, "kept", stays(prune, item));
		json_put_bool(one, "whole", item->archive->state == FOLDER_WHOLE);
		json_put_bool(one, "protected", item->archive->is_protected);
		json_put_bool(one, "in_use", item->is_in_use);
		json_put_bool(one, "locked", item->is_locked);
		json_put_bool(one, "needed", item->is_needed);
		json_put_bool(one, "merged", item->is_merged);
		reasons = json_put_array(one, "rules");
		for (unsigned rule = 0; rule < KEEP_RULES; rule++)
			if ((item->rules & 1u << rule) != 0)
				json_add_text(reasons, keep_rule_name(rule));
	}
}

void prune_print(const struct prune *prune)
{
	char when[HUMAN_SIZE], size[HUMAN_SIZE], reason[100];

	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		bool kept = stays(prune, item);

		say(stdout, "%-6s  %-23s  %8s  %s%s%s%s\n",
		    kept	      ? "keep"
		    : item->is_merged ? "merge"
				      : "remove",
		    item->archive->head_known ? human_local_time(when, item->archive->created_ns)
					      : "unknown",
		    human_size(size, item->archive->stored_bytes), item->archive->file,
		    kept ? " (" : "", kept ? reason_of(item, reason, sizeof(reason)) : "",
		    kept ? ")" : "");
	}
}

/* What stays only because it is needed, and would not with --merge; "": nothing. */
static const char *hint(const struct prune *prune, char *out, size_t size)
{
	unsigned n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < prune->n && !prune->options->merge; i++)
		n += stays(prune, &prune->items[i]) && prune->items[i].is_mergeable;
	if (n > 0)
		snprintf(out, size, " (%u more could go with --merge)", n);
	return out;
}

void prune_tell(const struct prune *prune, struct report *report)
{
	const char *to_be = prune->options->dry_run ? "to be " : "";
	unsigned n_kept = 0, n_merged = 0, n_removed = 0;
	uint64_t bytes = 0;
	char size[HUMAN_SIZE], merged[60] = "", removed[80] = "", more[60];

	for (unsigned i = 0; i < prune->n; i++) {
		const struct prune_item *item = &prune->items[i];

		if (stays(prune, item)) {
			n_kept++;
		} else if (item->is_merged) {
			n_merged++;
		} else {
			n_removed++;
			bytes += item->archive->stored_bytes;
		}
		if (item->archive->state != FOLDER_WHOLE)
			report_warning(report, "%s/%s: %s%s: it is left alone, with what it needs",
				       prune->options->folder, item->archive->file,
				       item->archive->state == FOLDER_LACKING
					       ? "an archive that it needs is missing or damaged"
					       : "damaged: ",
				       item->archive->why);
	}
	/* What is merged takes up its room in another archive. */
	if (n_merged > 0)
		snprintf(merged, sizeof(merged), ", %u %smerged into them", n_merged, to_be);
	if (n_merged == 0 || n_removed > 0)
		snprintf(removed, sizeof(removed), ", %u %sremoved, %s", n_removed, to_be,
			 human_size(size, bytes));
	if (report->result == NULL)
		report_done(report, prune->machine, "%u kept%s%s%s", n_kept, merged, removed,
			    hint(prune, more, sizeof(more)));
}

void prune_tell_unknown(const struct folder *folder, struct report *report)
{
	for (unsigned i = 0; i < folder->n; i++) {
		const struct folder_archive *archive = &folder->archives[i];

		if (!archive->head_known && *archive->machine == '\0')
			report_warning(
				report,
				"%s/%s: %s, so nobody knows what it needs, and nothing is "
				"removed; if it is of no use, remove it or move it elsewhere",
				folder->path, archive->file, archive->why);
	}
}
