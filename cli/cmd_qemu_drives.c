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

#define COLUMN_MAX 40 /* longer texts break the alignment */

/* "iothread io0, backing file, removable: only with -d" */
static const char *notes_of(const struct inventory_drive *drive, char out[200])
{
	const char *choice = drive->removable	? "removable: only with -d"
			     : drive->read_only ? "read-only: only with -d"
			     : drive->repeated	? "a node listed before: only with -d"
						: "";
	bool threaded = drive->iothread != NULL, backed = drive->has_backing;

	snprintf(out, 200, "%s%.100s%s%s%s%s", threaded ? "iothread " : "",
		 threaded ? drive->iothread : "", threaded && backed ? ", " : "",
		 backed ? "backing file" : "", (threaded || backed) && *choice != '\0' ? ", " : "",
		 choice);
	return out;
}

static void widen(int *width, const char *text)
{
	int length = text == NULL ? 0 : (int)strlen(text);

	if (length > *width)
		*width = length < COLUMN_MAX ? length : COLUMN_MAX;
}

static void print_drives(const struct inventory *inventory)
{
	int name = 4, format = 6, node = 4, notes = 0;
	char text[200], size[HUMAN_SIZE];

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		widen(&name, drive->name);
		widen(&format, drive->format);
		widen(&node, drive->node);
		widen(&notes, notes_of(drive, text));
	}
	if (inventory->n_drives == 0)
		return;
	notes += notes > 0 ? 2 : 0;
	say(stdout, "%-*s  %9s  %-*s  %-*s  %-*sFILE\n", name, "NAME", "SIZE", format, "FORMAT",
	    node, "NODE", notes, notes > 0 ? "NOTES" : "");
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		say(stdout, "%-*s  %9s  %-*s  %-*s  %-*s%.4000s\n", name, drive->name,
		    human_size(size, drive->size_bytes), format,
		    drive->format == NULL ? "?" : drive->format, node, drive->node, notes,
		    notes_of(drive, text), drive->file == NULL ? "-" : drive->file);
	}
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
		print_drives(&inventory);
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
