/*
 * qom-set of a device's drive drains it: what is in flight ends at the old node, what comes later
 * goes to the new one. Nothing is copied, and no job runs, so there is nothing that could fail half
 * way.
 */
#include "machine/qemu/pivot.h"

#include "base/json.h"
#include "base/watcher.h"
#include "machine/qemu/inventory.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NODE_PREFIX  "restored-"
#define REMOVE_TRIES 4 /* as many nodes may stand on each other */

struct pivot {
	const struct pivot_options *options;
	struct qmp *qmp;
	struct inventory inventory;
	const struct inventory_drive **found; /* of each drive; NULL: it is at the file already */
};

/* ---- which is which ---- */

static bool same_file(const char *one, const char *other)
{
	struct stat a, b;

	return strcmp(one, other) == 0 || (stat(one, &a) == 0 && stat(other, &b) == 0 &&
					   a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* text without that beginning, or NULL. */
static const char *after(const char *text, const char *beginning)
{
	size_t n = strlen(beginning);

	return text != NULL && strncmp(text, beginning, n) == 0 ? text + n : NULL;
}

/* Whether QEMU means the export of that name at this place. */
static bool is_export(const char *file, const char *place, const char *name)
{
	const char *path = after(place, "unix:");

	file = after(file, path != NULL ? "nbd+unix:///" : "nbd://");
	if (path == NULL) {
		file = after(file, place);
		return file != NULL && *file == '/' && strcmp(file + 1, name) == 0;
	}
	file = after(after(file, name), "?socket=");
	return file != NULL && same_file(file, path);
}

static bool is_ours(const struct pivot *pivot, const char *file, const char *name)
{
	const struct strings *places = pivot->options->nbd;

	for (unsigned i = 0; i < places->n; i++) {
		if (is_export(file, places->items[i], name))
			return true;
	}
	return false;
}

/* A limit ends with the move, and is told. Any other filter is part of a job, such as a backup,
 * which would go on without what is written then. */
static int check_filters(const struct pivot *pivot, const char *name, struct error *err)
{
	static const char *const may_be[] = {"nbd", "raw", "throttle"};

	for (size_t i = 0; i < json_length(pivot->inventory.nodes); i++) {
		const struct json_t *node = json_item(pivot->inventory.nodes, i);
		const char *driver = json_member_text(node, "drv");
		bool good = driver == NULL || !is_ours(pivot, inventory_image(node), name);

		for (unsigned j = 0; j < sizeof(may_be) / sizeof(may_be[0]) && !good; j++)
			good = strcmp(driver, may_be[j]) == 0;
		if (!good)
			return fail(err, ERR_LOCKED,
				    "%s: a node of %.60s is on the export of drive %s, as of a "
				    "backup or another job, which has to end first",
				    pivot->options->monitor, driver, name);
	}
	return 0;
}

static int find_device(struct pivot *pivot, unsigned number, struct error *err)
{
	const struct pivot_drive *drive = &pivot->options->drives[number];
	bool moved = false;

	TRY(check_filters(pivot, drive->name, err));
	for (unsigned i = 0; i < pivot->inventory.n_drives; i++) {
		const struct inventory_drive *one = &pivot->inventory.drives[i];

		if (one->qom != NULL && is_ours(pivot, one->image, drive->name)) {
			pivot->found[number] = one;
			return 0;
		}
		moved |= one->image != NULL && same_file(one->image, drive->file);
	}
	if (moved)
		return 0;
	return fail(err, ERR_USAGE, "%s: no device of the machine is at the export of drive %s",
		    pivot->options->monitor, drive->name);
}

int pivot_open(struct pivot **out, const struct pivot_options *options, struct error *err)
{
	struct pivot *pivot = calloc(1, sizeof(*pivot));
	int code = 0;

	if (pivot == NULL)
		return fail_memory(err);
	pivot->options = options;
	pivot->found = calloc((size_t)options->n_drives + 1, sizeof(*pivot->found));
	if (pivot->found == NULL)
		code = fail_memory(err);
	if (code == 0)
		code = qmp_open(&pivot->qmp, options->monitor, err);
	if (code == 0)
		code = mirror_check_answers(pivot->qmp, err);
	if (code == 0)
		code = inventory_read(&pivot->inventory, pivot->qmp, err);
	for (unsigned i = 0; i < options->n_drives && code == 0; i++)
		code = find_device(pivot, i, err);
	if (code == 0)
		*out = pivot;
	else
		pivot_close(pivot);
	return code;
}

void pivot_close(struct pivot *pivot)
{
	if (pivot == NULL)
		return;
	inventory_free(&pivot->inventory);
	qmp_close(pivot->qmp);
	free(pivot->found);
	free(pivot);
}

/* ---- moving ---- */

static bool has_node(const struct json_t *nodes, const char *name)
{
	for (size_t i = 0; i < json_length(nodes); i++) {
		const char *found = json_member_text(json_item(nodes, i), "node-name");

		if (found != NULL && strcmp(found, name) == 0)
			return true;
	}
	return false;
}

/* One that is free. */
static void choose_name(const struct pivot *pivot, unsigned number, char out[NODE_NAME_SIZE])
{
	unsigned i = number;

	do
		snprintf(out, NODE_NAME_SIZE, NODE_PREFIX "%u", i++);
	while (has_node(pivot->inventory.nodes, out));
}

static int set_drive(struct qmp *qmp, const char *qom, const char *node, struct error *err)
{
	return qmp_execute(qmp, NULL, err, "qom-set", "{s:s, s:s, s:s}", "path", qom, "property",
			   "drive", "value", node);
}

/* A node is in QEMU's main thread; the device may be in another, and only takes one that is there,
 * too. */
static int move_device(struct qmp *qmp, const struct inventory_drive *device, const char *node,
		       struct error *err)
{
	struct error again;
	int code = set_drive(qmp, device->qom, node, err);

	if (code == 0 || device->iothread == NULL || !qmp_works(qmp))
		return code;
	if (qmp_execute(qmp, NULL, &again, "x-blockdev-set-iothread", "{s:s, s:s}", "node-name",
			node, "iothread", device->iothread) < 0)
		return code;
	return set_drive(qmp, device->qom, node, err);
}

static int move_drive(struct pivot *pivot, unsigned number, struct error *err)
{
	const struct inventory_drive *device = pivot->found[number];
	char node[NODE_NAME_SIZE];
	struct error ignored;

	choose_name(pivot, number, node);
	TRY(qmp_execute(pivot->qmp, NULL, err, "blockdev-add", "{s:s, s:s, s:s, s:{s:s, s:s, s:s}}",
			"driver", "raw", "node-name", node, "discard", "unmap", "file", "driver",
			"file", "filename", pivot->options->drives[number].file, "discard",
			"unmap"));
	if (move_device(pivot->qmp, device, node, err) == 0)
		return 0;
	if (qmp_works(pivot->qmp))
		qmp_execute(pivot->qmp, NULL, &ignored, "blockdev-del", "{s:s}", "node-name", node);
	return err->code;
}

/* A node of a file that a run made which was killed before the device got it, or the device's own.
 */
static bool is_restored(const struct json_t *node, const char *file)
{
	const char *name = after(json_member_text(node, "node-name"), NODE_PREFIX);
	const char *image = inventory_image(node);

	return name != NULL && image != NULL && same_file(image, file);
}

/* The nodes that were at the export, those on top first, and what runs that were killed have left.
 * QEMU keeps each that is in use. */
static void remove_nodes(struct pivot *pivot, const struct pivot_drive *drive)
{
	struct json_t *nodes;
	struct error ignored;
	size_t n;

	if (qmp_execute(pivot->qmp, &nodes, &ignored, "query-named-block-nodes", NULL) < 0)
		return;
	n = json_length(nodes);
	for (size_t i = 0; i < REMOVE_TRIES * n; i++) {
		const struct json_t *node = json_item(nodes, i % n);
		const char *own = json_member_text(node, "node-name");

		if (own != NULL && *own != '#' && qmp_works(pivot->qmp) &&
		    (is_ours(pivot, inventory_image(node), drive->name) ||
		     is_restored(node, drive->file)))
			qmp_execute(pivot->qmp, NULL, &ignored, "blockdev-del", "{s:s}",
				    "node-name", own);
	}
	json_free(nodes);
}

/* What a filter did for the device, such as a limit, ends with the move. */
static void tell(const struct pivot *pivot, unsigned number, const struct watcher *watcher)
{
	const struct pivot_drive *drive = &pivot->options->drives[number];
	const struct inventory_drive *device = pivot->found[number];

	watcher_note(watcher, "drive %s: the machine runs from %s", drive->name, drive->file);
	if (device->file == NULL || strcmp(device->file, device->image) != 0)
		watcher_note(watcher, "drive %s: without the filter %s, a node of %s", drive->name,
			     device->node, device->format);
}

int pivot_run(struct pivot *pivot, const struct watcher *watcher, struct error *err)
{
	const struct pivot_options *options = pivot->options;

	for (unsigned i = 0; i < options->n_drives; i++) {
		if (pivot->found[i] != NULL && move_drive(pivot, i, err) < 0) {
			error_prefix(err, "moving drive %s", options->drives[i].name);
			return err->code;
		}
		if (pivot->found[i] != NULL)
			tell(pivot, i, watcher);
		remove_nodes(pivot, &options->drives[i]); /* also after a run that was killed */
	}
	return 0;
}
