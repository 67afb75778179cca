/*
 * A backup of a running domain of libvirt: libvirt has QEMU keep the drives as they were at one
 * instant, and export them over NBD; from there on it is the backup of drives that do not change.
 *
 * All that can be refused is refused, and the archive begun, before libvirt is asked to begin.
 */
#include "cli/backup_libvirt.h"

#include "base/background.h"
#include "archive/configs.h"
#include "machine/libvirt/deadline.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/description.h"
#include "archive/feeds.h"
#include "base/json.h"
#include "machine/libvirt/job.h"
#include "machine/libvirt/run.h"
#include "cli/memory.h"
#include "archive/create.h"
#include "cli/backup.h"
#include "cli/report.h"
#include "cli/summary.h"

#include "cow/sweep.h"
#include "drive/drive.h"

#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_NAME "libvirt.xml"
#define NVRAM_NAME	 "nvram"

struct backup {
	const struct backup_options *options;
	struct report *report;
	struct create create;
	struct domain *domain;
	struct domain_disks disks;
	char *nvram_argument; /* owned: "nvram=FILE"; the archive borrows its name */
	struct drive **drives;
	struct sweep *sweep;
	struct libvirt_run *run;
	struct libvirt_outcome outcome;
	bool had_leftover;
};

static bool has_config(const struct archive *archive, const char *name)
{
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text other = archive->configs[i].name;

		if (other.length == strlen(name) && memcmp(other.bytes, name, other.length) == 0)
			return true;
	}
	return false;
}

/* What libvirt would start the next time; a user's config of that name is meant to be another. */
static int add_description(struct backup *backup, struct error *err)
{
	struct archive *archive = backup->create.archive;
	struct archive_config *config = &archive->configs[archive->n_configs];
	char *text;

	if (has_config(archive, DESCRIPTION_NAME) || archive->n_configs == CONFIGS_MAX)
		return 0;
	if (domain_description(backup->domain, true, &text, err) < 0)
		return err->code;
	config->name = (struct text){(const uint8_t *)DESCRIPTION_NAME, strlen(DESCRIPTION_NAME)};
	config->data = (struct text){(const uint8_t *)text, (uint32_t)strlen(text)};
	archive->n_configs++;
	return 0;
}

/* Without it the machine boots all the same, mostly: so it is a warning. */
static void add_nvram(struct backup *backup)
{
	struct error err = {0};
	const char *argument;
	struct strings one = {.items = &argument, .n = 1};

	if (backup->disks.nvram == NULL || has_config(backup->create.archive, NVRAM_NAME))
		return;
	backup->nvram_argument = memory_text(NVRAM_NAME "=%s", backup->disks.nvram);
	argument = backup->nvram_argument;
	if (configs_read(backup->create.archive, &one, backup->create.name, &err) == 0)
		return;
	report_warning(backup->report, "the firmware's variables are not in the archive: %s",
		       err.text);
}

/* A domain that is off has no backups: its drives are files like any others. */
static int check_runs(struct backup *backup, struct error *err)
{
	const char *shown = domain_shown(backup->domain), *source = NULL, *target = NULL;
	bool runs;

	if (domain_runs(backup->domain, &runs, err) < 0 || runs)
		return err->code;
	for (unsigned i = 0; i < backup->disks.n && source == NULL; i++) {
		source = backup->disks.disks[i].source;
		target = backup->disks.disks[i].target;
	}
	if (source == NULL)
		return fail(err, ERR_USAGE, "domain '%s': is off: back up the files of its drives",
			    shown);
	return fail(err, ERR_USAGE,
		    "domain '%s': is off: back up the files of its drives, without --libvirt, such "
		    "as %.40s=%.150s",
		    shown, target, source);
}

static int find_disks(struct backup *backup, struct error *err)
{
	char *xml;
	int result;

	if (domain_description(backup->domain, false, &xml, err) < 0)
		return err->code;
	result = domain_disks_parse(&backup->disks, xml, err);
	free(xml);
	if (result < 0 || check_runs(backup, err) < 0)
		return err->code;
	return domain_disks_choose(&backup->disks, &backup->options->machine.drives, err);
}

static int name_drives(struct backup *backup, struct error *err)
{
	for (uint32_t i = 0; i < backup->disks.n; i++) {
		const struct domain_disk *disk = &backup->disks.disks[i];
		uint64_t size_bytes = 0;

		if (backup->options->machine.scratch == NULL && !disk->is_file)
			return fail(err, ERR_USAGE,
				    "drive %s: is not a file, so name a folder with --scratch for "
				    "what the guest overwrites meanwhile",
				    disk->name);
		TRY(create_add_drive(&backup->create, disk->name, disk->source, err));
		if (domain_disk_size(backup->domain, disk->target, &size_bytes, err) < 0)
			return err->code;
		create_set_size(&backup->create, i, size_bytes, &backup->report->watcher);
	}
	return 0;
}

