/*
 * vmabak checkpoint rebuild: an archive becomes a checkpoint afterwards.
 */
#include "cli/checkpoint_task.h"

#include "archive/compare_live.h"
#include "archive/parent.h"
#include "base/background.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/groups.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cow/rebuilt.h"
#include "machine/machine.h"
#include "machine/moves.h"

#include <stdlib.h>
#include <string.h>

const struct option_spec checkpoint_rebuild_specs[] = {
	{"parent", 0, OPTION_TEXT, OPTION_FIELD(checkpoint_rebuilding, parent),
	 .argument = "ARCHIVE",
	 .help = "rebuild: the archive that increments are to go on from, or its sums file"},
	OPTION_PARENTS(checkpoint_rebuilding, parents),
	OPTION_READ_RATE(checkpoint_rebuilding, rate),
	OPTIONS_END,
};

/* Less of the data than one part in so many is as the archive has it: it is that of another
 * machine. */
#define ALIEN	  100u
#define ALIEN_MIN 64u /* clusters of data, or nothing is said */

struct rebuild {
	struct task *task;
	struct archive *drives; /* owned: the machine's, whose names are borrowed */
	struct parent parent;
	char **tokens; /* owned: of each drive; NULL: the archive lacks it */
	bool *known;   /* owned */
	uint8_t uuid[UUID_SIZE];
	char name[UUID_TEXT_SIZE]; /* of the checkpoint */
};

/* ---- the archive ---- */

static void list_drives(struct rebuild *rebuild)
{
	const struct checkpoint_list *list = &rebuild->task->list;

	rebuild->drives = memory_new(1, sizeof(*rebuild->drives));
	rebuild->drives->format = FORMAT_VMAB;
	for (uint32_t i = 0; i < list->n_drives; i++) {
		const char *name = list->drives[i].name;

		rebuild->drives->drives[rebuild->drives->n_drives++] = (struct archive_drive){
			.name = {(const uint8_t *)name, (uint32_t)strlen(name)},
			.size_bytes = list->drives[i].size_bytes,
		};
	}
	rebuild->tokens = memory_new(list->n_drives + 1, sizeof(*rebuild->tokens));
	rebuild->known = memory_new(list->n_drives + 1, sizeof(*rebuild->known));
}

static int open_parent(struct rebuild *rebuild, struct error *err)
{
	const struct checkpoint_rebuilding *options = &rebuild->task->command->rebuilding;
	struct strings names;
	int code;

	if (!strings_join(&names, options->parent, &options->parents, NULL))
		return fail_memory(err);
	code = parent_compare(&rebuild->parent, &names, rebuild->drives,
			      &rebuild->task->report->watcher, err);
	free(names.items);
	TRY(code);
	memcpy(rebuild->uuid, sums_archive(rebuild->parent.found.sums)->uuid, UUID_SIZE);
	format_uuid(rebuild->name, rebuild->uuid);
	return 0;
}

static void take_token(struct rebuild *rebuild, uint32_t i)
{
	const struct text *text = &rebuild->parent.marks[rebuild->parent.drive_of[i]].token;
	char rebuilt[GENERATION_TOKEN_SIZE];
	struct text token = *text;

	if (token.length == 0) {
		rebuilt_token(rebuilt, rebuild->uuid);
		token = (struct text){(const uint8_t *)rebuilt, (uint32_t)strlen(rebuilt)};
	}
	rebuild->tokens[i] = memory_new(1, token.length + 1);
	memcpy(rebuild->tokens[i], token.bytes, token.length);
}

static int take_tokens(struct rebuild *rebuild, struct error *err)
{
	struct task *task = rebuild->task;
	uint32_t n = 0;

	for (uint32_t i = 0; i < task->list.n_drives; i++) {
		if (parent_drive_size(&rebuild->parent, i) == 0)
			continue;
		take_token(rebuild, i);
		n++;
	}
	return n > 0 ? 0
		     : fail(err, ERR_USAGE,
			    "--parent %s: has no drive that is called like one of this machine",
			    task->command->rebuilding.parent);
}

/* ---- one drive ---- */

struct looking {
	const struct rebuild *rebuild;
	uint32_t drive;
};

static int look(void *context, const struct cluster_set *set, const struct proof_taker *taker,
		struct error *err)
{
	const struct looking *looking = context;
	const struct task *task = looking->rebuild->task;
	const struct machine_taker to = {taker->take, taker->context};

	return task->kind->rebuild->look(task->source, looking->drive, set, &to, err);
}

static int compare(struct rebuild *rebuild, uint32_t i, struct compared *out, struct error *err)
{
	const struct checkpoint_drive *drive = &rebuild->task->list.drives[i];
	struct looking looking = {rebuild, i};
	const struct proof_live live = {.context = &looking, .read = look};
	const struct compare_job job = {
		.parent = &rebuild->parent,
		.drive = i,
		.name = drive->name,
		.size_bytes = drive->size_bytes,
		.live = &live,
		.rate = rebuild->task->command->rebuilding.rate,
		.watcher = &rebuild->task->report->watcher,
	};

	return compare_live(&job, out, err);
}

