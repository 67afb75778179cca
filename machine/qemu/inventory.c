#include "machine/qemu/inventory.h"

#include "base/json.h"
#include "base/name.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 62) /* bytes of a drive */
#define NODES_MAX  65536u	       /* a limit, as all are searched for each drive */

/* NULL of an empty text. */
static int copy(char **out, const char *text, struct error *err)
{
	*out = text == NULL || *text == '\0' ? NULL : strdup(text);
	return *out == NULL && text != NULL && *text != '\0' ? fail_memory(err) : 0;
}

static bool same(const char *text, const char *other)
{
	return text != NULL && strcmp(text, other) == 0;
}

static void free_drive(struct inventory_drive *drive)
{
	free(drive->name);
	free(drive->label);
	free(drive->device);
	free(drive->qdev);
	free(drive->qom);
	free(drive->node);
	free(drive->format);
	free(drive->file);
	free(drive->image);
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
static int copy_qdev(char **out, const char *qdev, struct error *err)
{
	static const char begin[] = "/machine/peripheral/";
	size_t length = sizeof(begin) - 1;

	if (qdev == NULL || strncmp(qdev, begin, length) != 0)
		return copy(out, qdev, err);
	TRY(copy(out, qdev + length, err));
	if (*out != NULL)
		(*out)[strcspn(*out, "/")] = '\0';
	return 0;
}

static bool is_free(const struct inventory *inventory, const char *name)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (same(inventory->drives[i].name, name))
			return false;
	}
	return true;
}

/* A name that no drive before it has. */
static int choose_name(const struct inventory *inventory, struct inventory_drive *drive,
		       struct error *err)
{
	const char *candidates[] = {drive->device, drive->qdev, drive->node};
	char number[24];

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const char *name = candidates[i];

		if (name != NULL && name_usable((const uint8_t *)name, strlen(name)) &&
		    is_free(inventory, name))
			return copy(&drive->name, name, err);
	}
	for (unsigned i = inventory->n_drives;; i++) {
		snprintf(number, sizeof(number), "disk%u", i);
		if (is_free(inventory, number))
			return copy(&drive->name, number, err);
	}
}

/* ---- drives ---- */

/* Takes the texts over, also when it fails. */
static int add_drive(struct inventory *inventory, struct inventory_drive drive, struct error *err)
{
	size_t n = inventory->n_drives + 1;
	struct inventory_drive *drives = reallocarray(inventory->drives, n, sizeof(*drives));
	int code = 0;

	if (drives == NULL)
		code = fail_memory(err);
	else
		inventory->drives = drives;
	if (code == 0 && drive.name == NULL)
		code = choose_name(inventory, &drive, err);
	if (code == 0 && drive.label == NULL)
		code = copy(&drive.label, drive.name, err);
	if (code == 0)
		inventory->drives[inventory->n_drives++] = drive;
	else
		free_drive(&drive);
	return code;
}

/* Nodes that stand on their image alone. To QEMU that counts as a backing file. */
static bool is_filter(const char *format)
{
	static const char *const filters[] = {
		"blkdebug",	     "blklogwrites", "blkreplay",   "blkverify", "compress",
		"copy-before-write", "copy-on-read", "preallocate", "throttle",
	};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		if (same(format, filters[i]))
			return true;
	}
	return false;
}

/* query-block tells of what is below filters, query-named-block-nodes only without "flat". */
static const struct json_t *below_filters(const struct json_t *node)
{
	const struct json_t *image = json_member(node, "image"), *below;

	while ((below = json_member(image, "backing-image")) != NULL &&
	       is_filter(json_member_text(image, "format")))
		image = below;
	return image;
}

const char *inventory_image(const struct json_t *node)
{
	return json_member_text(below_filters(node), "filename");
}

static bool has_backing(const struct json_t *node)
{
	const struct json_t *image = below_filters(node);

	return json_member(node, "backing_file") != NULL ||
	       json_member(image, "backing-image") != NULL ||
	       json_member(image, "backing-filename") != NULL;
}

/* The node, or an image that it stands on, which may be below a filter. */
static bool is_encrypted(const struct json_t *node)
{
	const struct json_t *image = json_member(node, "image");

	while (image != NULL && !json_member_bool(image, "encrypted"))
		image = json_member(image, "backing-image");
	return image != NULL;
}

