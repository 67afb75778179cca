#include "machine/qemu/transfer.h"

#include "drive/bitmapfile.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct passage {
	struct qmp *qmp;
	const struct transfer *transfer;
	char id[RUN_ID_SIZE];
	char *run;  /* owned: the path that stands for the run */
	char *file; /* owned */
	int lock;   /* of the run directory */
	int fd;	    /* of the file */
};

static int prepare(struct passage *passage, const struct cluster_set *set, struct error *err)
{
	gid_t group;

	run_id_make(passage->id);
	passage->run = rundir_path(passage->id);
	passage->file = passage->run == NULL ? NULL : rundir_file(passage->run, 0);
	if (passage->file == NULL)
		return fail_memory(err);
	TRY(rundir_make(passage->run, err));
	passage->lock = rundir_lock(passage->run);
	if (passage->lock < 0)
		return fail_system(err, errno, "%s", passage->run);
	passage->fd = open(passage->file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (passage->fd < 0)
		return fail_system(err, errno, "%s", passage->file);
	TRY(bitmap_file_write(passage->fd, passage->file, passage->transfer->size_bytes, set, err));
	return qmp_group(passage->qmp, &group) ? rundir_open(passage->file, group, err) : 0;
}

/* Nothing of the file needs to outlive a crash. */
static int add_node(struct passage *passage, bool read_only, struct error *err)
{
	char name[NODE_NAME_SIZE], file[NODE_NAME_SIZE];

	return qmp_execute(passage->qmp, NULL, err, "blockdev-add",
			   "{s:s, s:s, s:b, s:{s:b}, s:{s:s, s:s, s:s}}", "driver", "qcow2",
			   "node-name", node_name(name, passage->id, 0), "read-only", read_only,
			   "cache", "no-flush", 1, "file", "driver", "file", "node-name",
			   node_file_name(file, passage->id, 0), "filename", passage->file);
}

static int remove_node(struct passage *passage, struct error *err)
{
	char name[NODE_NAME_SIZE];

	return qmp_execute(passage->qmp, NULL, err, "blockdev-del", "{s:s}", "node-name",
			   node_name(name, passage->id, 0));
}

static int merge(struct passage *passage, bool into_drive, struct error *err)
{
	const struct transfer *transfer = passage->transfer;
	char name[NODE_NAME_SIZE];
	const char *node = node_name(name, passage->id, 0);

	if (into_drive)
		return qmp_execute(passage->qmp, NULL, err, "block-dirty-bitmap-merge",
				   "{s:s, s:s, s:[{s:s, s:s}]}", "node", transfer->node, "target",
				   transfer->bitmap, "bitmaps", "node", node, "name",
				   bitmap_file_name);
	return qmp_execute(passage->qmp, NULL, err, "block-dirty-bitmap-merge",
			   "{s:s, s:s, s:[{s:s, s:s}]}", "node", node, "target", bitmap_file_name,
			   "bitmaps", "node", transfer->node, "name", transfer->bitmap);
}

/* The file loses its name, and the run its directory, once QEMU has it open. QEMU puts the bitmap
 * into it when the node goes.
 */
static int pass(struct passage *passage, bool into_drive, struct error *err)
{
	struct error ignored = {0};
	int code = add_node(passage, into_drive, err);

	unlink(passage->file);
	rundir_remove(passage->run);
	TRY(code);
	if (merge(passage, into_drive, err) == 0)
		return remove_node(passage, err);
	if (qmp_works(passage->qmp))
		remove_node(passage, &ignored);
	return err->code;
}

static void finish(struct passage *passage)
{
	if (passage->fd >= 0)
		close(passage->fd);
	if (passage->file != NULL)
		unlink(passage->file);
	if (passage->run != NULL)
		rundir_remove(passage->run);
	if (passage->lock >= 0)
		close(passage->lock);
	free(passage->file);
	free(passage->run);
}

static int carry(struct passage *passage, const struct cluster_set *set, bool into_drive,
		 struct error *err)
{
	TRY(prepare(passage, set, err));
	return pass(passage, into_drive, err);
}

int transfer_put(struct qmp *qmp, const struct transfer *transfer, const struct cluster_set *set,
		 struct error *err)
{
	struct passage passage = {.qmp = qmp, .transfer = transfer, .lock = -1, .fd = -1};
	int code = carry(&passage, set, true, err);

	finish(&passage);
	return code;
}

int transfer_get(struct qmp *qmp, const struct transfer *transfer, struct cluster_set *out,
		 struct error *err)
{
	struct passage passage = {.qmp = qmp, .transfer = transfer, .lock = -1, .fd = -1};
	struct cluster_set nothing = {0};
	char path[40];
	int code = carry(&passage, &nothing, false, err);

	if (code == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", passage.fd);
		code = bitmap_file_read(path, transfer->size_bytes, out, err);
	}
	finish(&passage);
	return code;
}
