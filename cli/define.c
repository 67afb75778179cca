#include "cli/define.h"

#include "base/json.h"
#include "base/name.h"
#include "base/watcher.h"
#include "cli/report.h"
#include "drive/qemuimg.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int define_check(const struct define_options *options, struct restore_options *restore,
		 struct error *err)
{
	if (!options->wanted && (options->name != NULL || options->connect != NULL))
		return fail(err, ERR_USAGE, "--%s is for --define",
			    options->name != NULL ? "name" : "connect");
	if (options->wanted && restore->no_configs)
		return fail(err, ERR_USAGE, "--define and --no-configs exclude each other");
	if (options->wanted)
		restore->configs = restore->passable = true;
	return 0;
}

#if HAVE_LIBVIRT

#include "machine/libvirt/define.h"

struct define {
	struct libvirt_define_options options;
	struct restore *restore;
	struct libvirt_define *domain;
	struct placed_drive *drives;
	unsigned n;
};

void define_close(struct define *define)
{
	if (define == NULL)
		return;
	libvirt_define_close(define->domain);
	for (unsigned i = 0; i < define->n; i++) {
		free((void *)(uintptr_t)define->drives[i].name);
		free((void *)(uintptr_t)define->drives[i].path);
	}
	free(define->drives);
	free(define);
}

static int check_targets(const struct restore *restore, struct error *err)
{
	for (uint32_t i = 0; i < restore->opened.archive->n_drives; i++) {
		const char *path = restore->plan.drive_paths[i];

		if (path != NULL && target_is_uri(path))
			return fail(err, ERR_USAGE,
				    "%s: a domain is not defined with drives on NBD servers", path);
	}
	return 0;
}

static int open_domain(struct define *define, struct error *err)
{
	struct restore *restore = define->restore;
	const struct archive *archive = restore->opened.archive;
	uint32_t xml = restore_plan_config(&restore->plan, "libvirt.xml");
	uint32_t tpm = restore_plan_config(&restore->plan, "vtpm");
	const char *place;

	if (xml == archive->n_configs)
		return fail(err, ERR_USAGE,
			    "--define: the archive has no libvirt.xml, as a backup of "
			    "libvirt:DOMAIN makes it");
	TRY(check_targets(restore, err));
	TRY(libvirt_define_open(&define->domain, archive->configs[xml].data, &define->options,
				restore->watcher, err));
	TRY(libvirt_define_tpm(define->domain, &place, err));
	if (place != NULL && tpm < archive->n_configs)
		return restore_plan_move_config(&restore->plan, tpm, place, err);
	if (libvirt_define_has_tpm(define->domain) && tpm == archive->n_configs)
		watcher_warn(restore->watcher,
			     "definition: the state of the TPM is not in the archive: it is a new "
			     "one");
	return 0;
}

int define_open(struct define **out, const struct define_options *options, struct restore *restore,
		struct error *err)
{
	struct define *define = calloc(1, sizeof(*define));

	if (define == NULL)
		return fail_memory(err);
	define->restore = restore;
	define->options = (struct libvirt_define_options){
		.connect = options->connect,
		.name = options->name,
		.replace = restore->options->force,
	};
	define->drives =
		calloc((size_t)restore->opened.archive->n_drives + 1, sizeof(*define->drives));
	if (define->drives == NULL)
		fail_memory(err);
	else if (open_domain(define, err) == 0) {
		*out = define;
		return 0;
	}
	define_close(define);
	return err->code;
}

static int add_drive(struct define *define, uint32_t i, struct error *err)
{
	const struct restore_plan *plan = &define->restore->plan;
	struct text name = plan->archive->drives[i].name;
	const char *path = plan->drive_paths[i], *format = plan->suffixes[i].format;
	struct placed_drive *drive = &define->drives[define->n];
	struct stat found;

	if (path == NULL)
		return 0;
	define->n++;
	drive->name = text_make("%.*s", (int)name.length, (const char *)name.bytes);
	drive->path = absolute_path(path);
	drive->format = format != NULL ? format : image_format_of(path);
	if (drive->name == NULL || drive->path == NULL || stat(path, &found) != 0)
		return fail_system(err, errno, "%s", path);
	drive->is_device = S_ISBLK(found.st_mode);
	return 0;
}

/* Where a config was restored to; *out is NULL: it was not. Owned. */
static int find_config(const struct define *define, const char *name, char **out, struct error *err)
{
	const struct restore_plan *plan = &define->restore->plan;
	uint32_t config = restore_plan_config(plan, name);

	if (config == plan->archive->n_configs)
		return 0;
	*out = absolute_path(plan->config_paths[config]);
	return *out == NULL ? fail_memory(err) : 0;
}

int define_run(struct define *define, struct error *err)
{
	const struct archive *archive = define->restore->opened.archive;
	char *nvram = NULL, *tpm = NULL;
	int code = find_config(define, "nvram", &nvram, err);

	if (code == 0)
		code = find_config(define, "vtpm", &tpm, err);
	for (uint32_t i = 0; i < archive->n_drives && code == 0; i++)
		code = add_drive(define, i, err);
	if (code == 0) {
		const struct placed placed = {
			.drives = define->drives,
			.n = define->n,
			.nvram = nvram,
			.tpm = tpm,
		};

		code = libvirt_define_run(define->domain, &placed, err);
	}
	if (code != 0)
		error_prefix(err, "all is restored, but the domain is not defined");
	free(nvram);
	free(tpm);
	return code;
}

void define_tell(const struct define *define, struct report *report)
{
	const char *name = libvirt_define_name(define->domain);
	struct json_t *domain = json_put_object(report->result, "domain");
	char shown[120];

	json_put_text(domain, "name", name);
	json_put_text(domain, "uuid", libvirt_define_uuid(define->domain));
	report_note(report, "domain '%s' is defined",
		    escape_text(shown, sizeof(shown), (const uint8_t *)name, strlen(name)));
}

#else

int define_open(struct define **out, const struct define_options *options, struct restore *restore,
		struct error *err)
{
	(void)out;
	(void)options;
	(void)restore;
	return fail(err, ERR_USAGE,
		    "--define: this program was built without libvirt: install libvirt-dev and "
		    "libxml2-dev and build again");
}

int define_run(struct define *define, struct error *err)
{
	(void)define;
	(void)err;
	return 0;
}

void define_tell(const struct define *define, struct report *report)
{
	(void)define;
	(void)report;
}

void define_close(struct define *define)
{
	(void)define;
}

#endif
