#include "machine/qemu/jobs.h"

#include "base/clock.h"
#include "base/json.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/migration.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"

#include <string.h>

#define END_MS	60000
#define STEP_MS 50

#define DEPTH_MAX 4u /* nodes of a run that stand on each other */

/* ---- the instant ---- */

/* Of an array of objects, the one of that name. NULL: there is none. */
static const struct json_t *find_named(const struct json_t *array, const char *name)
{
	for (size_t i = 0; name != NULL && i < json_length(array); i++) {
		const struct json_t *item = json_item(array, i);
		const char *found = json_member_text(item, "name");

		if (found != NULL && strcmp(found, name) == 0)
			return item;
	}
	return NULL;
}

/* In what QEMU tells of its commands: the type of a type's member, or NULL. */
static const char *member_type(const struct json_t *schema, const char *type, const char *member)
{
	const struct json_t *members = json_member(find_named(schema, type), "members");

	return json_member_text(find_named(members, member), "type");
}

/* The same words are elsewhere in the schema, too: of other commands and drivers. */
static void ask_schema(struct qmp *qmp, struct qmp_abilities *out)
{
	struct json_t *schema;
	struct error ignored;
	const char *type;

	if (qmp_execute(qmp, &schema, &ignored, "query-qmp-schema", NULL) < 0)
		return;
	type = json_member_text(find_named(schema, "blockdev-backup"), "arg-type");
	out->breaks = member_type(schema, type, "on-cbw-error") != NULL;
	type = member_type(schema, type, "x-perf");
	out->limit = member_type(schema, type, "max-workers") != NULL;
	out->known = true;
	json_free(schema);
}

void jobs_ask(struct qmp *qmp, struct jobs_options *options)
{
	struct qmp_abilities *abilities = qmp_abilities(qmp);

	if (!abilities->known)
		ask_schema(qmp, abilities);
	options->limit = abilities->limit;
	options->breaks = abilities->breaks;
}

/* On a qcow2 that stands on no other image, what was never written is zeros. Of other formats and
 * of filters that is not known. */
bool jobs_leave_out(const struct jobs_options *options, const struct inventory_drive *drive)
{
	return options->copies && !options->full && drive->format != NULL &&
	       strcmp(drive->format, "qcow2") == 0 && !drive->has_backing;
}

static bool is_part(const struct jobs_options *options, unsigned i)
{
	return options->parts != NULL && options->parts[i];
}

static const char *sync_of(const struct jobs_options *options, unsigned i,
			   const struct inventory_drive *drive)
{
	if (!options->copies)
		return "none";
	if (is_part(options, i))
		return "bitmap";
	return jobs_leave_out(options, drive) ? "top" : "full";
}

static struct json_t *make_action(const char *id, unsigned i, const struct inventory_drive *drive,
				  const struct jobs_options *options)
{
	bool part = is_part(options, i);
	char name[NODE_NAME_SIZE];

	node_name(name, id, i);
	return json_make("{s:s, s:{s:s, s:s, s:s, s:s, s:s*, s:s*, s:b, s:o*, s:s*, s:o*}}", "type",
			 "blockdev-backup", "data", "device", drive->node, "target", name, "job-id",
			 name, "sync", sync_of(options, i, drive), "bitmap", part ? name : NULL,
			 "bitmap-mode", part ? "never" : NULL, "auto-dismiss", 0, "auto-finalize",
			 options->breaks ? json_make("b", 0) : NULL, "on-cbw-error",
			 options->breaks ? "break-snapshot" : NULL, "x-perf",
			 options->limit ? json_make("{s:i}", "max-workers", 1) : NULL);
}

/* QEMU names the node, and by whom it is in use. */
static int judge_start(int code, struct error *err)
{
	struct error why = *err;

	if (code == 0 || strstr(why.text, "in use by block job: mirror") == NULL)
		return code;
	*err = (struct error){0};
	return fail(err, ERR_LOCKED,
		    "%.500s; a drive that is mirrored has no backup before its mirror has ended, "
		    "as by vmabak mirror abort",
		    why.text);
}

