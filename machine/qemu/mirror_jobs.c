#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "drive/target.h"
#include "machine/gate.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/fleece.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READY_MS 30000
#define END_MS	 4000
#define YANK_MS	 1000
#define STEP_MS	 5

/* ---- the target's node ---- */

struct json_t *job_file_node(const struct mirrored *drive, bool direct)
{
	struct stat found;
	bool device = stat(drive->target, &found) == 0 && S_ISBLK(found.st_mode);

	return json_make("{s:s, s:s, s:{s:b}}", "driver", device ? "host_device" : "file",
			 "filename", drive->target, "cache", "direct", direct);
}

static struct json_t *file_node(const struct mirrored *drive, bool direct, struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct json_t *node;

	if (target_is_uri(drive->target))
		node = mirror_uri_node(drive->target, err);
	else if (drive->output.socket != NULL)
		node = json_make("{s:s, s:s, s:{s:s, s:s}}", "driver", "nbd", "export", "",
				 "server", "type", "unix", "path", drive->output.socket);
	else
		node = job_file_node(drive, direct);
	json_put_text(node, "node-name", mirror_part(name, drive->id, drive->i, "f"));
	json_put_text(node, "discard", "unmap");
	return node;
}

static int add_node(struct qmp *qmp, const struct mirrored *drive, bool direct, struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct json_t *file = file_node(drive, direct, err), *node;

	if (file == NULL)
		return err->code < 0 ? err->code : fail_memory(err);
	node = json_make("{s:s, s:s, s:s, s:{s:b}, s:o}", "driver", "raw", "node-name",
			 mirror_name(name, drive->id, drive->i), "discard", "unmap", "cache",
			 "direct", direct, "file", file);
	/* So that the guest's drive keeps its size; one of a fixed size cannot be resized. */
	if (drive->output.wide)
		json_put_number(node, "size", drive->size_bytes);
	return qmp_execute(qmp, NULL, err, "blockdev-add", "o", node);
}

/* As QEMU uses the drive, if the target's file system can do that. */
static int add_target(struct qmp *qmp, const struct mirrored *drive, struct error *err)
{
	struct error ignored = {0};

	if (drive->direct && !target_is_uri(drive->target) && drive->output.socket == NULL) {
		if (add_node(qmp, drive, true, &ignored) == 0)
			return 0;
		if (!qmp_works(qmp)) {
			*err = ignored;
			return err->code;
		}
	}
	return add_node(qmp, drive, false, err);
}

/* ---- a job ---- */

static const struct json_t *find_job(const struct json_t *jobs, const char *name)
{
	for (size_t i = 0; i < json_length(jobs); i++) {
		const char *id = json_member_text(json_item(jobs, i), "id");

		if (id != NULL && strcmp(id, name) == 0)
			return json_item(jobs, i);
	}
	return NULL;
}

static bool has_status(const struct json_t *job, const char *status)
{
	const char *text = json_member_text(job, "status");

	return text != NULL && strcmp(text, status) == 0;
}

static int look(struct qmp *qmp, const struct mirrored *drive, struct job_look *out, bool *ready,
		struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct json_t *jobs;
	const struct json_t *job;
	const char *text;
	uint64_t now = 0, all = 0;

	*out = (struct job_look){0};
	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	job = find_job(jobs, mirror_name(name, drive->id, drive->i));
	out->there = job != NULL;
	out->alone = json_length(jobs) == 1;
	out->pending = has_status(job, "pending");
	out->concluded = has_status(job, "concluded");
	out->paused = has_status(job, "standby") || has_status(job, "paused");
	*ready = has_status(job, "ready");
	text = json_member_text(job, "error");
	if (text != NULL)
		escape_text(out->error, sizeof(out->error), (const uint8_t *)text, strlen(text));
	json_member_number(job, "current-progress", &now);
	json_member_number(job, "total-progress", &all);
	out->done_bytes = now;
	out->left_bytes = all > now ? all - now : 0;
	json_free(jobs);
	return 0;
}

int job_look(struct qmp *qmp, const struct mirrored *drive, struct job_look *out, struct error *err)
{
	bool ready;

	return look(qmp, drive, out, &ready, err);
}

static int await_ready(struct qmp *qmp, const struct mirrored *drive, struct error *err)
{
	int64_t until_ms = clock_ms() + READY_MS;
	struct job_look found;
	bool ready = false;

	for (;;) {
		TRY(look(qmp, drive, &found, &ready, err));
		if (ready)
			return 0;
		if (!found.there || found.concluded)
			return fail(err, ERR_SYSTEM, "QEMU's job failed: %s",
				    found.error[0] == '\0' ? "it is gone" : found.error);
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM, "QEMU's job did not begin within %d s",
				    READY_MS / 1000);
		clock_sleep_ms(STEP_MS);
	}
}

