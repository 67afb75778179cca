#include "machine/qemu/snapshot.h"

#include "base/clock.h"
#include "base/grain.h"
#include "base/json.h"
#include "machine/qemu/qmp.h"

#include <string.h>

#define CHECK_MS 60000
#define STEP_MS	 20

char *snapshot_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	return node_part_name(out, id, drive, "snapshot");
}

int snapshot_add(struct qmp *qmp, const char *id, unsigned drive, const char *node,
		 struct error *err)
{
	char name[NODE_NAME_SIZE];

	return qmp_post(qmp, err, "blockdev-add", "{s:s, s:s, s:s}", "driver", "snapshot-access",
			"node-name", snapshot_name(name, id, drive), "file", node);
}

int snapshots_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
		  struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++)
		TRY(snapshot_add(qmp, id, i, inventory->drives[i].node, err));
	return qmp_settle(qmp, NULL, err);
}

/* ---- probes ---- */

static int64_t probe_bytes(const struct inventory_drive *drive)
{
	return (int64_t)(drive->size_bytes < CLUSTER_SIZE ? drive->size_bytes : CLUSTER_SIZE);
}

static char *probe_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	return node_part_name(out, id, drive, "probe");
}

int probes_add(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct error *err)
{
	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];
		char name[NODE_NAME_SIZE];

		if (drive->size_bytes == 0)
			continue;
		TRY(qmp_post(qmp, err, "blockdev-add", "{s:s, s:s, s:b, s:I, s:{s:s, s:s}}",
			     "driver", "raw", "node-name", probe_name(name, id, i), "read-only", 1,
			     "size", probe_bytes(drive), "file", "driver", "snapshot-access",
			     "file", drive->node));
	}
	return qmp_settle(qmp, NULL, err);
}

/* Whether the job of that name has ended; *failure is why it failed, or empty. */
static int probe_ended(const struct json_t *jobs, const char *name, bool *ended, char failure[200],
		       struct error *err)
{
	for (size_t i = 0; i < json_length(jobs); i++) {
		const struct json_t *job = json_item(jobs, i);
		const char *id = json_member_text(job, "id");
		const char *status = json_member_text(job, "status");
		const char *words = json_member_text(job, "error");

		if (id == NULL || status == NULL || strcmp(id, name) != 0)
			continue;
		*ended = strcmp(status, "concluded") == 0;
		escape_text(failure, 200, (const uint8_t *)words,
			    words == NULL ? 0 : strlen(words));
		return 0;
	}
	return fail(err, ERR_SYSTEM, "a job in QEMU has gone: another program has ended it");
}

/* *n: how many still run. */
static int look_at_probes(struct qmp *qmp, const char *id, const struct inventory *inventory,
			  unsigned *n, struct error *err)
{
	struct json_t *jobs;
	int code = 0;

	*n = 0;
	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	for (unsigned i = 0; i < inventory->n_drives && code == 0; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];
		char name[NODE_NAME_SIZE], failure[200] = "";
		bool ended = true;

		if (drive->size_bytes > 0)
			code = probe_ended(jobs, probe_name(name, id, i), &ended, failure, err);
		*n += !ended;
		if (code == 0 && failure[0] != '\0')
			code = fail(err, ERR_SYSTEM,
				    "drive %s: QEMU could not read or send what the guest was "
				    "about to overwrite, and gave up the snapshot (%s)",
				    drive->name, failure);
	}
	json_free(jobs);
	return code;
}

static int wait_for_probes(struct qmp *qmp, const char *id, const struct inventory *inventory,
			   struct error *err)
{
	int64_t until = clock_ms() + CHECK_MS;
	unsigned n;

	for (;;) {
		TRY(look_at_probes(qmp, id, inventory, &n, err));
		if (n == 0)
			return 0;
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "QEMU does not read its snapshot within %d s",
				    CHECK_MS / 1000);
		qmp_wait(qmp, STEP_MS);
	}
}

/* Jobs that read the probes, all at once. Nodes and jobs are removed with those of the run, also if
 * this fails. */
int probes_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
		 struct error *err)
{
	char name[NODE_NAME_SIZE], target[NODE_NAME_SIZE];

	for (unsigned i = 0; i < inventory->n_drives; i++) {
		const struct inventory_drive *drive = &inventory->drives[i];

		if (drive->size_bytes == 0)
			continue;
		probe_name(name, id, i);
		node_part_name(target, id, i, "null");
		TRY(qmp_post(qmp, err, "blockdev-add", "{s:s, s:s, s:I}", "driver", "null-co",
			     "node-name", target, "size", probe_bytes(drive)));
		TRY(qmp_post(qmp, err, "blockdev-backup", "{s:s, s:s, s:s, s:s, s:b}", "job-id",
			     name, "device", name, "target", target, "sync", "full", "auto-dismiss",
			     0));
	}
	TRY(qmp_settle(qmp, NULL, err));
	return wait_for_probes(qmp, id, inventory, err);
}
