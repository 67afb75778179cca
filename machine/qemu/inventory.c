#include "machine/qemu/inventory.h"

#include "base/json.h"
#include "cli/memory.h"
#include "base/name.h"
#include "machine/qemu/qmp.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 62) /* bytes of a drive */
#define NODES_MAX  65536u	       /* looked through for each drive */

static char *copy(const char *text)
{
	return text == NULL || *text == '\0' ? NULL : memory_text("%s", text);
}

static bool same(const char *text, const char *other)
{
	return text != NULL && strcmp(text, other) == 0;
}

static void free_drive(struct inventory_drive *drive)
{
	free(drive->name);
	free(drive->device);
	free(drive->qdev);
	free(drive->node);
	free(drive->format);
	free(drive->file);
	free(drive->iothread);
}

void inventory_free(struct inventory *inventory)
{
	for (unsigned i = 0; i < inventory->n_drives; i++)
		free_drive(&inventory->drives[i]);
	free(inventory->drives);
	json_free(inventory->nodes);
	*inventory = (struct inventory){0};
}

/* ---- names ---- */

/* "/machine/peripheral/ID/virtio-backend" is ID to the user; an anonymous device has a path only.
 */
static char *qdev_id(const char *qdev)
{
	static const char begin[] = "/machine/peripheral/";

	if (qdev == NULL || strncmp(qdev, begin, sizeof(begin) - 1) != 0)
		return copy(qdev);
	qdev += sizeof(begin) - 1;
	return memory_text("%.*s", (int)strcspn(qdev, "/"), qdev);
}

static bool is_free(const struct inventory *inventory, const char *name)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (same(inventory->drives[i].name, name))
			return false;
	}
	return true;
}

/* Of what is before it in the machine no two have the same. */
static char *choose_name(const struct inventory *inventory, const struct inventory_drive *drive)
{
	const char *candidates[] = {drive->device, drive->qdev, drive->node};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const char *name = candidates[i];

		if (name != NULL && name_usable((const uint8_t *)name, strlen(name)) &&
		    is_free(inventory, name))
			return memory_text("%s", name);
	}
	for (unsigned number = inventory->n_drives;; number++) {
		char *name = memory_text("disk%u", number);

		if (is_free(inventory, name))
			return name;
		free(name);
	}
}

/* ---- drives ---- */

static void add_drive(struct inventory *inventory, struct inventory_drive drive)
{
	if (drive.name == NULL)
		drive.name = choose_name(inventory, &drive);
	inventory->drives =
		memory_grow(inventory->drives, inventory->n_drives + 1, sizeof(*inventory->drives));
	inventory->drives[inventory->n_drives++] = drive;
}

/* What QEMU says of a node, in query-block or query-named-block-nodes. */
static int take_node(struct inventory_drive *drive, const struct json_t *node, struct error *err)
{
	const struct json_t *image = json_member(node, "image");
	const char *name = json_member_text(node, "node-name");
	uint64_t depth = 0, size = 0;

	if (name == NULL || *name == '\0' || !json_member_number(image, "virtual-size", &size) ||
	    size > SIZE_LIMIT)
		return fail(err, ERR_SYSTEM, "QMP: a block node without a name or size");
	json_member_number(node, "backing_file_depth", &depth);
	drive->node = copy(name);
	drive->format = copy(json_member_text(node, "drv"));
	drive->file = copy(json_member_text(image, "filename"));
	drive->size_bytes = size;
	drive->read_only = json_member_bool(node, "ro");
	drive->has_backing = depth > 0 || json_member(image, "backing-image") != NULL ||
			     json_member(image, "backing-filename") != NULL;
	return 0;
}

/* Only some devices have that property: then there is nothing to tell. */
static char *find_iothread(struct qmp *qmp, const char *qdev)
{
	struct json_t *arguments = json_new(), *wrapped = json_new(), *list, *value = NULL;
	struct error ignored;
	char *name = NULL;

	json_put_text(arguments, "path", qdev);
	json_put_text(arguments, "property", "iothread");
	/* In an array, as only the items of arrays can be asked for their text. */
	list = json_put_array(wrapped, "list");
	if (qmp_execute(qmp, "qom-get", arguments, &value, &ignored) == 0)
		json_add(list, value);
	if (json_item_text(list, 0) != NULL)
		name = copy(base_name(json_item_text(list, 0)));
	json_free(wrapped);
	return name;
}

