/*
 * A domain of libvirt. While it runs, libvirt has QEMU keep the drives as they were at one instant,
 * and export them over NBD. When it is off, its images are read (off.h).
 */
#include "base/human.h"
#include "base/json.h"
#include "base/name.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/kinds.h"
#include "machine/libvirt/deadline.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/job.h"
#include "machine/libvirt/off.h"
#include "machine/libvirt/parents.h"
#include "machine/libvirt/run.h"
#include "machine/libvirt/track.h"
#include "machine/libvirt/vtpm.h"
#include "machine/rounded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine {
	const struct machine_options *options;
	const struct watcher *watcher;
	struct domain *domain;
	struct domain_disks disks;
	struct machine_drive *drives;
	struct drive **opened; /* one for each of the drives, or NULL */
	char *text;	       /* what libvirt would start the next time */
	char *vtpm;	       /* the file with the state of its TPM, or NULL */
	struct machine_config configs[3];
	uint32_t n_configs;
	struct libvirt_off *off;     /* NULL: it runs */
	struct libvirt_track *track; /* of one that runs */
	struct libvirt_run *run;
	struct libvirt_outcome outcome;
};

/* ---- opening ---- */

static int find_disks(struct machine *machine, struct error *err)
{
	char *xml;
	int code;

	TRY(domain_description(machine->domain, false, &xml, err));
	code = domain_disks_parse(&machine->disks, xml, err);
	free(xml);
	TRY(code);
	return domain_disks_choose(&machine->disks, &machine->options->drives, err);
}

static int list_drives(struct machine *machine, struct error *err)
{
	machine->drives = calloc(machine->disks.n, sizeof(*machine->drives));
	machine->opened = calloc(machine->disks.n, sizeof(*machine->opened));
	if (machine->drives == NULL || machine->opened == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < machine->disks.n; i++) {
		const struct domain_disk *disk = &machine->disks.disks[i];
		struct machine_drive *drive = &machine->drives[i];

		if (machine->options->scratch == NULL && !disk->is_file)
			return fail(err, ERR_USAGE,
				    "drive %s: is not a file, so name a folder with --scratch for "
				    "data that the guest overwrites",
				    disk->name);
		*drive = (struct machine_drive){
			.name = disk->name,
			.path = disk->source,
			.decrypted = disk->decrypted,
		};
		TRY(domain_disk_size(machine->domain, disk->target, &drive->size_bytes, err));
		rounded_note(drive, machine->watcher);
	}
	return 0;
}

static void add_file(struct machine *machine, const char *name, const char *path)
{
	if (path != NULL)
		machine->configs[machine->n_configs++] =
			(struct machine_config){.name = name, .path = path};
}

/* The definition, and after it the names of drives that are not those of its disks, for a restore:
 * libvirt ignores such instructions. */
static int take_text(struct machine *machine, struct error *err)
{
	TRY(domain_description(machine->domain, true, &machine->text, err));
	for (unsigned i = 0; i < machine->disks.n; i++) {
		const struct domain_disk *disk = &machine->disks.disks[i];
		char *more;

		if (strcmp(disk->name, disk->target) == 0 ||
		    !name_usable((const uint8_t *)disk->target, strlen(disk->target)))
			continue;
		more = text_make("%s<?vmabak-drive %s=%s?>\n", machine->text, disk->name,
				 disk->target);
		if (more == NULL)
			return fail_memory(err);
		free(machine->text);
		machine->text = more;
	}
	return 0;
}

static int list_configs(struct machine *machine, struct error *err)
{
	const struct domain_disks *disks = &machine->disks;

	TRY(take_text(machine, err));
	machine->configs[machine->n_configs++] = (struct machine_config){
		.name = "libvirt.xml",
		.data = {(const uint8_t *)machine->text, (uint32_t)strlen(machine->text)},
	};
	add_file(machine, "nvram", disks->nvram);
	if (!disks->tpm.is_there || disks->uuid == NULL)
		return 0;
	machine->vtpm = vtpm_file(&disks->tpm, disks->uuid, domain_is_in_session(machine->domain));
	if (machine->vtpm == NULL)
		return fail_memory(err);
	add_file(machine, "vtpm", machine->vtpm);
	return 0;
}

