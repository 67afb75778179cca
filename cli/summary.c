#include "cli/summary.h"

#include "archive/create.h"
#include "archive/open.h"
#include "archive/restore_plan.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/progress.h"
#include "cli/report.h"

#include <stdio.h>
#include <string.h>

/* What was really reached, in bytes a second. */
static uint64_t rate_of(const struct create *create, double seconds)
{
	double written = (double)atomic_load(&create->counts.written_bytes);

	return seconds > 0.001 ? (uint64_t)(written / seconds) : 0;
}

static void put_summary(const struct create *create, double seconds, struct json_t *result)
{
	const struct totals *totals = writer_totals(create->writer);
	const struct archive *archive = create->archive;
	char text[UUID_TEXT_SIZE];

	json_put_text(result, "archive", create->name);
	json_put_text(result, "format", archive_format_name(archive));
	json_put_text(result, "uuid", format_uuid(text, archive->uuid));
	json_put_text(result, "parent_uuid",
		      archive_is_incremental(archive) ? format_uuid(text, archive->parent) : NULL);
	json_put_number(result, "n_drives", archive->n_drives);
	json_put_number(result, "n_configs", archive->n_configs);
	json_put_number(result, "drives_bytes", archive_drive_bytes(archive));
	json_put_number(result, "data_bytes", totals->raw_size);
	json_put_number(result, "written_bytes", atomic_load(&create->counts.written_bytes));
	json_put_number(result, "data_clusters", totals->n_data);
	json_put_number(result, "zero_clusters", totals->n_zero);
	json_put_real(result, "duration_s", seconds);
	json_put_number(result, "written_bytes_per_s", rate_of(create, seconds));
}

void summary_tell(const struct create *create, struct report *report)
{
	const struct archive *archive = create->archive;
	uint64_t written = atomic_load(&create->counts.written_bytes);
	double seconds = progress_seconds();
	char sizes[3][HUMAN_SIZE], rate[HUMAN_SIZE + sizeof(" at /s")] = "";
	char kept[HUMAN_SIZE + sizeof(" ( were there)")] = "";

	put_summary(create, seconds, report->result);
	if (report->result != NULL)
		return;
	if (create->options->rate != 0)
		snprintf(rate, sizeof(rate), " at %s/s",
			 human_size(sizes[0], rate_of(create, seconds)));
	if (create->options->resume && output_kept_bytes(create->output) > 0)
		snprintf(kept, sizeof(kept), " (%s were there)",
			 human_size(sizes[0], output_kept_bytes(create->output)));
	report_done(report, create->name, "%s%s of data from %u drive%s, %s written%s%s, %s",
		    archive_is_incremental(archive) ? "incremental, " : "",
		    human_size(sizes[0], writer_totals(create->writer)->raw_size),
		    archive->n_drives, archive->n_drives == 1 ? "" : "s",
		    human_size(sizes[1], written), kept, rate, human_duration(sizes[2], seconds));
}

void summary_put_configs(const struct restore_plan *plan, struct json_t *result)
{
	struct json_t *list = json_put_array(result, "configs"), *one;

	for (uint32_t i = 0; i < plan->archive->n_configs; i++) {
		const struct archive_config *config = &plan->archive->configs[i];

		if (plan->config_paths[i] == NULL)
			continue;
		one = json_add_object(list);
		json_put_bytes(one, "name", config->name);
		json_put_number(one, "size_bytes", config->data.length);
		json_put_text(one, "target", plan->config_paths[i]);
	}
}
