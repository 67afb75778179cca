#include "cli/tell_mirror.h"

#include "base/human.h"
#include "base/json.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

static unsigned long long number_of(const struct json_t *object, const char *key)
{
	uint64_t number = 0;

	json_member_number(object, key, &number);
	return number;
}

static const char *text_of(const struct json_t *object, const char *key)
{
	return json_member_text(object, key) == NULL ? "?" : json_member_text(object, key);
}

/* Only where guests can be slowed down by us is it told how they are met. */
const char *tell_mirror_remedy(const struct json_t *mirror)
{
	return json_member_text(mirror, "on_slow") != NULL
		       ? "--on-slow wait slows them down"
		       : "QEMU's block_set_io_throttle slows them down";
}

static void print_drive(const struct json_t *mirror, const struct json_t *drive)
{
	const char *state = json_member_text(drive, "state");
	char left[HUMAN_SIZE], copied[HUMAN_SIZE];

	say(stdout, "drive %s: %s", text_of(drive, "name"), text_of(drive, "target"));
	if (state != NULL)
		say(stdout, ": %s, %s left, %s copied", state,
		    human_size(left, number_of(drive, "left_bytes")),
		    human_size(copied, number_of(drive, "copied_bytes")));
	if (json_member_bool(drive, "stalled"))
		say(stdout, "; the target takes nothing");
	else if (json_member_bool(drive, "diverging"))
		say(stdout,
		    "; guests write faster than the target takes it, so it does not get there: %s",
		    tell_mirror_remedy(mirror));
	if (json_member_text(drive, "error") != NULL)
		say(stdout, ": %s", json_member_text(drive, "error"));
	say(stdout, "\n");
}

static bool has_failed(const struct json_t *drives)
{
	bool failed = false;

	for (size_t i = 0; i < json_length(drives); i++)
		failed |= strcmp(text_of(json_item(drives, i), "state"), "failed") == 0;
	return failed;
}

void tell_mirror(const struct json_t *mirror)
{
	const struct json_t *drives = json_member(mirror, "drives");
	const char *phase = text_of(mirror, "phase");

	if (json_is_nothing(mirror)) {
		say(stdout, "mirror: none\n");
		return;
	}
	if (strcmp(phase, "running") == 0 && has_failed(drives))
		phase = "failed";
	say(stdout, "mirror: %s\n", phase);
	if (strcmp(phase, "killed") == 0)
		say(stdout,
		    "the process that copied has ended: start the mirror again, or abort it\n");
	for (size_t i = 0; i < json_length(drives); i++)
		print_drive(mirror, json_item(drives, i));
}