/* In the background: with write-blocking the guest would wait for the target. */
int job_start(struct qmp *qmp, const struct mirrored *drive, uint64_t rate, bool marked,
	      struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	TRY(add_target(qmp, drive, err));
	mirror_name(name, drive->id, drive->i);
	if (marked)
		TRY(bits_add_marker(qmp, drive, name, err));
	TRY(qmp_execute(qmp, NULL, err, "blockdev-mirror",
			"{s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:b, s:I}", "job-id", name, "device",
			drive->node, "target", name, "sync", "none", "granularity",
			(int)CLUSTER_SIZE, "copy-mode", "background", "auto-dismiss", 0,
			"auto-finalize", 0, "speed", (long long)rate));
	return await_ready(qmp, drive, err);
}

int job_set_rate(struct qmp *qmp, const struct mirrored *drive, uint64_t rate, struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	return qmp_execute(qmp, NULL, err, "block-job-set-speed", "{s:s, s:I}", "device",
			   mirror_name(name, drive->id, drive->i), "speed", (long long)rate);
}

/* ---- the end of jobs and nodes ---- */

static bool is_wanted(const char *found, const char *name)
{
	return name == NULL ? mirror_name_is(found, NULL)
			    : found != NULL && strcmp(found, name) == 0;
}

/* One that is pending takes job-cancel only, and guests wait for it. */
static void move_job(struct qmp *qmp, const char *id, const struct json_t *job, bool cancel)
{
	struct error ignored;

	if (has_status(job, "concluded"))
		qmp_post(qmp, &ignored, "job-dismiss", "{s:s}", "id", id);
	else if (cancel && has_status(job, "pending"))
		qmp_post(qmp, &ignored, "job-cancel", "{s:s}", "id", id);
	else if (cancel)
		qmp_post(qmp, &ignored, "block-job-cancel", "{s:s, s:b}", "device", id, "force", 1);
}

/* *n: how many there are. */
static int move_jobs(struct qmp *qmp, const char *name, bool cancel, unsigned *n, struct error *err)
{
	struct json_t *jobs;
	struct error ignored;
	size_t n_jobs;

	*n = 0;
	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	n_jobs = json_length(jobs);
	for (size_t i = 0; i < 2 * n_jobs && qmp_works(qmp); i++) {
		const struct json_t *job = json_item(jobs, i % n_jobs);
		const char *id = json_member_text(job, "id");
		bool first = i < n_jobs;

		if (!is_wanted(id, name) || has_status(job, "pending") != first)
			continue;
		++*n;
		move_job(qmp, id, job, cancel);
	}
	qmp_settle(qmp, NULL, &ignored);
	json_free(jobs);
	return 0;
}

/* A target on the network that gives no answer is hung up on: a job that has requests to it would
 * wait. */
static void yank(struct qmp *qmp, const char *begin)
{
	struct json_t *nodes;
	struct error ignored;

	if (nodes_query(qmp, &nodes, &ignored) < 0)
		return;
	for (size_t i = 0; i < json_length(nodes) && qmp_works(qmp); i++) {
		const char *name = json_member_text(json_item(nodes, i), "node-name");
		const char *driver = json_member_text(json_item(nodes, i), "drv");

		if (mirror_name_is(name, NULL) && strncmp(name, begin, strlen(begin)) == 0 &&
		    driver != NULL && strcmp(driver, "nbd") == 0)
			qmp_post(qmp, &ignored, "yank", "{s:[{s:s, s:s}]}", "instances", "type",
				 "block-node", "node-name", name);
	}
	qmp_settle(qmp, NULL, &ignored);
	json_free(nodes);
}

/* name NULL: those of all mirrors. */
static int end_jobs(struct qmp *qmp, const char *name, bool *any, struct error *err)
{
	int64_t now_ms = clock_ms(), until_ms = now_ms + END_MS, yank_ms = now_ms + YANK_MS;
	bool cancel = true;
	unsigned n;

	for (;;) {
		TRY(move_jobs(qmp, name, cancel, &n, err));
		if (n > 0 && clock_ms() > yank_ms) {
			yank(qmp, name == NULL ? "" : name);
			yank_ms = until_ms;
		}
		if (n == 0)
			return 0;
		if (any != NULL)
			*any = true;
		cancel = !cancel; /* the state of one may have changed meanwhile */
		if (clock_ms() > until_ms)
			return fail(err, ERR_SYSTEM,
				    "a target gives no answer: QEMU ends its job once it does; the "
				    "guest is not concerned");
		clock_sleep_ms(STEP_MS);
	}
}