static int start(struct qmp *qmp, const char *id, const struct inventory *inventory,
		 const struct jobs_options *options, struct error *err)
{
	struct json_t *actions = json_make("[]");

	for (unsigned i = 0; i < inventory->n_drives; i++)
		json_add(actions, make_action(id, i, &inventory->drives[i], options));
	return judge_start(qmp_execute(qmp, NULL, err, "transaction", "{s:{s:s}, s:o}",
				       "properties", "completion-mode", "grouped", "actions",
				       actions),
			   err);
}

/* A QEMU may list the limit and yet refuse it (-compat unstable-input=reject). A transaction that
 * was refused has started nothing. */
int jobs_start(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       const struct jobs_options *options, struct error *err)
{
	struct jobs_options plain = *options;
	int code = start(qmp, id, inventory, options, err);

	if (code == 0 || !options->limit || strstr(qmp_refusal(qmp), "x-perf") == NULL)
		return code;
	*err = (struct error){0};
	plain.limit = false;
	return start(qmp, id, inventory, &plain, err);
}

/* ---- jobs ---- */

/* Of a group the others are cancelled when one fails. */
static void note_failure(struct jobs_state *state, const char *error, uint64_t drive)
{
	bool cancelled = strcmp(error, "Operation canceled") == 0;

	if (state->failed && cancelled)
		return;
	state->failed = true;
	state->failed_drive = (unsigned)drive;
	escape_text(state->error, sizeof(state->error), (const uint8_t *)error, strlen(error));
}

int jobs_look(struct qmp *qmp, const char *id, struct jobs_state *out, struct error *err)
{
	struct json_t *jobs;

	*out = (struct jobs_state){0};
	if (qmp_execute(qmp, &jobs, err, "query-jobs", NULL) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(jobs); i++) {
		const struct json_t *job = json_item(jobs, i);
		const char *name = json_member_text(job, "id");
		const char *status = json_member_text(job, "status");
		const char *error = json_member_text(job, "error");
		char found[RUN_ID_SIZE];
		uint64_t drive;

		if (!node_name_begins(name, id) || status == NULL)
			continue;
		if (!node_name_parse(name, found, &drive)) {
			out->n_probes++;
			continue;
		}
		out->n++;
		out->n_pending += strcmp(status, "pending") == 0;
		if (strcmp(status, "concluded") != 0)
			continue;
		out->n_concluded++;
		if (error != NULL)
			note_failure(out, error, drive);
	}
	json_free(jobs);
	return 0;
}

int jobs_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct jobs_state *out, struct error *err)
{
	unsigned n = inventory->n_drives;

	TRY(migration_check(qmp, err));
	TRY(jobs_look(qmp, id, out, err));
	if (out->failed)
		return fail(err, ERR_SYSTEM, "drive %s: QEMU's job failed: %s",
			    out->failed_drive < n ? inventory->drives[out->failed_drive].name : "?",
			    out->error);
	if (out->n < n)
		return fail(err, ERR_SYSTEM,
			    "a job in QEMU disappeared: another program has ended it");
	return 0;
}

/* They are a group: the first one's end is that of all. */
int jobs_finalize(struct qmp *qmp, const char *id, struct error *err)
{
	char name[NODE_NAME_SIZE];

	return qmp_execute(qmp, NULL, err, "job-finalize", "{s:s}", "id", node_name(name, id, 0));
}

/* If those of the drives are a group (are_grouped), QEMU cancels the others when one is cancelled.
 */
enum cancel { CANCEL_GROUP, CANCEL_EACH, CANCEL_NONE };

/* Each job of the run gets the command that fits. */
static int move_on(struct qmp *qmp, const char *id, enum cancel how, struct error *err)
{
	struct json_t *jobs;
	struct error ignored;
	bool told = false; /* the group */

	TRY(qmp_execute(qmp, &jobs, err, "query-jobs", NULL));
	for (size_t i = 0; i < json_length(jobs) && qmp_works(qmp); i++) {
		const char *name, *status;

		if (!json_read(json_item(jobs, i), "{s:s, s:s}", "id", &name, "status", &status) ||
		    !node_name_begins(name, id))
			continue;
		if (strcmp(status, "concluded") == 0) {
			qmp_post(qmp, &ignored, "job-dismiss", "{s:s}", "id", name);
			continue;
		}
		if (how == CANCEL_NONE ||
		    (how == CANCEL_GROUP && told && node_name_is_of(name, id)))
			continue;
		told = told || node_name_is_of(name, id);
		qmp_post(qmp, &ignored, "block-job-cancel", "{s:s, s:b}", "device", name, "force",
			 1);
	}
	qmp_settle(qmp, NULL, &ignored);
	json_free(jobs);
	return 0;
}

