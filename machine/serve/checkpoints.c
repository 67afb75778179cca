/*
 * Checkpoints: those that a user asks for, and what is told of all of them.
 */
#include "machine/serve/state.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/patience.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 300u /* in a message */

/* ---- one that a user asks for ---- */

static struct checkpoints *table(const struct serve *serve, uint32_t i)
{
	struct generation *map = serve->drives[i].map;

	return map == NULL ? NULL : generation_checkpoints(map);
}

static int check_name(const struct serve *serve, const char *name, struct error *err)
{
	struct checkpoint found;

	if (serve->options->read_only)
		return fail(err, ERR_USAGE, "the server has no maps: its drives are read only");
	if (name == NULL || !checkpoint_name_usable(name))
		return fail(err, ERR_USAGE, "checkpoint '%.60s': " CHECKPOINT_NAME_RULE,
			    name == NULL ? "" : name);
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		if (table(serve, i) != NULL && checkpoints_find(table(serve, i), name, &found))
			return fail(err, ERR_USAGE, "checkpoint %s: exists already", name);
	}
	return 0;
}

static int send_nothing(int fd, struct error *err)
{
	return message_send(fd, json_make("{s:{}}", "return"), -1, err);
}

/* Receives that request. 1: it came, 0: the client has gone. */
static int await_request(int fd, const char *what, struct error *err)
{
	struct json_t *message;
	int got = message_receive(fd, &message, NULL, err);
	const char *found;

	if (got <= 0)
		return got;
	found = json_member_text(message, "execute");
	if (found == NULL || strcmp(found, what) != 0)
		got = fail(err, ERR_USAGE, "unexpected message for a checkpoint");
	json_free(message);
	return got;
}

static int take_instant(struct serve *serve, struct serve_instant *instant, int fd,
			struct error *err)
{
	const struct capture_options options = {0};
	struct volume *volumes[SERVED_MAX];
	uint64_t quiesce_ns;

	for (uint32_t i = 0; i < serve->n_drives; i++)
		volumes[i] = serve->drives[i].volume;
	TRY(capture_mark(volumes, serve->n_drives, &options, &quiesce_ns, err));
	instant_note_time(instant);
	return message_send(
		fd, json_make("{s:{s:I}}", "return", "quiesce_ns", (long long)quiesce_ns), -1, err);
}

/* The machine may be frozen from the first answer to the second; the line is written after that. */
static int converse(struct serve *serve, struct serve_instant *instant, int fd, struct error *err)
{
	int got;

	TRY(send_nothing(fd, err));
	got = await_request(fd, "begin", err);
	if (got > 0 && take_instant(serve, instant, fd, err) < 0)
		got = err->code;
	if (got > 0)
		got = await_request(fd, "commit", err);
	if (got <= 0)
		return got;
	instant_settle(instant);
	TRY(instant_add(instant, true, err));
	return send_nothing(fd, err);
}

int serve_checkpoint(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	const char *name = json_member_text(request, "name");
	struct serve_backup turn = {
		.serve = serve,
		.fd = fd,
		.brief = true,
		.yields_s = clock_s() + PATIENCE_FREEZE_COMMAND_S,
	};
	const struct served *drives[SERVED_MAX];
	struct serve_instant instant = {0};
	int code;

	if (!serve_take_turn(serve, &turn))
		return fail(err, ERR_LOCKED, "a backup of these drives is running");
	code = check_name(serve, name, err);
	for (uint32_t i = 0; i < serve->n_drives; i++)
		drives[i] = &serve->drives[i];
	if (code == 0)
		code = instant_expect(&instant, drives, serve->n_drives, err);
	if (code == 0) {
		memcpy(instant.name, name, strlen(name) + 1);
		code = converse(serve, &instant, fd, err);
	}
	instant_free(&instant);
	serve_give_turn(serve);
	return code;
}

/* ---- what is told, and deleted ---- */

int serve_delete_checkpoint(struct serve *serve, const struct json_t *request, struct error *err)
{
	const char *name = json_member_text(request, "name");
	struct checkpoint found;
	bool any = false;

	for (uint32_t i = 0; name != NULL && i < serve->n_drives; i++) {
		struct checkpoints *lines = table(serve, i);

		if (lines == NULL || !checkpoints_find(lines, name, &found))
			continue;
		if (!found.good && !found.incomplete)
			return fail(err, ERR_LOCKED, "checkpoint %s: its backup is running", name);
		TRY(checkpoints_delete(lines, name, err));
		any = true;
	}
	return any ? 0
		   : fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name",
			  name == NULL ? "" : name);
}

static void put_line(struct json_t *line, const struct checkpoint *it, const struct generation *map)
{
	char uuid[UUID_TEXT_SIZE];

	json_put_text(line, "name", it->name);
	json_put_text(line, "uuid", format_uuid(uuid, it->uuid));
	json_put_number(line, "instant_ns", it->instant_ns);
	json_put_bool(line, "good", it->good);
	json_put_bool(line, "incomplete", it->incomplete);
	json_put_number(line, "raw_bytes", it->raw_bytes);
	json_put_number(line, "written_bytes", it->written_bytes);
	json_put_number(line, "changed_bytes", generation_changed_bytes(map, it->generation));
}

static int put_lines(struct json_t *told, const struct served *served, uint64_t from,
		     struct error *err)
{
	struct json_t *list = json_put_array(told, "lines");
	struct checkpoint *lines = NULL;
	uint32_t n = 0;

	if (served->map != NULL)
		TRY(checkpoints_list(generation_checkpoints(served->map), &lines, &n, err));
	for (uint64_t i = from; i < n && i < from + LINES_MAX; i++)
		put_line(json_add_object(list), &lines[i], served->map);
	json_put_number(told, "n_lines", n);
	free(lines);
	return 0;
}

int serve_checkpoints(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	struct json_t *message, *told;
	uint64_t i, from;

	if (!json_member_number(request, "drive", &i) || i >= serve->n_drives ||
	    !json_member_number(request, "from", &from) || from > CHECKPOINTS_MAX)
		return fail(err, ERR_USAGE, "checkpoints of which drive?");
	message = json_new();
	told = json_put_object(message, "return");
	json_put_number(told, "n_drives", serve->n_drives);
	json_put_text(told, "name", serve->drives[i].argument.name);
	json_put_number(told, "size_bytes", serve->drives[i].size_bytes);
	if (put_lines(told, &serve->drives[i], from, err) < 0) {
		json_free(message);
		return err->code;
	}
	return message_send(fd, message, -1, err);
}