static void tell_compared(const struct rebuild *rebuild, uint32_t i,
			  const struct compared *compared, struct json_t *told)
{
	const struct checkpoint_drive *drive = &rebuild->task->list.drives[i];
	uint64_t n_all = clusters_of(drive->size_bytes);

	json_put_number(told, "compared_bytes", drive->size_bytes);
	json_put_number(told, "differing_clusters", compared->differ.n_clusters);
	report_note(rebuild->task->report, "drive %s: %llu of %llu clusters differ from %s",
		    drive->name, (unsigned long long)compared->differ.n_clusters,
		    (unsigned long long)n_all, rebuild->task->command->rebuilding.parent);
	if (compared->n_data >= ALIEN_MIN && compared->n_same * ALIEN < compared->n_data)
		report_warning(rebuild->task->report,
			       "drive %s: next to nothing of it is as %s has it: is that of this "
			       "machine?",
			       drive->name, rebuild->task->command->rebuilding.parent);
}

static int arrive(struct rebuild *rebuild, uint32_t i, const struct outline *begun,
		  const struct compared *compared, struct error *err)
{
	const struct task *task = rebuild->task;
	const struct move_end to = {task->kind, task->source, &task->list};
	const struct checkpoint_drive *drive = &task->list.drives[i];
	struct outline outline = *begun;

	outline.size_bytes = drive->size_bytes;
	memcpy(outline.drive, drive->name, strlen(drive->name) + 1);
	memcpy(outline.line.uuid, rebuild->uuid, UUID_SIZE);
	memcpy(outline.line.name, rebuild->name, sizeof(rebuild->name));
	outline.line.instant_ns = (uint64_t)sums_archive(rebuild->parent.found.sums)->created_ns;
	rebuilt_origin(rebuild->uuid, &outline.line.origin_id, &outline.line.origin_generation);
	return moves_compared(&to, i, &outline, &compared->differ, err);
}

static int rebuild_drive(struct rebuild *rebuild, uint32_t i, const char *token,
			 struct json_t *told, struct error *err)
{
	struct compared compared = {0};
	struct outline begun = {0};
	int code;

	/* What it records under when this begins. */
	if (!generation_parse_token(token, &begun.compared_id, &begun.compared_generation))
		return fail(err, ERR_SYSTEM, "drive %s: an instant called '%.40s'",
			    rebuild->task->list.drives[i].name, token);
	code = compare(rebuild, i, &compared, err);
	if (code == 0)
		code = arrive(rebuild, i, &begun, &compared, err);
	if (code == 0)
		tell_compared(rebuild, i, &compared, told);
	cluster_set_free(&compared.differ);
	return code;
}

static int visit_drive(struct rebuild *rebuild, uint32_t i, struct json_t *told, struct error *err)
{
	struct task *task = rebuild->task;
	const char *name = task->list.drives[i].name;
	const char *token = task->kind->rebuild->token(task->source, i);

	json_put_text(told, "name", name);
	json_put_bool(told, "known", rebuild->known[i]);
	if (rebuild->known[i])
		report_note(task->report, "drive %s: what changed since is known already", name);
	else if (rebuild->tokens[i] == NULL)
		report_warning(task->report,
			       "drive %s: the archive has no drive of that name, so the next "
			       "increment stores all of it",
			       name);
	else if (token == NULL)
		report_warning(task->report, "drive %s: nothing records its changes", name);
	else
		return rebuild_drive(rebuild, i, token, told, err);
	return 0;
}

/* ---- the command ---- */

static int visit_all(struct rebuild *rebuild, struct error *err)
{
	struct task *task = rebuild->task;
	const struct machine_since since = {
		.tokens = (const char *const *)rebuild->tokens,
		.parent = rebuild->uuid,
	};
	struct json_t *drives;

	TRY(task->kind->rebuild->begin(task->source, &since, rebuild->known, err));
	background_work(BACKGROUND_PACKS);
	json_put_text(task->report->result, "checkpoint", rebuild->name);
	drives = json_put_array(task->report->result, "drives");
	for (uint32_t i = 0; i < task->list.n_drives; i++)
		TRY(visit_drive(rebuild, i, json_add_object(drives), err));
	return 0;
}

int checkpoint_rebuild(struct task *task, struct error *err)
{
	struct rebuild rebuild = {.task = task};
	int code;

	if (task->command->rebuilding.parent == NULL)
		return fail(err, ERR_USAGE, "checkpoint rebuild: --parent ARCHIVE is missing");
	/* A map can take no checkpoint; libvirt makes its own, and takes in none. */
	if (task->kind == &checkpoint_map)
		return fail(err, ERR_USAGE, "%s: rebuild needs the server of the map: serve:SOCKET",
			    task->command->machine.place);
	if (task->kind->rebuild == NULL)
		return fail(err, ERR_USAGE,
			    "%s: libvirt takes in no checkpoint: 'vmabak backup --track --parent %s "
			    "-o NEW libvirt:%s' compares once, and increments go on from NEW",
			    task->command->machine.place, task->command->rebuilding.parent,
			    task->command->machine.place);
	list_drives(&rebuild);
	code = open_parent(&rebuild, err);
	if (code == 0)
		code = take_tokens(&rebuild, err);
	if (code == 0)
		code = visit_all(&rebuild, err);
	for (uint32_t i = 0; i < task->list.n_drives; i++)
		free(rebuild.tokens[i]);
	free(rebuild.tokens);
	free(rebuild.known);
	parent_close(&rebuild.parent);
	free(rebuild.drives);
	return code;
}
