#include "machine/qemu/fleece.h"

#include "machine/gate.h"
#include "machine/qemu/filter.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/snapshot.h"
#include "machine/rundir.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file's node has a name, by which a later run finds where the files were. Nothing of a scratch
 * image needs to outlive a crash. */
#define EXPORTS_MS 60000 /* for exports to end */

bool fleece_is_held(const struct qmp *qmp, const struct inventory *inventory)
{
	bool in_iothread = false;

	for (unsigned i = 0; i < inventory->n_drives; i++)
		in_iothread = in_iothread || inventory->drives[i].iothread != NULL;
	return in_iothread && !qmp_outlives_clients(qmp);
}

int fleece_add_node(struct qmp *qmp, const char *id, const struct inventory *inventory, unsigned i,
		    const char *path, struct error *err)
{
	char name[NODE_NAME_SIZE], file[NODE_NAME_SIZE];

	return qmp_post(qmp, err, "blockdev-add",
			"{s:s, s:s, s:s, s:b, s:{s:b}, s:{s:s, s:s, s:s}}", "driver", "qcow2",
			"node-name", node_name(name, id, i), "backing", inventory->drives[i].node,
			"lazy-refcounts", 1, "cache", "no-flush", 1, "file", "driver", "file",
			"node-name", node_file_name(file, id, i), "filename", path);
}

int fleece_start_server(struct qmp *qmp, const char *socket, struct error *err)
{
	if (qmp_execute(qmp, NULL, err, "nbd-server-start", "{s:{s:s, s:{s:s}}}", "addr", "type",
			"unix", "data", "path", socket) < 0 &&
	    strstr(qmp_refusal(qmp), "already running") != NULL)
		return fail(err, ERR_LOCKED,
			    "QEMU runs an NBD server already; name its socket with --nbd-server");
	return err->code;
}

int fleece_add_exports(struct qmp *qmp, const char *id, const struct inventory *inventory,
		       bool snapshots, struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		char name[NODE_NAME_SIZE], snapshot[NODE_NAME_SIZE];

		node_name(name, id, i);
		/* Cannot be written to, and is called as its node, unless something else is said.
		 */
		TRY(qmp_post(qmp, err, "block-export-add", "{s:s, s:s, s:s, s:s*}", "type", "nbd",
			     "id", name, "node-name",
			     snapshots ? snapshot_name(snapshot, id, i) : name, "name",
			     snapshots ? name : NULL));
	}
	return qmp_settle(qmp, NULL, err);
}

/* Another program's server is not at this socket. */
static int stop_server(struct qmp *qmp, const char *socket, struct error *err)
{
	struct stat found;

	if (lstat(socket, &found) < 0 || !S_ISSOCK(found.st_mode))
		return 0;
	gate_settle(socket);
	if (qmp_execute(qmp, NULL, err, "nbd-server-stop", NULL) < 0 && qmp_works(qmp))
		*err = (struct error){0}; /* it had ended, and left its socket */
	return err->code;
}

int fleece_remove(struct qmp *qmp, const char *id, const char *socket, struct error *err)
{
	*err = (struct error){0};
	/* First the jobs, which a migration that has begun fails for. */
	TRY(jobs_end(qmp, id, err));
	TRY(exports_remove(qmp, node_name_is_of, id, EXPORTS_MS, NULL, err));
	TRY(filters_remove(qmp, id, socket, err));
	TRY(stop_server(qmp, socket, err));
	TRY(nodes_remove(qmp, id, err));
	fleece_remove_files(socket);
	return 0;
}

/* They lose their names from the last to the first, so there is none after a gap. */
void fleece_remove_files(const char *socket)
{
	unlink(socket);
	filters_forget(socket);
	for (unsigned i = 0; i < INVENTORY_DRIVES_MAX; i++) {
		char *file = rundir_file(socket, i);
		int result = file == NULL ? -1 : unlink(file);

		free(file);
		if (result < 0)
			break;
	}
	rundir_remove(socket);
}
