#include "machine/qemu/fleece.h"

#include "machine/gate.h"
#include "base/json.h"
#include "machine/rundir.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file's node has a name, by which a later run finds where the files were. Nothing of a scratch
 * image needs to outlive a crash. */
int fleece_add_node(struct qmp *qmp, const char *id, const struct inventory *inventory, unsigned i,
		    const char *path, struct error *err)
{
	struct json_t *arguments = json_new(), *file;
	char name[NODE_NAME_SIZE], file_name[NODE_NAME_SIZE + 8];

	node_name(name, id, i);
	snprintf(file_name, sizeof(file_name), "%s-file", name);
	json_put_text(arguments, "driver", "qcow2");
	json_put_text(arguments, "node-name", name);
	json_put_text(arguments, "backing", inventory->drives[i].node);
	json_put_bool(json_put_object(arguments, "cache"), "no-flush", true);
	file = json_put_object(arguments, "file");
	json_put_text(file, "driver", "file");
	json_put_text(file, "node-name", file_name);
	json_put_text(file, "filename", path);
	return qmp_execute(qmp, "blockdev-add", arguments, NULL, err);
}

struct json_t *fleece_jobs(const char *id, const struct inventory *inventory)
{
	struct json_t *arguments = json_new(), *actions;

	json_put_text(json_put_object(arguments, "properties"), "completion-mode", "grouped");
	actions = json_put_array(arguments, "actions");
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		struct json_t *action = json_add_object(actions), *data;
		char name[NODE_NAME_SIZE];

		node_name(name, id, i);
		json_put_text(action, "type", "blockdev-backup");
		data = json_put_object(action, "data");
		json_put_text(data, "device", inventory->drives[i].node);
		json_put_text(data, "target", name);
		json_put_text(data, "job-id", name);
		json_put_text(data, "sync", "none");
		json_put_bool(data, "auto-dismiss", false);
	}
	return arguments;
}

int fleece_start_server(struct qmp *qmp, const char *socket, struct error *err)
{
	struct json_t *arguments = json_new(), *address;

	address = json_put_object(arguments, "addr");
	json_put_text(address, "type", "unix");
	json_put_text(json_put_object(address, "data"), "path", socket);
	if (qmp_execute(qmp, "nbd-server-start", arguments, NULL, err) < 0 &&
	    strstr(err->text, "already running") != NULL)
		return fail(err, ERR_LOCKED,
			    "QEMU runs an NBD server already; tell its socket with --nbd-server");
	return err->code;
}

int fleece_add_exports(struct qmp *qmp, const char *id, const struct inventory *inventory,
		       struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		struct json_t *arguments = json_new();
		char name[NODE_NAME_SIZE];

		node_name(name, id, i);
		json_put_text(arguments, "type", "nbd");
		json_put_text(arguments, "id", name);
		json_put_text(arguments, "node-name", name);
		json_put_text(arguments, "name", name);
		json_put_bool(arguments, "writable", false);
		if (qmp_execute(qmp, "block-export-add", arguments, NULL, err) < 0)
			return err->code;
	}
	return 0;
}

/* A server of somebody else's is not at this socket. */
static int stop_server(struct qmp *qmp, const char *socket, struct error *err)
{
	struct stat found;

	if (lstat(socket, &found) < 0 || !S_ISSOCK(found.st_mode))
		return 0;
	gate_settle(socket);
	if (qmp_execute(qmp, "nbd-server-stop", NULL, NULL, err) < 0 && qmp_works(qmp))
		*err = (struct error){0}; /* it had ended, and left its socket */
	return err->code;
}

int fleece_remove(struct qmp *qmp, const char *id, const char *socket, struct error *err)
{
	*err = (struct error){0};
	if (exports_remove(qmp, id, err) < 0 || jobs_end(qmp, id, err) < 0 ||
	    stop_server(qmp, socket, err) < 0 || nodes_remove(qmp, id, err) < 0)
		return err->code;
	fleece_remove_files(socket);
	return 0;
}

/* They lose their names from the last to the first, so there is none after a gap. */
void fleece_remove_files(const char *socket)
{
	unlink(socket);
	for (unsigned i = 0; i < INVENTORY_DRIVES_MAX; i++) {
		char *file = rundir_file(socket, i);
		int result = unlink(file);

		free(file);
		if (result < 0)
			break;
	}
	rundir_remove(socket);
}