int jobs_end(struct qmp *qmp, const char *id, struct error *err)
{
	int64_t until = clock_ms() + END_MS;
	struct jobs_state state;

	for (unsigned i = 0;; i++) {
		TRY(move_on(qmp, id, i < CANCEL_NONE ? (enum cancel)i : CANCEL_NONE, err));
		TRY(jobs_look(qmp, id, &state, err));
		if (state.n + state.n_probes == 0)
			return 0;
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "QEMU's jobs do not end");
		clock_sleep_ms(STEP_MS);
	}
}

/* ---- nodes ---- */

int nodes_query(struct qmp *qmp, struct json_t **out, struct error *err)
{
	return qmp_execute(qmp, out, err, "query-named-block-nodes", "{s:b}", "flat", 1);
}

/* *n: how many it has removed. */
static int remove_unused(struct qmp *qmp, const char *id, unsigned *n, struct error *err)
{
	struct json_t *nodes;
	unsigned n_asked = 0, n_refused;
	int code = 0;

	*n = 0;
	TRY(nodes_query(qmp, &nodes, err));
	code = bitmaps_remove_run(qmp, nodes, id, &n_asked, err);
	for (size_t i = 0; i < json_length(nodes) && code == 0; i++) {
		const char *name = json_member_text(json_item(nodes, i), "node-name");
		char found[RUN_ID_SIZE];
		uint64_t drive;

		/* A file's node goes with the one that uses it. */
		if (!node_name_begins(name, id) || node_file_name_parse(name, found, &drive))
			continue;
		n_asked++;
		code = qmp_post(qmp, err, "blockdev-del", "{s:s}", "node-name", name);
	}
	json_free(nodes);
	TRY(code);
	code = qmp_settle(qmp, &n_refused, err);
	*n = n_asked - n_refused;
	return code;
}

int nodes_remove(struct qmp *qmp, const char *id, struct error *err)
{
	unsigned n = 1;
	int code = 0;

	for (unsigned i = 0; i < DEPTH_MAX && n > 0; i++) {
		code = remove_unused(qmp, id, &n, err);
		if (code == 0)
			break;
	}
	return code;
}

/* ---- exports ---- */

/* *n: how many there are; with tell they are told to end. */
static int end_exports(struct qmp *qmp, exports_test *is_ours, const char *id, bool tell,
		       unsigned *n, struct error *err)
{
	struct json_t *exports;
	struct error ignored;

	*n = 0;
	TRY(qmp_execute(qmp, &exports, err, "query-block-exports", NULL));
	for (size_t i = 0; i < json_length(exports) && qmp_works(qmp); i++) {
		const char *name = json_member_text(json_item(exports, i), "id");

		if (!is_ours(name, id))
			continue;
		++*n;
		if (tell)
			qmp_post(qmp, &ignored, "block-export-del", "{s:s, s:s}", "id", name,
				 "mode", "hard");
	}
	qmp_settle(qmp, NULL, &ignored);
	json_free(exports);
	return 0;
}

int exports_remove(struct qmp *qmp, exports_test *is_ours, const char *id, unsigned within_ms,
		   bool *any, struct error *err)
{
	int64_t until = clock_ms() + within_ms;
	bool tell = true;
	unsigned n;

	for (;;) {
		TRY(end_exports(qmp, is_ours, id, tell, &n, err));
		if (n == 0)
			return 0;
		tell = false;
		if (any != NULL)
			*any = true;
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "QEMU's exports do not end");
		clock_sleep_ms(STEP_MS / 10);
	}
}