static int prepare(struct backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;

	if (create_begin(&backup->create, &options->create, &options->head, err) < 0 ||
	    configs_read(backup->create.archive, &options->config_files, backup->create.name, err) < 0 ||
	    deadlines_start(&backup->report->watcher, err) < 0 ||
	    domain_open(&backup->domain, options->machine.connect, options->machine.place, err) < 0 ||
	    find_disks(backup, err) < 0 || name_drives(backup, err) < 0 ||
	    add_description(backup, err) < 0 ||
	    libvirt_job_clear(backup->domain, &backup->had_leftover, err) < 0)
		return err->code;
	add_nvram(backup);
	return create_open(&backup->create, err);
}

static int open_drive(struct backup *backup, unsigned i, struct error *err)
{
	const struct domain_disk *disk = &backup->disks.disks[i];
	struct archive_drive *drive = &backup->create.archive->drives[i];
	uint64_t size_bytes = drive->size_bytes;

	TRY(libvirt_run_open(backup->run, disk->target, &backup->drives[i], err));
	create_set_size(&backup->create, i, drive_size(backup->drives[i]), NULL);
	if (drive->size_bytes != size_bytes)
		return fail(err, ERR_SYSTEM, "drive %s: its size changed while the backup began",
			    disk->name);
	return 0;
}

static int open_drives(struct backup *backup, struct error *err)
{
	backup->drives = memory_new(backup->disks.n, sizeof(*backup->drives));
	for (unsigned i = 0; i < backup->disks.n; i++) {
		if (open_drive(backup, i, err) < 0)
			return err->code;
	}
	return 0;
}

static int all_was_read(void *context, struct error *err)
{
	return libvirt_run_finish(context, err);
}

static int copy(struct backup *backup, struct error *err)
{
	struct feed feed;

	if (open_drives(backup, err) < 0 ||
	    sweep_new(&backup->sweep, backup->drives, backup->create.archive->n_drives,
		      create_piece(&backup->create), err) < 0)
		return libvirt_run_explain(backup->run, err);
	feed = feed_of_sweep(backup->sweep);
	feed.ended = all_was_read;
	feed.ended_context = backup->run;
	background_backup(0); /* no guest of libvirt is in our session */
	if (create_write(&backup->create, &feed, &backup->report->watcher, err) < 0)
		return libvirt_run_explain(backup->run, err);
	return 0;
}

/* ---- what is told ---- */

static void warn(const struct backup *backup)
{
	const struct libvirt_outcome *outcome = &backup->outcome;

	if (backup->had_leftover)
		report_note(backup->report, "ended in libvirt the backup of a run that died");
	if (outcome->instant.thawing[0] != '\0')
		report_warning(backup->report, "%s", outcome->instant.thawing);
	if (outcome->remains)
		report_warning(backup->report,
			       "the backup may not have ended in libvirt; virsh domjobabort %s "
			       "ends it",
			       domain_shown(backup->domain));
}

static void tell(const struct backup *backup)
{
	const struct libvirt_outcome *outcome = &backup->outcome;
	struct json_t *capture;

	summary_tell(&backup->create, backup->report);
	capture = json_put_object(backup->report->result, "capture");
	json_put_number(capture, "instant_ms", outcome->instant.instant_ms);
	json_put_number(capture, "frozen_ms", outcome->instant.frozen_ms);
	report_detail(backup->report, "what the guest overwrote meanwhile took %llu bytes",
		      (unsigned long long)outcome->scratch_bytes);
}

static void close_all(struct backup *backup)
{
	create_close(&backup->create);
	if (backup->sweep != NULL)
		sweep_free(backup->sweep);
	for (unsigned i = 0; backup->drives != NULL && i < backup->disks.n; i++)
		drive_close(backup->drives[i]);
	free(backup->drives);
	domain_close(backup->domain);
	domain_disks_free(&backup->disks);
	free(backup->nvram_argument);
}

int backup_libvirt(const struct backup_options *options, struct report *report)
{
	struct error err = {0};
	int code = EXIT_DONE;
	struct backup backup = {
		.options = options,
		.report = report,
	};
	bool done = prepare(&backup, &err) == 0 &&
		    libvirt_run_begin(&backup.run, backup.domain, &backup.disks, &options->machine,
				      &backup.outcome, &err) == 0 &&
		    copy(&backup, &err) == 0;

	libvirt_run_free(backup.run);
	warn(&backup);
	if (done)
		tell(&backup);
	else
		code = report_error(report, NULL, &err);
	close_all(&backup);
	return code;
}