static int take_device(struct inventory *inventory, struct qmp *qmp, const struct json_t *device,
		       struct error *err)
{
	const struct json_t *inserted = json_member(device, "inserted");
	const char *qdev = json_member_text(device, "qdev");
	struct inventory_drive drive = {.removable = json_member_bool(device, "removable")};

	if (inserted == NULL)
		return 0;
	if (inventory->n_drives >= INVENTORY_DRIVES_MAX)
		return fail(err, ERR_SYSTEM, "QMP: more than %u drives", INVENTORY_DRIVES_MAX);
	if (take_node(&drive, inserted, err) < 0) {
		free_drive(&drive);
		return err->code;
	}
	drive.device = copy(json_member_text(device, "device"));
	drive.qdev = qdev_id(qdev);
	if (qdev != NULL)
		drive.iothread = find_iothread(qmp, qdev);
	add_drive(inventory, drive);
	return 0;
}

static const struct json_t *find_node(const struct inventory *inventory, const char *name)
{
	for (size_t i = 0; i < json_length(inventory->nodes); i++) {
		const struct json_t *node = json_item(inventory->nodes, i);

		if (same(json_member_text(node, "node-name"), name))
			return node;
	}
	return NULL;
}

static bool has_node(const struct inventory *inventory, const char *node)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (same(inventory->drives[i].node, node))
			return true;
	}
	return false;
}

/* What a qemu-storage-daemon has for others. */
static int take_exports(struct inventory *inventory, struct qmp *qmp, struct error *err)
{
	struct json_t *exports;
	struct error ignored;
	int result = 0;

	if (qmp_execute(qmp, "query-block-exports", NULL, &exports, &ignored) < 0)
		return 0;
	if (json_length(exports) > INVENTORY_DRIVES_MAX || json_length(inventory->nodes) > NODES_MAX)
		result = fail(err, ERR_SYSTEM, "QMP: more than %u exports or %u block nodes",
			      INVENTORY_DRIVES_MAX, NODES_MAX);
	/* They are listed with the last made first. */
	for (size_t i = json_length(exports); i-- > 0 && result == 0;) {
		const char *name = json_member_text(json_item(exports, i), "node-name");
		const struct json_t *node = name == NULL ? NULL : find_node(inventory, name);
		struct inventory_drive drive = {0};

		if (node == NULL || has_node(inventory, name) ||
		    inventory->n_drives >= INVENTORY_DRIVES_MAX)
			continue;
		result = take_node(&drive, node, err);
		if (result == 0)
			add_drive(inventory, drive);
		else
			free_drive(&drive);
	}
	json_free(exports);
	return result;
}

int inventory_read(struct inventory *out, struct qmp *qmp, struct error *err)
{
	struct json_t *flat = json_new(), *blocks;
	int result = 0;

	*out = (struct inventory){0};
	json_put_bool(flat, "flat", true);
	if (qmp_execute(qmp, "query-named-block-nodes", flat, &out->nodes, err) < 0 ||
	    qmp_execute(qmp, "query-block", NULL, &blocks, err) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(blocks) && result == 0; i++)
		result = take_device(out, qmp, json_item(blocks, i), err);
	json_free(blocks);
	if (result == 0 && out->n_drives == 0)
		result = take_exports(out, qmp, err);
	return result;
}

/* ---- choosing ---- */

static bool is_called(const struct inventory_drive *drive, const char *word)
{
	return same(drive->name, word) || same(drive->device, word) || same(drive->qdev, word) ||
	       same(drive->node, word);
}

static int list_names(const struct inventory *inventory, const char *word, struct error *err)
{
	char *names = memory_text("%s", ""), *more;

	for (unsigned i = 0; i < inventory->n_drives && strlen(names) < 200; i++) {
		more = memory_text("%s%s%s", names, i == 0 ? "" : ", ", inventory->drives[i].name);
		free(names);
		names = more;
	}
	fail(err, ERR_USAGE, "-d '%.60s': no such drive or block node; the drives are: %s", word,
	     *names == '\0' ? "none" : names);
	free(names);
	return ERR_USAGE;
}

static char *copy_or_null(const char *text)
{
	return text == NULL ? NULL : memory_text("%s", text);
}