/* What QEMU says of a node, in query-block or query-named-block-nodes. */
static int take_node(struct inventory_drive *drive, const struct json_t *node, struct error *err)
{
	const struct json_t *image = json_member(node, "image");
	const char *name = json_member_text(node, "node-name");
	uint64_t size = 0;

	if (name == NULL || *name == '\0' || !json_member_number(image, "virtual-size", &size) ||
	    size > SIZE_LIMIT)
		return fail(err, ERR_SYSTEM, "QMP: a block node without a name or size");
	TRY(copy(&drive->node, name, err));
	TRY(copy(&drive->format, json_member_text(node, "drv"), err));
	TRY(copy(&drive->file, json_member_text(image, "filename"), err));
	TRY(copy(&drive->image, inventory_image(node), err));
	drive->size_bytes = size;
	drive->read_only = json_member_bool(node, "ro");
	drive->decrypted = is_encrypted(node);
	drive->has_backing = has_backing(node);
	if (!drive->has_backing)
		json_member_number(image, "actual-size", &drive->data_bytes);
	return 0;
}

/* Only some devices have that property. */
static int find_iothread(char **out, struct qmp *qmp, const char *qdev, struct error *err)
{
	struct json_t *value, *list;
	struct error ignored;
	const char *path;
	int code = 0;

	if (qdev == NULL || qmp_execute(qmp, &value, &ignored, "qom-get", "{s:s, s:s}", "path",
					qdev, "property", "iothread") < 0)
		return 0;
	/* In an array, as only the items of arrays can be asked for their text. */
	list = json_make("[o]", value);
	path = json_item_text(list, 0);
	if (path != NULL)
		code = copy(out, base_name(path), err);
	json_free(list);
	return code;
}

static int fill_device(struct inventory_drive *drive, struct qmp *qmp, const struct json_t *device,
		       struct error *err)
{
	const char *qdev = json_member_text(device, "qdev");

	TRY(take_node(drive, json_member(device, "inserted"), err));
	TRY(copy(&drive->device, json_member_text(device, "device"), err));
	TRY(copy_qdev(&drive->qdev, qdev, err));
	TRY(copy(&drive->qom, qdev, err));
	return find_iothread(&drive->iothread, qmp, qdev, err);
}

/* Several devices may use one node. A CD-ROM among them does not make the node be backed up. */
static bool is_repeated(const struct inventory *inventory, const struct inventory_drive *drive)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *other = &inventory->drives[i];

		if (!other->removable && same(other->node, drive->node))
			return true;
	}
	return false;
}

static int take_device(struct inventory *inventory, struct qmp *qmp, const struct json_t *device,
		       struct error *err)
{
	struct inventory_drive drive = {.removable = json_member_bool(device, "removable")};

