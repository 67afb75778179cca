#include "cli/groups.h"
#include "cli/sources.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/say.h"
#include "machine/qemu/inventory.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>
#include <string.h>

static void put_drive(struct json_t *list, const struct inventory_drive *drive)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{"name", drive->name},	       {"device", drive->device}, {"qdev", drive->qdev},
		{"node", drive->node},	       {"format", drive->format}, {"file", drive->file},
		{"iothread", drive->iothread},
	};
	struct json_t *one = json_add_object(list);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		json_put_text(one, texts[i].key, texts[i].text);
	json_put_number(one, "size_bytes", drive->size_bytes);
	json_put_bool(one, "read_only", drive->read_only);
	json_put_bool(one, "removable", drive->removable);
	json_put_bool(one, "backing", drive->has_backing);
	json_put_bool(one, "by_default", inventory_by_default(drive));
}

static void print_drive(const struct inventory_drive *drive)
{
	char size[HUMAN_SIZE];

	say(stdout, "%-16s %10s  ", drive->name, human_size(size, drive->size_bytes));
	say(stdout, "%s", drive->format == NULL ? "?" : drive->format);
	say(stdout, "  node ");
	say(stdout, "%s", drive->node);
	if (drive->iothread != NULL) {
		say(stdout, "  iothread ");
		say(stdout, "%s", drive->iothread);
	}
	if (drive->has_backing)
		say(stdout, "  backing file");
	if (drive->removable)
		say(stdout, "  removable: only with -d");
	else if (drive->read_only)
		say(stdout, "  read-only: only with -d");
	else if (drive->repeated)
		say(stdout, "  a node listed before: only with -d");
	if (drive->file != NULL) {
		say(stdout, "  ");
		say(stdout, "%s", drive->file);
	}
	say(stdout, "\n");
}

static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const char *socket;
	struct inventory inventory = {0};
	struct json_t *list;
	struct qmp *qmp = NULL;
	struct error err = {0};
	int code = EXIT_DONE;

	if (source_place(options->common.arguments.items[0], SOURCE_QEMU, &socket, &err) == 0 &&
	    qmp_open(&qmp, socket, &err) == 0)
		inventory_read(&inventory, qmp, &err);
	if (err.code != 0) {
		code = report_error(report, NULL, &err);
	} else if (report->result != NULL) {
		list = json_put_array(report->result, "drives");
		for (unsigned i = 0; i < inventory.n_drives; i++)
			put_drive(list, &inventory.drives[i]);
	} else {
		for (unsigned i = 0; i < inventory.n_drives; i++)
			print_drive(&inventory.drives[i]);
	}
	inventory_free(&inventory);
	qmp_close(qmp);
	return code;
}

const struct command command_qemu_drives = {
	.name = "qemu-drives",
	.usage = "[qemu:]SOCKET [OPTION]...",
	.operand = "SOCKET",
	.summary = "list the drives of a running QEMU",
	.help = "List the drives of a running QEMU, or of a qemu-storage-daemon: their names in\n"
		"an archive, sizes, formats, and which are backed up by default.\n"
		"SOCKET is that of its monitor (QMP), or tcp:HOST:PORT.\n"
		"\n"
		"Example:\n"
		"  vmabak qemu-drives /run/web.qmp\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
