#include "machine/qemu/filter.h"

#include "base/json.h"
#include "base/text.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/snapshot.h"
#include "machine/rundir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OLDEST 10u /* version of QEMU: those before it show zeros that were written later */

static char *guest_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	return node_part_name(out, id, drive, "guest");
}

static char *filter_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	return node_part_name(out, id, drive, "filter");
}

bool filters_fit(struct qmp *qmp, const struct inventory *inventory)
{
	const struct json_t *version = json_member(qmp_greeting(qmp), "version");
	uint64_t major = 0;

	json_member_number(json_member(version, "qemu"), "major", &major);
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		if (inventory->drives[i].qom == NULL)
			return false;
	}
	return major >= OLDEST;
}

/* ---- the names of the drives, as links in the run directory that lead nowhere ---- */

/* Owned by the caller. */
static char *link_path(const char *socket, unsigned i)
{
	char *file = rundir_file(socket, i);
	char *path = file == NULL ? NULL : text_make("%s.node", file);

	free(file);
	return path;
}

static int keep_name(const char *socket, unsigned i, const char *node, struct error *err)
{
	char *path = link_path(socket, i);
	int code = 0;

	if (path == NULL)
		return fail_memory(err);
	if (symlink(node, path) < 0)
		code = fail_system(err, errno, "%s", path);
	free(path);
	return code;
}

static bool find_name(const char *socket, unsigned i, char out[NODE_NAME_SIZE])
{
	char *path = link_path(socket, i);
	ssize_t n = path == NULL ? -1 : readlink(path, out, NODE_NAME_SIZE);

	free(path);
	if (n <= 0 || n >= (ssize_t)NODE_NAME_SIZE)
		return false;
	out[n] = '\0';
	return true;
}

/* Of the nodes of the graph, the one with that name or number. */
static const struct json_t *find_node(const struct json_t *nodes, const char *name, uint64_t number)
{
	for (size_t i = 0; i < json_length(nodes); i++) {
		const struct json_t *node = json_item(nodes, i);
		const char *found = json_member_text(node, "name");
		uint64_t id;

		if (name != NULL ? found != NULL && strcmp(found, name) == 0
				 : json_member_number(node, "id", &id) && id == number)
			return node;
	}
	return NULL;
}

/* What the node stands on, for when the run directory has gone. A command for debugging, without
 * which QEMU does not say it. */
static bool ask_below(struct qmp *qmp, const char *node, char out[NODE_NAME_SIZE])
{
	uint64_t number = 0, parent, child;
	struct error ignored;
	struct json_t *graph;
	bool found = false;

	if (qmp_execute(qmp, &graph, &ignored, "x-debug-query-block-graph", NULL) < 0)
		return false;
	const struct json_t *nodes = json_member(graph, "nodes"),
			    *edges = json_member(graph, "edges");
	bool known = json_member_number(find_node(nodes, node, 0), "id", &number);
	for (size_t i = 0; known && i < json_length(edges) && !found; i++) {
		const struct json_t *edge = json_item(edges, i);
		const char *role = json_member_text(edge, "name"), *below;

		if (role == NULL || strcmp(role, "file") != 0 ||
		    !json_member_number(edge, "parent", &parent) || parent != number ||
		    !json_member_number(edge, "child", &child))
			continue;
		below = json_member_text(find_node(nodes, NULL, child), "name");
		found = below != NULL &&
			snprintf(out, NODE_NAME_SIZE, "%s", below) < (int)NODE_NAME_SIZE;
	}
	json_free(graph);
	return found;
}

/* The filter is there before a device has the guest node. */
static bool ask_name(struct qmp *qmp, const char *id, unsigned drive, char out[NODE_NAME_SIZE])
{
	char filter[NODE_NAME_SIZE];

	return ask_below(qmp, filter_name(filter, id, drive), out);
}

void filters_forget(const char *socket)
{
	for (unsigned i = 0; i < INVENTORY_DRIVES_MAX; i++) {
		char *path = link_path(socket, i);
		int result = path == NULL ? -1 : unlink(path);

		free(path);
		if (result < 0)
			break;
	}
}

/* ---- putting them in ---- */

static int set_drive(struct qmp *qmp, const char *qom, const char *node, struct error *err)
{
	return qmp_post(qmp, err, "qom-set", "{s:s, s:s, s:s}", "path", qom, "property", "drive",
			"value", node);
}

/* Each step for all drives, so that the answers are waited for three times and not three times for
 * each drive. */
static int add_all(struct qmp *qmp, const char *id, const struct inventory *inventory,
		   struct error *err)
{
	const struct inventory_drive *drives = inventory->drives;
	char guest[NODE_NAME_SIZE], filter[NODE_NAME_SIZE], scratch[NODE_NAME_SIZE];