	if (json_member(device, "inserted") == NULL)
		return 0;
	if (inventory->n_drives >= INVENTORY_DRIVES_MAX)
		return fail(err, ERR_SYSTEM, "QMP: more than %u drives", INVENTORY_DRIVES_MAX);
	if (fill_device(&drive, qmp, device, err) < 0) {
		free_drive(&drive);
		return err->code;
	}
	drive.repeated = is_repeated(inventory, &drive);
	return add_drive(inventory, drive, err);
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

/* Of a qemu-storage-daemon: what it exports. */
static int take_exports(struct inventory *inventory, struct qmp *qmp, struct error *err)
{
	struct json_t *exports;
	struct error ignored;
	int code = 0;

	if (qmp_execute(qmp, &exports, &ignored, "query-block-exports", NULL) < 0)
		return 0;
	if (json_length(exports) > INVENTORY_DRIVES_MAX ||
	    json_length(inventory->nodes) > NODES_MAX)
		code = fail(err, ERR_SYSTEM, "QMP: more than %u exports or %u block nodes",
			    INVENTORY_DRIVES_MAX, NODES_MAX);
	/* QEMU lists the newest first. */
	for (size_t i = json_length(exports); i-- > 0 && code == 0;) {
		const char *name = json_member_text(json_item(exports, i), "node-name");
		const struct json_t *node = name == NULL ? NULL : find_node(inventory, name);
		struct inventory_drive drive = {0};

		if (node == NULL || has_node(inventory, name) ||
		    inventory->n_drives >= INVENTORY_DRIVES_MAX)
			continue;
		code = take_node(&drive, node, err);
		if (code == 0)
			code = add_drive(inventory, drive, err);
		else
			free_drive(&drive);
	}
	json_free(exports);
	return code;
}

int inventory_read(struct inventory *out, struct qmp *qmp, struct error *err)
{
	struct json_t *blocks;
	int code = 0;

	*out = (struct inventory){0};
	TRY(qmp_execute(qmp, &out->nodes, err, "query-named-block-nodes", "{s:b}", "flat", 1));
	TRY(qmp_execute(qmp, &blocks, err, "query-block", NULL));
	for (size_t i = 0; i < json_length(blocks) && code == 0; i++)
		code = take_device(out, qmp, json_item(blocks, i), err);
	json_free(blocks);
	if (code == 0 && out->n_drives == 0)
		code = take_exports(out, qmp, err);
	return code;
}

/* ---- choosing ---- */

static bool is_called(const struct inventory_drive *drive, const char *word)
{
	return same(drive->name, word) || same(drive->device, word) || same(drive->qdev, word) ||
	       same(drive->node, word);
}

static int list_names(const struct inventory *inventory, const char *word, struct error *err)
{
	fail(err, ERR_USAGE, "-d '%.60s': no such drive or block node; the drives are: ", word);
	for (unsigned i = 0; i < inventory->n_drives && strlen(err->text) < 300; i++)
		error_append(err, "%s%s", i == 0 ? "" : ", ", inventory->drives[i].name);
	if (inventory->n_drives == 0)
		error_append(err, "none");
	return ERR_USAGE;
}

static int copy_drive(struct inventory_drive *out, const struct inventory_drive *from,
		      struct error *err)
{
	*out = *from;
	out->name = out->label = out->device = out->qdev = out->qom = out->node = NULL;
	out->format = out->file = out->image = out->iothread = NULL;
	TRY(copy(&out->name, from->name, err));
	TRY(copy(&out->label, from->label, err));
	TRY(copy(&out->device, from->device, err));
	TRY(copy(&out->qdev, from->qdev, err));
	TRY(copy(&out->qom, from->qom, err));
	TRY(copy(&out->node, from->node, err));
	TRY(copy(&out->format, from->format, err));
	TRY(copy(&out->file, from->file, err));
	TRY(copy(&out->image, from->image, err));
	return copy(&out->iothread, from->iothread, err);
}

/* A drive of the machine, or a node that is none, copied. */
static int find_wanted(const struct inventory *inventory, const char *word,
		       struct inventory_drive *out, struct error *err)
{
	const struct json_t *node;

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (is_called(&inventory->drives[i], word))
			return copy_drive(out, &inventory->drives[i], err);
	}
	node = find_node(inventory, word);
	return node == NULL ? list_names(inventory, word, err) : take_node(out, node, err);
}

/* name: of length bytes that the user gives it; 0: none. */
static int check_wanted(const struct inventory *chosen, struct inventory_drive *drive,
			const char *argument, size_t length, struct error *err)
{
	if (length > 0) {
		free(drive->name);
		TRY(copy(&drive->name, argument, err));
		drive->name[length] = '\0';
	}
	if (has_node(chosen, drive->node) || (drive->name != NULL && !is_free(chosen, drive->name)))
		return fail(err, ERR_USAGE, "-d '%.100s': the drive, or its name, is named twice",
			    argument);
	return 0;
}

static int add_wanted(const struct inventory *inventory, struct inventory *chosen,
		      const char *argument, struct error *err)
{
	size_t length = name_prefix(argument);
	struct inventory_drive drive = {0};

	if (length > 0 && !name_usable((const uint8_t *)argument, length))
		return fail(err, ERR_USAGE, "-d '%.100s': not usable as the name of a drive",
			    argument);
	if (find_wanted(inventory, argument + (length > 0 ? length + 1 : 0), &drive, err) < 0 ||
	    check_wanted(chosen, &drive, argument, length, err) < 0) {
		free_drive(&drive);
		return err->code;
	}
	return add_drive(chosen, drive, err);
}

bool inventory_by_default(const struct inventory_drive *drive)
{
	return !drive->removable && !drive->read_only && !drive->repeated;
}

static void leave_out_others(struct inventory *inventory)
{
	unsigned n = 0;

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		struct inventory_drive *drive = &inventory->drives[i];

		if (inventory_by_default(drive))
			inventory->drives[n++] = *drive;
		else
			free_drive(drive);
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
	struct json_t *all = json_new(), *value;
	struct error ignored;

	json_put(all, "qemu", json_share((struct json_t *)(uintptr_t)qmp_greeting(qmp)));
	if (qmp_execute(qmp, &value, &ignored, "qom-get", "{s:s, s:s}", "path", "/machine",
			"property", "type") == 0)
		json_put(all, "machine", value);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && qmp_works(qmp); i++) {
		if (qmp_execute(qmp, &value, &ignored, parts[i].command, NULL) == 0)
			json_put(all, parts[i].key, value);
	}
	json_put(all, "nodes", json_share(inventory->nodes));
	return all;
}
