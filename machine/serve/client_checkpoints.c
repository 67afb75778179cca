/*
 * The checkpoints of a serve.
 */
#include "machine/serve/client_source.h"

#include "base/parse.h"
#include "base/watcher.h"
#include "machine/freeze.h"
#include "machine/kinds.h"
#include "machine/message.h"
#include "machine/serve/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_source(struct checkpoint_source *source)
{
	if (source == NULL)
		return;
	machine_serve.end(source->turn);
	call_close(&source->call);
	free(source);
}

static int open_source(struct checkpoint_source **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct checkpoint_source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return fail_memory(err);
	source->options = options;
	source->watcher = watcher;
	if (call_open(&source->call, options->place, err) < 0) {
		free(source);
		return err->code;
	}
	*out = source;
	return 0;
}

/* ---- the list ---- */

static int parse_line(struct checkpoint_line *line, const struct json_t *told, struct error *err)
{
	const char *name = json_member_text(told, "name"), *uuid = json_member_text(told, "uuid");

	if (name == NULL || !checkpoint_name_usable(name) || uuid == NULL ||
	    !json_member_number(told, "instant_ns", &line->it.instant_ns) ||
	    !json_member_number(told, "raw_bytes", &line->it.raw_bytes) ||
	    !json_member_number(told, "written_bytes", &line->it.written_bytes) ||
	    !json_member_number(told, "changed_bytes", &line->changed_bytes))
		return message_unexpected(err);
	snprintf(line->it.name, sizeof(line->it.name), "%s", name);
	line->it.good = json_member_bool(told, "good");
	line->it.incomplete = json_member_bool(told, "incomplete");
	parse_uuid(uuid, line->it.uuid); /* all zero stays so */
	return 0;
}

/* Adds lines of an answer; *left: how many are still to be asked for. */
static int add_lines(struct checkpoint_drive *drive, const struct json_t *told, uint64_t *left,
		     struct error *err)
{
	const struct json_t *lines = json_member(told, "lines");
	uint64_t n = json_length(lines), n_all;
	struct checkpoint_line *more;

	if (!json_member_number(told, "n_lines", &n_all) || n_all > CHECKPOINTS_MAX ||
	    n > CHECKPOINTS_MAX - drive->n_lines)
		return message_unexpected(err);
	more = realloc(drive->lines, (drive->n_lines + n + 1) * sizeof(*more));
	if (more == NULL)
		return fail_memory(err);
	drive->lines = more;
	for (uint64_t i = 0; i < n; i++) {
		more[drive->n_lines] = (struct checkpoint_line){0};
		TRY(parse_line(&more[drive->n_lines++], json_item(lines, i), err));
	}
	/* Some may have gone meanwhile. */
	*left = n == 0 || drive->n_lines >= n_all ? 0 : n_all - drive->n_lines;
	return 0;
}

static int add_drive(struct checkpoint_list *list, const struct json_t *told, struct error *err)
{
	struct checkpoint_drive *drive = &list->drives[list->n_drives];
	const char *name = json_member_text(told, "name");

	if (name == NULL || !name_usable((const uint8_t *)name, strlen(name)) ||
	    !json_member_number(told, "size_bytes", &drive->size_bytes))
		return message_unexpected(err);
	snprintf(drive->name, sizeof(drive->name), "%s", name);
	list->n_drives++;
	return 0;
}

static int list_drive(const struct checkpoint_source *source, struct checkpoint_list *out,
		      uint32_t i, uint64_t *n_drives, struct error *err)
{
	uint64_t left = 1;

	while (left > 0) {
		uint32_t from = out->n_drives > i ? out->drives[i].n_lines : 0;
		struct json_t *told, *request = json_make("{s:s}", "execute", "checkpoints");
		int code = 0;

		json_put_number(request, "drive", i);
		json_put_number(request, "from", from);
		TRY(call_request(&source->call, request, &told, NULL, err));
		if (out->n_drives == i)
			code = add_drive(out, told, err);
		if (code == 0)
			code = add_lines(&out->drives[i], told, &left, err);
		if (code == 0 && !json_member_number(told, "n_drives", n_drives))
			code = message_unexpected(err);
		json_free(told);
		TRY(code);
	}
	checkpoint_sort(&out->drives[i]);
	return 0;
}

static int list(struct checkpoint_source *source, struct checkpoint_list *out, struct error *err)
{
	uint64_t n = 1;

	*out = (struct checkpoint_list){0};
	out->drives = calloc(SERVED_MAX, sizeof(*out->drives));
	if (out->drives == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n && i < SERVED_MAX; i++)
		TRY(list_drive(source, out, i, &n, err));
	return 0;
}

/* ---- making and deleting ---- */

static int request(const struct checkpoint_source *source, const char *what, const char *name,
		   struct error *err)
{
	struct json_t *reply, *message = json_make("{s:s}", "execute", what);

	if (name != NULL)
		json_put_text(message, "name", name);
	TRY(call_request(&source->call, message, &reply, NULL, err));
	json_free(reply);
	return 0;
}

static int take_instant(void *context, struct error *err)
{
	return request(context, "begin", NULL, err);
}

static int create(struct checkpoint_source *source, const char *name, struct error *err)
{
	struct instant instant = {
		.begin = take_instant, .context = source, .options = source->options};
	struct instant_outcome outcome = {0};
	int code;

	TRY(request(source, "checkpoint", name, err));
	code = freeze_with_guard(&instant, "serve", &outcome, err);
	if (outcome.thawing[0] != '\0')
		watcher_warn(source->watcher, "%s", outcome.thawing);
	return code < 0 ? code : request(source, "commit", NULL, err);
}

static int delete (struct checkpoint_source *source, const char *name, struct error *err)
{
	return request(source, "delete-checkpoint", name, err);
}

const struct checkpoint_kind checkpoint_serve = {
	.open = open_source,
	.list = list,
	.create = create,
	.remove = delete,
	.moves = &checkpoint_serve_moves,
	.rebuild = &checkpoint_serve_rebuild,
	.close = close_source,
};