	for (unsigned i = 0; i < inventory->n_drives; i++)
		TRY(qmp_post(qmp, err, "blockdev-add", "{s:s, s:s, s:s}", "driver", "raw",
			     "node-name", guest_name(guest, id, i), "file", drives[i].node));
	TRY(qmp_settle(qmp, NULL, err));
	for (unsigned i = 0; i < inventory->n_drives; i++)
		TRY(qmp_post(qmp, err, "blockdev-add", "{s:s, s:s, s:s, s:s, s:s}", "driver",
			     "copy-before-write", "node-name", filter_name(filter, id, i), "file",
			     drives[i].node, "target", node_name(scratch, id, i), "on-cbw-error",
			     "break-snapshot"));
	TRY(qmp_settle(qmp, NULL, err));
	for (unsigned i = 0; i < inventory->n_drives; i++)
		TRY(set_drive(qmp, drives[i].qom, guest_name(guest, id, i), err));
	return qmp_settle(qmp, NULL, err);
}

int filters_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
		const char *socket, struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++)
		TRY(keep_name(socket, i, inventory->drives[i].node, err));
	return add_all(qmp, id, inventory, err);
}

/* What blockdev-reopen takes: the guest node stands on that node from then on. */
static struct json_t *make_move(const char *id, unsigned drive, const char *node)
{
	char guest[NODE_NAME_SIZE];

	return json_make("{s:s, s:s, s:s}", "driver", "raw", "node-name",
			 guest_name(guest, id, drive), "file", node);
}

int filters_start(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err)
{
	struct json_t *nodes = json_make("[]");

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		char filter[NODE_NAME_SIZE];

		json_add(nodes, make_move(id, i, filter_name(filter, id, i)));
	}
	TRY(qmp_execute(qmp, NULL, err, "blockdev-reopen", "{s:o}", "options", nodes));
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		char filter[NODE_NAME_SIZE];

		TRY(snapshot_add(qmp, id, i, filter_name(filter, id, i), err));
	}
	return qmp_settle(qmp, NULL, err);
}

/* ---- while they are there, and the end ---- */

/* The device's guest node is one of the run's: of which drive. */
static bool has_guest_node(const struct json_t *device, const char *id, unsigned n, unsigned *drive)
{
	const char *node = json_member_text(json_member(device, "inserted"), "node-name");

	for (unsigned i = 0; i < n && node_name_begins(node, id); i++) {
		char guest[NODE_NAME_SIZE];

		*drive = i;
		if (strcmp(node, guest_name(guest, id, i)) == 0)
			return true;
	}
	return false;
}

int filters_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err)
{
	struct json_t *devices;
	unsigned n = 0, drive;

	TRY(qmp_execute(qmp, &devices, err, "query-block", NULL));
	for (size_t i = 0; i < json_length(devices); i++)
		n += has_guest_node(json_item(devices, i), id, inventory->n_drives, &drive);
	json_free(devices);
	if (n < inventory->n_drives)
		return fail(err, ERR_SYSTEM,
			    "a filter in QEMU has gone: another program has removed it, or its "
			    "device");
	return 0;
}

/* A device whose guest node is one of the run's. */
struct held {
	const char *qom; /* borrowed from what query-block returned */
	unsigned drive;
	char node[NODE_NAME_SIZE]; /* which the device had before */
};

/* Entries are owned by the caller, as many as there are devices. */
static int find_held(struct qmp *qmp, const char *id, const char *socket,
		     const struct json_t *devices, struct held *held, size_t *n, struct error *err)
{
	*n = 0;
	for (size_t i = 0; i < json_length(devices); i++) {
		const struct json_t *device = json_item(devices, i);
		struct held *one = &held[*n];

		one->qom = json_member_text(device, "qdev");
		if (one->qom == NULL ||
		    !has_guest_node(device, id, INVENTORY_DRIVES_MAX, &one->drive))
			continue;
		if (!find_name(socket, one->drive, one->node) &&
		    !ask_name(qmp, id, one->drive, one->node))
			return fail(err, ERR_SYSTEM,
				    "the drive of QEMU's device %.100s is not known", one->qom);
		++*n;
	}
	return 0;
}

/* A filter that anything stands on, be it a snapshot, suffers no other writer to the drive. */
static int give_back(struct qmp *qmp, const char *id, const struct held *held, size_t n,
		     struct error *err)
{
	char name[NODE_NAME_SIZE];
	struct error ignored;

	for (size_t i = 0; i < n; i++)
		TRY(qmp_post(qmp, err, "blockdev-del", "{s:s}", "node-name",
			     snapshot_name(name, id, held[i].drive)));
	qmp_settle(qmp, NULL, &ignored);
	for (size_t i = 0; i < n; i++)
		TRY(qmp_post(qmp, err, "blockdev-reopen", "{s:[o]}", "options",
			     make_move(id, held[i].drive, held[i].node)));
	TRY(qmp_settle(qmp, NULL, err));
	for (size_t i = 0; i < n; i++)
		TRY(set_drive(qmp, held[i].qom, held[i].node, err));
	return qmp_settle(qmp, NULL, err);
}

int filters_remove(struct qmp *qmp, const char *id, const char *socket, struct error *err)
{
	struct json_t *devices;
	struct held *held;
	size_t n = 0;
	int code;

	TRY(qmp_execute(qmp, &devices, err, "query-block", NULL));
	held = calloc(json_length(devices) + 1, sizeof(*held));
	code = held == NULL ? fail_memory(err) : find_held(qmp, id, socket, devices, held, &n, err);
	if (code == 0)
		code = give_back(qmp, id, held, n, err);
	free(held);
	json_free(devices);
	return code;
}