int job_end(struct qmp *qmp, const struct mirrored *drive, struct error *err)
{
	char name[MIRROR_NAME_SIZE];
	struct error ignored;

	mirror_name(name, drive->id, drive->i);
	TRY(end_jobs(qmp, name, NULL, err));
	if (qmp_execute(qmp, NULL, &ignored, "blockdev-del", "{s:s}", "node-name", name) < 0 &&
	    !qmp_works(qmp))
		*err = ignored;
	return err->code;
}

int job_end_all(struct qmp *qmp, struct error *err)
{
	return end_jobs(qmp, NULL, NULL, err);
}

int mirror_has_jobs(struct qmp *qmp, bool *out, struct error *err)
{
	struct json_t *jobs;

	*out = false;
	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	for (size_t i = 0; i < json_length(jobs); i++)
		*out = *out || mirror_name_is(json_member_text(json_item(jobs, i), "id"), NULL);
	json_free(jobs);
	return 0;
}

/* ---- exports ---- */

static int stop_server(struct qmp *qmp, const char *socket, struct error *err)
{
	struct error ignored;
	struct stat found;

	if (socket == NULL || lstat(socket, &found) < 0 || !S_ISSOCK(found.st_mode))
		return 0;
	gate_settle(socket);
	if (qmp_execute(qmp, NULL, &ignored, "nbd-server-stop", NULL) < 0 && !qmp_works(qmp))
		*err = ignored;
	unlink(socket);
	return err->code;
}

static int start_server(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err)
{
	gid_t group;

	if (mirror->server != NULL)
		return 0;
	if (qmp_group(qmp, &group))
		TRY(rundir_admit(mirror->rundir, group, err));
	TRY(fleece_start_server(qmp, mirror->rundir, err));
	mirror->serves = true;
	return 0;
}

int exports_start(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err)
{
	char name[MIRROR_NAME_SIZE];

	TRY(start_server(qmp, mirror, err));
	mirror->exported = true;
	for (unsigned i = 0; i < mirror->n_drives; i++)
		TRY(qmp_execute(qmp, NULL, err, "block-export-add", "{s:s, s:s, s:s, s:s}", "type",
				"nbd", "id", mirror_name(name, mirror->id, i), "node-name",
				mirror->drives[i].node, "name", name));
	return 0;
}

int exports_end(struct qmp *qmp, struct qemu_mirror *mirror, struct error *err)
{
	TRY(exports_remove(qmp, mirror_name_is, NULL, END_MS, NULL, err));
	if (mirror->serves)
		TRY(stop_server(qmp, mirror->rundir, err));
	mirror->serves = mirror->exported = false;
	return 0;
}

/* ---- all ---- */

static bool is_file_node(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && strcmp(name + n - 2, "-f") == 0;
}

/* A node that the guest uses, since a pivot, is refused, and one that is below another until that
 * is gone. */
static int remove_nodes_once(struct qmp *qmp, bool *any, struct error *err)
{
	struct json_t *nodes;
	struct error ignored;
	int code = 0;

	TRY(nodes_query(qmp, &nodes, err));
	for (size_t i = 0; i < json_length(nodes) && qmp_works(qmp); i++) {
		const struct json_t *node = json_item(nodes, i);
		const struct json_t *list = json_member(node, "dirty-bitmaps");
		const char *name = json_member_text(node, "node-name");

		for (size_t k = 0; name != NULL && k < json_length(list); k++) {
			const char *bitmap = json_member_text(json_item(list, k), "name");

			if (mirror_name_is(bitmap, NULL) &&
			    bitmap_remove(qmp, name, bitmap, &ignored) == 0 && any != NULL)
				*any = true;
		}
		if (mirror_name_is(name, NULL) && !is_file_node(name))
			qmp_post(qmp, &ignored, "blockdev-del", "{s:s}", "node-name", name);
	}
	json_free(nodes);
	if (qmp_settle(qmp, NULL, &ignored) < 0 && !qmp_works(qmp)) {
		*err = ignored;
		code = err->code;
	}
	return code;
}

static int remove_nodes(struct qmp *qmp, bool *any, struct error *err)
{
	TRY(remove_nodes_once(qmp, any, err));
	return remove_nodes_once(qmp, any, err);
}

int mirror_clean(struct qmp *qmp, const char *socket, bool *any, struct error *err)
{
	TRY(end_jobs(qmp, NULL, any, err));
	TRY(exports_remove(qmp, mirror_name_is, NULL, END_MS, any, err));
	TRY(stop_server(qmp, socket, err));
	return remove_nodes(qmp, any, err);
}
