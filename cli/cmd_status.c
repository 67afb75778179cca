#include "cli/groups.h"
#include "cli/sources.h"
#include "base/human.h"
#include "base/json.h"
#include "cli/report.h"
#include "cli/say.h"
#include "machine/serve/call.h"

#include <stdio.h>
#include <string.h>

static uint64_t number_of(const struct json_t *object, const char *key)
{
	uint64_t number = 0;

	json_member_number(object, key, &number);
	return number;
}

static const char *text_or_mark(const char *text)
{
	return text == NULL ? "?" : text;
}

static const char *text_of(const struct json_t *object, const char *key)
{
	return text_or_mark(json_member_text(object, key));
}

static const char *connections(const struct json_t *object)
{
	return number_of(object, "n_connections") == 1 ? "connection" : "connections";
}

static void print_drive(const struct json_t *drive)
{
	const struct json_t *map = json_member(drive, "map");
	const char *file = json_member_text(map, "file");
	uint64_t all = number_of(drive, "size_bytes"), filled;
	char size[HUMAN_SIZE], changed[HUMAN_SIZE];

	say(stdout, "drive %s: %s, %s, %llu %s\n", text_of(drive, "name"),
	    human_size(size, number_of(drive, "size_bytes")), text_of(drive, "path"),
	    (unsigned long long)number_of(drive, "n_connections"), connections(drive));
	if (json_member_number(drive, "filled_bytes", &filled))
		say(stdout, "  restored: %llu%%, %s\n",
		    (unsigned long long)(filled == all ? 100 : filled / (all / 100 + 1)),
		    human_size(size, filled));
	if (json_member(map, "generation") == NULL)
		return;
	say(stdout, "  changed since the last backup: %s (map %s, %s, generation %llu)\n",
	    human_size(changed, number_of(map, "changed_clusters") * CLUSTER_SIZE),
	    file == NULL ? "in memory" : file, text_of(map, "trust"),
	    (unsigned long long)number_of(map, "generation"));
}

static void print_backup(const struct json_t *backup)
{
	uint64_t all = number_of(backup, "n_clusters"), todo = number_of(backup, "todo_clusters");
	char done[HUMAN_SIZE], total[HUMAN_SIZE], delay[HUMAN_SIZE];

	say(stdout,
	    "%s: %llu%%, %s of %s saved, %llu clusters for guest writes, which waited at "
	    "most %s\n",
	    json_member_bool(backup, "snapshot") ? "snapshot" : "backup",
	    (unsigned long long)(all == 0 ? 100 : 100 - (todo * 100 + all - 1) / all),
	    human_size(done, (all - todo) * CLUSTER_SIZE), human_size(total, all * CLUSTER_SIZE),
	    (unsigned long long)number_of(backup, "guest_clusters"),
	    human_delay(delay, number_of(backup, "delay_max_ns")));
}

static void print_status(const struct json_t *status)
{
	const struct json_t *drives = json_member(status, "drives");
	const struct json_t *places = json_member(status, "nbd");
	const struct json_t *backup = json_member(status, "backup");
	const char *mirror = json_member_text(status, "mirror");

	say(stdout, "serve: process %llu, %s, %llu %s\n",
	    (unsigned long long)number_of(status, "pid"),
	    json_member_bool(status, "read_only") ? "read-only" : "writable",
	    (unsigned long long)number_of(status, "n_connections"), connections(status));
	for (size_t i = 0; i < json_length(places); i++)
		say(stdout, "nbd: %s\n", text_or_mark(json_item_text(places, i)));
	for (size_t i = 0; i < json_length(drives); i++)
		print_drive(json_item(drives, i));
	if (mirror != NULL && strcmp(mirror, "none") != 0)
		say(stdout, "mirror: %s; vmabak mirror status tells more\n", mirror);
	if (json_member(backup, "n_clusters") != NULL)
		print_backup(backup);
	else
		say(stdout, "backup: none is running, %llu done, %llu failed\n",
		    (unsigned long long)number_of(status, "n_backups_done"),
		    (unsigned long long)number_of(status, "n_backups_failed"));
}

static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	struct error err = {0};
	struct json_t *status;
	const char *path;

	if (source_place(options->common.arguments.items[0], SOURCE_SERVE, &path, &err) < 0 ||
	    call_once(path, json_make("{s:s}", "execute", "status"), &status, &err) < 0)
		return report_error(report, NULL, &err);
	if (report->result == NULL)
		print_status(status);
	else
		json_put(report->result, "serve", json_share(status));
	json_free(status);
	return EXIT_DONE;
}

const struct command command_status = {
	.name = "status",
	.usage = "[serve:]SOCKET [OPTION]...",
	.operand = "SOCKET",
	.summary = "show the state of a running vmabak serve",
	.help = "Show the drives of a running vmabak serve, its clients, its maps, and the\n"
		"progress of a running backup; or of a vmabak restore --live with --control.\n"
		"\n"
		"Example:\n"
		"  vmabak status web.sock\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = 1,
};
