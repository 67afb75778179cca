#include "cli/qemu_backup.h"

#include "base/background.h"
#include "archive/configs.h"
#include "base/json.h"
#include "cli/memory.h"
#include "archive/create.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "cli/backup.h"
#include "cli/report.h"
#include "cli/summary.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_NAME	"qemu.json"
#define CONFIG_SIZE_MAX (1u << 20)

struct qemu_backup qemu_backup_new(const struct backup_options *options, struct report *report)
{
	return (struct qemu_backup){
		.options = options,
		.report = report,
	};
}

void qemu_backup_free(struct qemu_backup *backup)
{
	inventory_free(&backup->inventory);
	qmp_close(backup->qmp);
	create_close(&backup->create);
}

/* What QEMU tells of the machine, unless the user has a config of that name. */
static void add_description(struct qemu_backup *backup)
{
	struct archive *archive = backup->create.archive;
	struct archive_config *config = &archive->configs[archive->n_configs];
	struct json_t *all;
	char *text;

	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text name = archive->configs[i].name;

		if (name.length == strlen(CONFIG_NAME) &&
		    memcmp(name.bytes, CONFIG_NAME, name.length) == 0)
			return;
	}
	all = inventory_describe(&backup->inventory, backup->qmp);
	text = json_line(all);
	json_free(all);
	if (text == NULL)
		memory_give_up();
	if (strlen(text) > CONFIG_SIZE_MAX || archive->n_configs == CONFIGS_MAX) {
		report_warning(backup->report,
			       "what QEMU tells of the machine is too long, and left out");
		free(text);
		return;
	}
	config->name = (struct text){(const uint8_t *)CONFIG_NAME, strlen(CONFIG_NAME)};
	config->data = (struct text){(const uint8_t *)text, (uint32_t)strlen(text)};
	archive->n_configs++;
}

static int name_drives(struct qemu_backup *backup, struct error *err)
{
	const struct inventory *inventory = &backup->inventory;

	for (uint32_t i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		TRY(create_add_drive(&backup->create, drive->name, drive->file, err));
		create_set_size(&backup->create, i, drive->size_bytes, &backup->report->watcher);
	}
	return 0;
}

int qemu_backup_prepare(struct qemu_backup *backup, struct error *err)
{
	const struct backup_options *options = backup->options;

	if (create_begin(&backup->create, &options->create, &options->head, err) < 0 ||
	    configs_read(backup->create.archive, &options->config_files, backup->create.name, err) < 0 ||
	    qmp_open(&backup->qmp, options->machine.place, err) < 0 ||
	    leftovers_remove(backup->qmp, NULL, &backup->n_leftovers, err) < 0 ||
	    inventory_read(&backup->inventory, backup->qmp, err) < 0 ||
	    inventory_choose(&backup->inventory, &options->machine.drives, err) < 0 ||
	    name_drives(backup, err) < 0)
		return err->code;
	add_description(backup);
	return 0;
}

int qemu_backup_open(struct qemu_backup *backup, struct error *err)
{
	return create_open(&backup->create, err);
}

void qemu_backup_stand_back(const struct qemu_backup *backup)
{
	struct ucred peer;

	background_backup(qmp_peer(backup->qmp, &peer) ? peer.pid : 0);
}

void qemu_backup_warn(const struct qemu_backup *backup, const struct instant_outcome *instant,
		      const char *remains)
{
	if (backup->n_leftovers > 0)
		report_note(backup->report, "cleaned up in QEMU after %u run%s that died",
			    backup->n_leftovers, backup->n_leftovers == 1 ? "" : "s");
	if (instant->thawing[0] != '\0')
		report_warning(backup->report, "%s", instant->thawing);
	if (remains[0] != '\0')
		report_warning(backup->report, "something may be left in QEMU: %s", remains);
}

struct json_t *qemu_backup_tell(const struct qemu_backup *backup,
				const struct instant_outcome *instant)
{
	struct json_t *capture;

	summary_tell(&backup->create, backup->report);
	if (instant->n_frozen > 0)
		report_note(
			backup->report, "%llu file system%s of the guest stood still for %llu ms",
			(unsigned long long)instant->n_frozen, instant->n_frozen == 1 ? "" : "s",
			(unsigned long long)instant->frozen_ms);
	capture = json_put_object(backup->report->result, "capture");
	json_put_number(capture, "instant_ms", instant->instant_ms);
	json_put_number(capture, "frozen_filesystems", instant->n_frozen);
	json_put_number(capture, "frozen_ms", instant->frozen_ms);
	return capture;
}