static int prepare_running(struct machine *machine, struct error *err)
{
	bool had_leftover;

	TRY(list_drives(machine, err));
	TRY(libvirt_job_clear(machine->domain, &had_leftover, err));
	if (had_leftover)
		watcher_note(machine->watcher,
			     "ended a backup job in libvirt that a killed run had left");
	return libvirt_track_new(&machine->track, machine->domain, &machine->disks,
				 machine->watcher, err);
}

static int prepare(struct machine *machine, struct error *err)
{
	const struct machine_options *options = machine->options;
	bool runs;

	TRY(deadlines_start(machine->watcher, err));
	TRY(domain_open(&machine->domain, options->connect, options->place, err));
	TRY(domain_runs(machine->domain, &runs, err));
	TRY(find_disks(machine, err));
	TRY(list_configs(machine, err));
	if (runs)
		return prepare_running(machine, err);
	return libvirt_off_open(&machine->off, machine->domain, &machine->disks, options,
				machine->watcher, err);
}

static void libvirt_end(struct machine *machine)
{
	if (machine == NULL)
		return;
	libvirt_run_free(machine->run);
	libvirt_track_free(machine->track);
	libvirt_off_end(machine->off);
	for (unsigned i = 0; machine->opened != NULL && i < machine->disks.n; i++)
		drive_close(machine->opened[i]);
	domain_close(machine->domain);
	domain_disks_free(&machine->disks);
	free(machine->drives);
	free(machine->opened);
	free(machine->text);
	free(machine->vtpm);
	free(machine);
}

static int libvirt_open(struct machine **out, const struct machine_options *options,
			const struct watcher *watcher, struct error *err)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return fail_memory(err);
	machine->options = options;
	machine->watcher = watcher;
	if (prepare(machine, err) < 0) {
		libvirt_end(machine);
		return err->code;
	}
	*out = machine;
	return 0;
}

/* No guest of libvirt shares our session. */
static void libvirt_describe(const struct machine *machine, struct machine_description *out)
{
	*out = (struct machine_description){
		.drives = machine->drives,
		.n_drives = machine->disks.n,
		.is_running = true,
	};
	if (machine->off != NULL)
		libvirt_off_describe(machine->off, out);
	out->configs = machine->configs;
	out->n_configs = machine->n_configs;
}

/* ---- the instant, and after ---- */

/* A signal that ends the program explains itself. */
static void warn(struct machine *machine)
{
	struct libvirt_outcome *outcome = &machine->outcome;

	if (outcome->instant.thawing[0] != '\0')
		watcher_warn(machine->watcher, "%s", outcome->instant.thawing);
	if (outcome->remains && stop_signal() == 0)
		watcher_warn(machine->watcher,
			     "the backup may not have ended in libvirt; virsh domjobabort %s ends "
			     "it",
			     domain_shown(machine->domain));
	if (outcome->instant.unfrozen[0] != '\0')
		watcher_warn(
			machine->watcher,
			"not frozen, so the snapshot shows the drives as after a power failure: %s",
			outcome->instant.unfrozen);
	outcome->instant.thawing[0] = outcome->instant.unfrozen[0] = '\0';
	outcome->remains = false;
}

static void libvirt_archive(struct machine *machine, const uint8_t *uuid)
{
	if (machine->track != NULL && machine->options->track)
		libvirt_track_want(machine->track, uuid);
}

static const char *libvirt_token(const struct machine *machine, uint32_t i)
{
	return machine->track != NULL ? libvirt_track_token(machine->track, i) : NULL;
}

