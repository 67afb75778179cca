/*
 * A running domain of libvirt: libvirt has QEMU keep the drives as they were at one instant, and
 * export them over NBD.
 */
#include "base/json.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "machine/kinds.h"
#include "machine/libvirt/deadline.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/job.h"
#include "machine/libvirt/run.h"

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
	struct machine_config configs[2];
	uint32_t n_configs;
	struct libvirt_run *run;
	struct libvirt_outcome outcome;
};

/* ---- opening ---- */

/* The drives of a domain that is off are files like any others. */
static int check_runs(struct machine *machine, struct error *err)
{
	const struct domain_disk *disk = NULL;
	bool runs;

	TRY(domain_runs(machine->domain, &runs, err));
	if (runs)
		return 0;
	for (unsigned i = 0; i < machine->disks.n && disk == NULL; i++) {
		if (machine->disks.disks[i].source != NULL)
			disk = &machine->disks.disks[i];
	}
	fail(err, ERR_USAGE, "domain '%s': is off: back up the files of its drives",
	     domain_shown(machine->domain));
	if (disk != NULL)
		error_append(err, ", without libvirt:, such as %.40s=%.150s", disk->target,
			     disk->source);
	return err->code;
}

static int find_disks(struct machine *machine, struct error *err)
{
	char *xml;
	int code;

	TRY(domain_description(machine->domain, false, &xml, err));
	code = domain_disks_parse(&machine->disks, xml, err);
	free(xml);
	TRY(code);
	TRY(check_runs(machine, err));
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
				    "what the guest overwrites meanwhile",
				    disk->name);
		*drive = (struct machine_drive){
			.name = disk->name,
			.path = disk->source,
			.decrypted = disk->decrypted,
		};
		TRY(domain_disk_size(machine->domain, disk->target, &drive->size_bytes, err));
	}
	return 0;
}

static int list_configs(struct machine *machine, struct error *err)
{
	TRY(domain_description(machine->domain, true, &machine->text, err));
	machine->configs[machine->n_configs++] = (struct machine_config){
		.name = "libvirt.xml",
		.data = {(const uint8_t *)machine->text, (uint32_t)strlen(machine->text)},
	};
	if (machine->disks.nvram != NULL)
		machine->configs[machine->n_configs++] = (struct machine_config){
			.name = "nvram",
			.path = machine->disks.nvram,
		};
	return 0;
}

static int prepare(struct machine *machine, struct error *err)
{
	const struct machine_options *options = machine->options;
	bool had_leftover;

	TRY(deadlines_start(machine->watcher, err));
	TRY(domain_open(&machine->domain, options->connect, options->place, err));
	TRY(find_disks(machine, err));
	TRY(list_drives(machine, err));
	TRY(list_configs(machine, err));
	TRY(libvirt_job_clear(machine->domain, &had_leftover, err));
	if (had_leftover)
		watcher_note(machine->watcher, "ended in libvirt the backup of a run that died");
	return 0;
}

static void libvirt_end(struct machine *machine)
{
	if (machine == NULL)
		return;
	libvirt_run_free(machine->run);
	for (unsigned i = 0; machine->opened != NULL && i < machine->disks.n; i++)
		drive_close(machine->opened[i]);
	domain_close(machine->domain);
	domain_disks_free(&machine->disks);
	free(machine->drives);
	free(machine->opened);
	free(machine->text);
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
		.configs = machine->configs,
		.n_configs = machine->n_configs,
		.is_running = true,
	};
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
	outcome->instant.thawing[0] = '\0';
	outcome->remains = false;
}

static int libvirt_begin(struct machine *machine, const struct machine_since *since,
			 struct error *err)
{
	(void)since;
	if (libvirt_run_begin(&machine->run, machine->domain, &machine->disks, machine->options,
			      &machine->outcome, err) == 0)
		return 0;
	warn(machine);
	return err->code;
}

static int libvirt_drive(struct machine *machine, uint32_t i, struct drive **out, struct error *err)
{
	TRY(libvirt_run_open(machine->run, machine->disks.disks[i].target, &machine->opened[i],
			     err));
	*out = machine->opened[i];
	return 0;
}

static int libvirt_finish(struct machine *machine, struct error *err)
{
	TRY(libvirt_run_finish(machine->run, err));
	warn(machine);
	return 0;
}

static int libvirt_explain(struct machine *machine, struct error *err)
{
	libvirt_run_explain(machine->run, err);
	warn(machine);
	return err->code;
}

static void libvirt_outcome(struct machine *machine, struct json_t *capture)
{
	json_put_number(capture, "instant_ms", machine->outcome.instant.instant_ms);
	json_put_number(capture, "frozen_ms", machine->outcome.instant.frozen_ms);
	watcher_detail(machine->watcher, "what the guest overwrote meanwhile took %llu bytes",
		       (unsigned long long)machine->outcome.scratch_bytes);
}

const struct machine_kind machine_libvirt = {
	.open = libvirt_open,
	.describe = libvirt_describe,
	.begin = libvirt_begin,
	.drive = libvirt_drive,
	.finish = libvirt_finish,
	.explain = libvirt_explain,
	.outcome = libvirt_outcome,
	.end = libvirt_end,
};
