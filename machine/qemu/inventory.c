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

static void free_drive(struct machine_drive *drive)
{
	free(drive->name);
	free(drive->device);
	free(drive->qdev);
	free(drive->node);
	free(drive->format);
	free(drive->file);
	free(drive->iothread);
}

void machine_free(struct machine *machine)
{
	for (unsigned i = 0; i < machine->n_drives; i++)
		free_drive(&machine->drives[i]);
	free(machine->drives);
	json_free(machine->nodes);
	*machine = (struct machine){0};
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

static bool is_free(const struct machine *machine, const char *name)
{
	for (unsigned i = 0; i < machine->n_drives; i++) {
		if (same(machine->drives[i].name, name))
			return false;
	}
	return true;
}

/* Of what is before it in the machine no two have the same. */
static char *choose_name(const struct machine *machine, const struct machine_drive *drive)
{
	const char *candidates[] = {drive->device, drive->qdev, drive->node};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const char *name = candidates[i];

		if (name != NULL && name_usable((const uint8_t *)name, strlen(name)) &&
		    is_free(machine, name))
			return memory_text("%s", name);
	}
	for (unsigned number = machine->n_drives;; number++) {
		char *name = memory_text("disk%u", number);

		if (is_free(machine, name))
			return name;
		free(name);
	}
}

/* ---- drives ---- */

static void add_drive(struct machine *machine, struct machine_drive drive)
{
	if (drive.name == NULL)
		drive.name = choose_name(machine, &drive);
	machine->drives =
		memory_grow(machine->drives, machine->n_drives + 1, sizeof(*machine->drives));
	machine->drives[machine->n_drives++] = drive;
}

/* What QEMU says of a node, in query-block or query-named-block-nodes. */
static int take_node(struct machine_drive *drive, const struct json_t *node, struct error *err)
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

static int take_device(struct machine *machine, struct qmp *qmp, const struct json_t *device,
		       struct error *err)
{
	const struct json_t *inserted = json_member(device, "inserted");
	const char *qdev = json_member_text(device, "qdev");
	struct machine_drive drive = {.removable = json_member_bool(device, "removable")};

	if (inserted == NULL)
		return 0;
	if (machine->n_drives >= MACHINE_DRIVES_MAX)
		return fail(err, ERR_SYSTEM, "QMP: more than %u drives", MACHINE_DRIVES_MAX);
	if (take_node(&drive, inserted, err) < 0) {
		free_drive(&drive);
		return err->code;
	}
	drive.device = copy(json_member_text(device, "device"));
	drive.qdev = qdev_id(qdev);
	if (qdev != NULL)
		drive.iothread = find_iothread(qmp, qdev);
	add_drive(machine, drive);
	return 0;
}

static const struct json_t *find_node(const struct machine *machine, const char *name)
{
	for (size_t i = 0; i < json_length(machine->nodes); i++) {
		const struct json_t *node = json_item(machine->nodes, i);

		if (same(json_member_text(node, "node-name"), name))
			return node;
	}
	return NULL;
}

static bool has_node(const struct machine *machine, const char *node)
{
	for (unsigned i = 0; i < machine->n_drives; i++) {
		if (same(machine->drives[i].node, node))
			return true;
	}
	return false;
}

/* What a qemu-storage-daemon has for others. */
static int take_exports(struct machine *machine, struct qmp *qmp, struct error *err)
{
	struct json_t *exports;
	struct error ignored;
	int result = 0;

	if (qmp_execute(qmp, "query-block-exports", NULL, &exports, &ignored) < 0)
		return 0;
	if (json_length(exports) > MACHINE_DRIVES_MAX || json_length(machine->nodes) > NODES_MAX)
		result = fail(err, ERR_SYSTEM, "QMP: more than %u exports or %u block nodes",
			      MACHINE_DRIVES_MAX, NODES_MAX);
	/* They are listed with the last made first. */
	for (size_t i = json_length(exports); i-- > 0 && result == 0;) {
		const char *name = json_member_text(json_item(exports, i), "node-name");
		const struct json_t *node = name == NULL ? NULL : find_node(machine, name);
		struct machine_drive drive = {0};

		if (node == NULL || has_node(machine, name) ||
		    machine->n_drives >= MACHINE_DRIVES_MAX)
			continue;
		result = take_node(&drive, node, err);
		if (result == 0)
			add_drive(machine, drive);
		else
			free_drive(&drive);
	}
	json_free(exports);
	return result;
}

int machine_read(struct machine *out, struct qmp *qmp, struct error *err)
{
	struct json_t *flat = json_new(), *blocks;
	int result = 0;

	*out = (struct machine){0};
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

static bool is_called(const struct machine_drive *drive, const char *word)
{
	return same(drive->name, word) || same(drive->device, word) || same(drive->qdev, word) ||
	       same(drive->node, word);
}

static int list_names(const struct machine *machine, const char *word, struct error *err)
{
	char *names = memory_text("%s", ""), *more;

	for (unsigned i = 0; i < machine->n_drives && strlen(names) < 200; i++) {
		more = memory_text("%s%s%s", names, i == 0 ? "" : ", ", machine->drives[i].name);
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

/* A drive of the machine, or a node that is none, copied. */
static int find_wanted(const struct machine *machine, const char *word, struct machine_drive *out,
		       struct error *err)
{
	const struct json_t *node;

	*out = (struct machine_drive){0};
	for (unsigned i = 0; i < machine->n_drives; i++) {
		const struct machine_drive *drive = &machine->drives[i];

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
	node = find_node(machine, word);
	if (node == NULL)
		return list_names(machine, word, err);
	return take_node(out, node, err);
}

static int add_wanted(const struct machine *machine, struct machine *chosen, const char *argument,
		      struct error *err)
{
	size_t length = name_prefix(argument);
	struct machine_drive drive;

	if (length > 0 && !name_usable((const uint8_t *)argument, length))
		return fail(err, ERR_USAGE, "-d '%.100s': not usable as the name of a drive",
			    argument);
	if (find_wanted(machine, argument + (length > 0 ? length + 1 : 0), &drive, err) < 0) {
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

static void leave_out_others(struct machine *machine)
{
	unsigned n = 0;

	for (unsigned i = 0; i < machine->n_drives; i++) {
		struct machine_drive *drive = &machine->drives[i];

		if (drive->removable || drive->read_only)
			free_drive(drive);
		else
			machine->drives[n++] = *drive;
	}
	machine->n_drives = n;
}

int machine_choose(struct machine *machine, const struct strings *wanted, struct error *err)
{
	struct machine chosen = {0};

	if (wanted->n == 0) {
		leave_out_others(machine);
		if (machine->n_drives == 0)
			return fail(err, ERR_USAGE,
				    "the machine has no drive that can be written to; name others "
				    "with -d");
		return 0;
	}
	for (unsigned i = 0; i < wanted->n; i++) {
		if (add_wanted(machine, &chosen, wanted->items[i], err) < 0) {
			machine_free(&chosen);
			return err->code;
		}
	}
	chosen.nodes = machine->nodes;
	machine->nodes = NULL;
	machine_free(machine);
	*machine = chosen;
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

struct json_t *machine_describe(const struct machine *machine, struct qmp *qmp)
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
	json_put(all, "nodes", json_share(machine->nodes));
	return all;
}