static int libvirt_begin(struct machine *machine, const struct machine_since *since,
			 struct error *err)
{
	const struct libvirt_subject subject = {
		.domain = machine->domain,
		.disks = &machine->disks,
		.track = machine->track,
		.options = machine->options,
	};

	if (machine->off != NULL && machine->options->since != NULL)
		return fail(err, ERR_USAGE,
			    "domain '%s': is off, and tells what changed since a checkpoint only "
			    "while it runs",
			    domain_shown(machine->domain));
	if (machine->off != NULL)
		return libvirt_off_begin(machine->off, err);
	TRY(libvirt_track_look(machine->track, since, err));
	if (machine->options->since != NULL)
		TRY(libvirt_parents_named(machine->track, machine->options->since, err));
	if (libvirt_run_begin(&machine->run, &subject, &machine->outcome, err) == 0)
		return 0;
	warn(machine);
	return err->code;
}

static int libvirt_changes(struct machine *machine, uint32_t i, struct machine_changes *out,
			   struct error *err)
{
	const char *why = machine->off != NULL ? "" : libvirt_track_unknown(machine->track, i);
	struct error broken = {0};

	(void)err;
	out->known =
		why == NULL && libvirt_run_changes(machine->run, machine->disks.disks[i].target,
						   &out->set, &broken) == 0;
	if (out->known)
		return 0;
	cluster_set_free(&out->set);
	snprintf(out->why, sizeof(out->why), "%.180s", why != NULL ? why : broken.text);
	return 0;
}

static int libvirt_drive(struct machine *machine, uint32_t i, struct drive **out, struct error *err)
{
	if (machine->off != NULL)
		return libvirt_off_drive(machine->off, i, out, err);
	TRY(libvirt_run_drive(machine->run, machine->disks.disks[i].target,
			      machine->drives[i].size_bytes, &machine->opened[i], err));
	*out = machine->opened[i];
	return 0;
}

static int libvirt_check(struct machine *machine, struct error *err)
{
	return machine->off != NULL ? 0 : libvirt_run_check(machine->run, err);
}

static int libvirt_finish(struct machine *machine, struct error *err)
{
	if (machine->off != NULL)
		return libvirt_off_finish(machine->off, err);
	TRY(libvirt_run_finish(machine->run, err));
	warn(machine);
	return 0;
}

static int libvirt_commit(struct machine *machine, const struct machine_archive *archive,
			  struct error *err)
{
	if (machine->off != NULL || libvirt_track_name(machine->track) == NULL)
		return 0;
	TRY(libvirt_run_commit(machine->run, err));
	libvirt_track_tidy(machine->track, archive->is_piped);
	return (int)libvirt_track_count(machine->track);
}

static int libvirt_explain(struct machine *machine, struct error *err)
{
	if (machine->off != NULL)
		return err->code;
	libvirt_run_explain(machine->run, err);
	warn(machine);
	return err->code;
}

static void libvirt_outcome(struct machine *machine, struct json_t *capture)
{
	char size[HUMAN_SIZE];

	if (machine->off != NULL)
		return;
	json_put_number(capture, "instant_ms", machine->outcome.instant.instant_ms);
	json_put_number(capture, "frozen_ms", machine->outcome.instant.frozen_ms);
	watcher_detail(machine->watcher, "the scratch files took %s",
		       human_size(size, machine->outcome.scratch_bytes));
}

const struct machine_kind machine_libvirt = {
	.open = libvirt_open,
	.describe = libvirt_describe,
	.archive = libvirt_archive,
	.token = libvirt_token,
	.begin = libvirt_begin,
	.changes = libvirt_changes,
	.drive = libvirt_drive,
	.check = libvirt_check,
	.finish = libvirt_finish,
	.commit = libvirt_commit,
	.explain = libvirt_explain,
	.outcome = libvirt_outcome,
	.end = libvirt_end,
};