/* A drive of the inventory, or a node that is none, copied. */
static int find_wanted(const struct inventory *inventory, const char *word, struct inventory_drive *out,
		       struct error *err)
{
	const struct json_t *node;

	*out = (struct inventory_drive){0};
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		if (!is_called(drive, word))
			continue;
		*out = *drive;
		out->name = copy_or_null(drive->name);
		out->device = copy_or_null(drive->device);
		out->qdev = copy_or_null(drive->qdev);
		out->node = copy_or_null(drive->node);
		out->format = copy_or_null(drive->format);
		out->file = copy_or_null(drive->file);
		out->iothread = copy_or_null(drive->iothread);
		return 0;
	}
	node = find_node(inventory, word);
	if (node == NULL)
		return list_names(inventory, word, err);
	return take_node(out, node, err);
}

static int add_wanted(const struct inventory *inventory, struct inventory *chosen, const char *argument,
		      struct error *err)
{
	size_t length = name_prefix(argument);
	struct inventory_drive drive;

	if (length > 0 && !name_usable((const uint8_t *)argument, length))
		return fail(err, ERR_USAGE, "-d '%.100s': not usable as the name of a drive",
			    argument);
	if (find_wanted(inventory, argument + (length > 0 ? length + 1 : 0), &drive, err) < 0) {
		free_drive(&drive);
		return err->code;
	}
	if (length > 0) {
		free(drive.name);
		drive.name = memory_text("%.*s", (int)length, argument);
	}
	if (has_node(chosen, drive.node) || (drive.name != NULL && !is_free(chosen, drive.name))) {
		free_drive(&drive);
		return fail(err, ERR_USAGE, "-d '%.100s': the drive, or its name, is named twice",
			    argument);
	}
	add_drive(chosen, drive);
	return 0;
}

static void leave_out_others(struct inventory *inventory)
{
	unsigned n = 0;

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		struct inventory_drive *drive = &inventory->drives[i];

		if (drive->removable || drive->read_only)
			free_drive(drive);
		else
			inventory->drives[n++] = *drive;
	}
	inventory->n_drives = n;
}

int inventory_choose(struct inventory *inventory, const struct strings *wanted, struct error *err)
{
	struct inventory chosen = {0};

	if (wanted->n == 0) {
		leave_out_others(inventory);
		if (inventory->n_drives == 0)
			return fail(err, ERR_USAGE,
				    "the machine has no drive that can be written to; name others "
				    "with -d");
		return 0;
	}
	for (unsigned i = 0; i < wanted->n; i++) {
		if (add_wanted(inventory, &chosen, wanted->items[i], err) < 0) {
			inventory_free(&chosen);
			return err->code;
		}
	}
	chosen.nodes = inventory->nodes;
	inventory->nodes = NULL;
	inventory_free(inventory);
	*inventory = chosen;
	return 0;
}

/* ---- the machine as a whole ---- */

static void describe(struct json_t *to, const char *key, struct qmp *qmp, const char *command)
{
	struct json_t *value;
	struct error ignored;

	if (qmp_works(qmp) && qmp_execute(qmp, command, NULL, &value, &ignored) == 0)
		json_put(to, key, value);
}

struct json_t *inventory_describe(const struct inventory *inventory, struct qmp *qmp)
{
	static const struct {
		const char *key, *command;
	} parts[] = {
		{"name", "query-name"},
		{"uuid", "query-uuid"},
		{"status", "query-status"},
		{"memory", "query-memory-size-summary"},
		{"cpus", "query-cpus-fast"},
		{"iothreads", "query-iothreads"},
		{"pci", "query-pci"},
		{"block", "query-block"},
		{"exports", "query-block-exports"},
	};
	struct json_t *all = json_new(), *type = json_new(), *value;
	struct error ignored;

	json_put(all, "qemu", json_share((struct json_t *)(uintptr_t)qmp_greeting(qmp)));
	json_put_text(type, "path", "/machine");
	json_put_text(type, "property", "type");
	if (qmp_execute(qmp, "qom-get", type, &value, &ignored) == 0)
		json_put(all, "machine", value);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		describe(all, parts[i].key, qmp, parts[i].command);
	json_put(all, "nodes", json_share(inventory->nodes));
	return all;
}
