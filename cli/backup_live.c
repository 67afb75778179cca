/*
 * A backup of drives while a guest writes to them through a serve. That process saves what was on
 * them at one instant; this one makes an archive of it, in the same way as of images.
 */
#include "cli/backup_live.h"

#include "base/background.h"
#include "archive/configs.h"
#include "machine/freeze.h"
#include "base/human.h"
#include "base/json.h"
#include "machine/serve/client.h"
#include "cli/memory.h"
#include "archive/create.h"
#include "cli/backup.h"
#include "cli/report.h"
#include "cli/summary.h"

#include <stdlib.h>
#include <string.h>

struct backup {
	const struct backup_options *options;
	struct report *report;
	struct create create;
	struct live *live;
};

static int name_drives(struct backup *backup, struct error *err)
{
	for (uint32_t i = 0; i < live_n_drives(backup->live); i++) {
		const char *name = live_drive_name(backup->live, i);
		const char *path = live_drive_path(backup->live, i);

		TRY(create_add_drive(&backup->create, name, path, err));
		if (live_drive_map_failure(backup->live, i) != NULL)
			report_warning(backup->report,
				       "drive %s: %s; what changes is known only until the server "
				       "ends",
				       name, live_drive_map_failure(backup->live, i));
		create_set_size(&backup->create, i, live_drive_size(backup->live, i),
				&backup->report->watcher);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;

	if (create_begin(&backup->create, &options->create, &options->head, err) < 0 ||
	    configs_read(backup->create.archive, &options->config_files, backup->create.name, err) < 0 ||
	    live_open(&backup->live, &options->machine, err) < 0 || name_drives(backup, err) < 0)
		return err->code;
	return create_open(&backup->create, err);
}

static int begin_live(void *context, struct error *err)
{
	struct backup *backup = context;

	return live_begin(backup->live, &backup->report->watcher, err);
}

static int begin(struct backup *backup, struct error *err)
{
	struct instant instant = {
		.begin = begin_live,
		.context = backup,
		.options = &backup->options->machine,
	};
	struct instant_outcome outcome = {0};
	int code = freeze_with_guard(&instant, "serve", &outcome, err);

	if (outcome.thawing[0] != '\0')
		report_warning(backup->report, "%s", outcome.thawing);
	return code;
}

static int copy(struct backup *backup, struct error *err)
{
	struct feed feed = live_feed(backup->live, create_piece(&backup->create));

	background_backup(live_server(backup->live));
	return create_write(&backup->create, &feed, &backup->report->watcher, err);
}

static uint64_t count(const struct backup *backup, const char *key)
{
	uint64_t number = 0;

	json_member_number(live_counts(backup->live), key, &number);
	return number;
}

static void tell(struct backup *backup)
{
	char delays[2][HUMAN_SIZE];

	summary_tell(&backup->create, backup->report);
	if (backup->report->result != NULL) {
		json_put(backup->report->result, "capture", json_share(live_counts(backup->live)));
		return;
	}
	report_note(backup->report,
		    "the instant took %s; %llu clusters were saved for guest writes, which waited "
		    "at most %s",
		    human_delay(delays[0], count(backup, "quiesce_ns")),
		    (unsigned long long)count(backup, "guest_clusters"),
		    human_delay(delays[1], count(backup, "delay_max_ns")));
}

int backup_live(const struct backup_options *options, struct report *report)
{
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {
		.options = options,
		.report = report,
	};

	if (prepare(&backup, &err) < 0 || begin(&backup, &err) < 0 || copy(&backup, &err) < 0)
		code = report_error(report, NULL, &err);
	else
		tell(&backup);
	create_close(&backup.create);
	live_close(backup.live);
	return code;
}
