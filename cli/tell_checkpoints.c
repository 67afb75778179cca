#include "cli/tell_checkpoints.h"

#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

/* ---- list ---- */

static const char *state_of(const struct checkpoint_line *line)
{
	if (line->orphan)
		return "orphan";
	if (line->broken)
		return "broken";
	return line->it.good ? "good" : line->it.incomplete ? "incomplete" : "pending";
}

static void put_line(const struct checkpoint_list *list, const struct checkpoint_line *told,
		     struct json_t *one)
{
	const struct checkpoint *it = &told->it;
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE];
	struct json_t *drives;

	json_put_text(one, "name", it->name);
	format_uuid(uuid, it->uuid);
	json_put_text(one, "uuid", strspn(uuid, "0-") == strlen(uuid) ? NULL : uuid);
	json_put_text(one, "instant",
		      told->orphan ? NULL : human_time(when, (int64_t)it->instant_ns));
	json_put_text(one, "state", state_of(told));
	json_put_number(one, "data_bytes", it->raw_bytes);
	json_put_number(one, "archive_bytes", it->written_bytes);
	drives = json_put_array(one, "drives");
	for (uint32_t i = 0; i < list->n_drives; i++) {
		const struct checkpoint_line *line = checkpoint_of(&list->drives[i], it->name);
		struct json_t *drive = line == NULL ? NULL : json_add_object(drives);

		json_put_text(drive, "name", list->drives[i].name);
		json_put_number(drive, "changed_bytes", line == NULL ? 0 : line->changed_bytes);
	}
}

static void print_line(const struct checkpoint_list *list, const struct checkpoint_line *told)
{
	const struct checkpoint *it = &told->it;
	char when[HUMAN_SIZE], size[HUMAN_SIZE];
	uint64_t changed = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < list->n_drives; i++) {
		const struct checkpoint_line *line = checkpoint_of(&list->drives[i], it->name);

		n += line != NULL;
		changed += line == NULL ? 0 : line->changed_bytes;
	}
	say(stdout, "%-24s  %-7s  %10s changed since  %s%s\n",
	    told->orphan ? "-" : human_local_time(when, (int64_t)it->instant_ns), state_of(told),
	    human_size(size, changed), it->name, n < list->n_drives ? "  (not all drives)" : "");
}

/* A checkpoint is told where the first drive has it. */
static bool is_told(const struct checkpoint_list *list, uint32_t drive, const char *name)
{
	for (uint32_t i = 0; i < drive; i++) {
		if (checkpoint_of(&list->drives[i], name) != NULL)
			return true;
	}
	return false;
}

void tell_checkpoints(const struct checkpoint_list *list, struct json_t *result)
{
	struct json_t *lines = json_put_array(result, "checkpoints");

	for (uint32_t i = 0; i < list->n_drives; i++) {
		const struct checkpoint_drive *drive = &list->drives[i];

		for (uint32_t j = 0; j < drive->n_lines; j++) {
			const struct checkpoint_line *line = &drive->lines[j];

			if (is_told(list, i, line->it.name))
				continue;
			if (lines == NULL)
				print_line(list, line);
			else
				put_line(list, line, json_add_object(lines));
		}
	}
}

/* ---- size ---- */

static uint64_t tell_drive(const struct checkpoint_drive *drive, const char *name,
			   struct json_t *drives)
{
	const struct checkpoint_line *line = checkpoint_of(drive, name);
	bool known = line != NULL && !line->broken;
	uint64_t bytes = known ? line->changed_bytes : drive->size_bytes;
	struct json_t *one = drives == NULL ? NULL : json_add_object(drives);
	char size[HUMAN_SIZE];

	json_put_text(one, "name", drive->name);
	json_put_bool(one, "known", known);
	json_put_number(one, "size_bytes", drive->size_bytes);
	json_put_number(one, "changed_bytes", bytes);
	if (drives == NULL)
		say(stdout, "drive %s: %s (%llu bytes) %s\n", drive->name, human_size(size, bytes),
		    (unsigned long long)bytes,
		    known	   ? "changed"
		    : line == NULL ? "in all: it has no such checkpoint"
				   : "in all: what recorded since is lost or broken");
	return bytes;
}

static void tell_sum(const struct checkpoint_list *list, const char *name, uint64_t changed,
		     struct json_t *result)
{
	uint64_t expected = 0;
	bool known = checkpoint_estimate(list, changed, &expected);
	char size[HUMAN_SIZE], more[HUMAN_SIZE];

	json_put_number(result, "changed_bytes", changed);
	if (known)
		json_put_number(result, "expected_bytes", expected);
	else
		json_put_null(result, "expected_bytes");
	if (result == NULL)
		say(stdout, "since %s: %s%s%s\n", name, human_size(size, changed),
		    known ? ", in an archive about " : "", known ? human_size(more, expected) : "");
}

int tell_changed(const struct checkpoint_list *list, const char *name, struct json_t *result,
		 struct error *err)
{
	const struct checkpoint_line *latest = checkpoint_latest(list, false);
	struct json_t *drives;
	uint64_t changed = 0;
	bool known = false;

	if (name == NULL && latest == NULL)
		return fail(err, ERR_USAGE, "there is no checkpoint yet");
	if (name == NULL)
		name = latest->it.name;
	for (uint32_t i = 0; i < list->n_drives; i++)
		known = known || checkpoint_of(&list->drives[i], name) != NULL;
	if (!known)
		return fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name", name);
	json_put_text(result, "checkpoint", name);
	drives = json_put_array(result, "drives");
	for (uint32_t i = 0; i < list->n_drives; i++)
		changed += tell_drive(&list->drives[i], name, drives);
	tell_sum(list, name, changed, result);
	return 0;
}
