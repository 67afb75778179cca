#include "cli/tell_folder.h"

#include "archive/folder.h"
#include "archive/shelf.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/memory.h"
#include "cli/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

bool list_is_folder(const char *path)
{
	struct stat status;

	return shelf_is_prefix(path) || (stat(path, &status) == 0 && S_ISDIR(status.st_mode));
}

static void put_archive(const struct folder_archive *archive, struct json_t *one)
{
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE];

	json_put_text(one, "archive", archive->file);
	json_put_text(one, "state",
		      archive->state == FOLDER_WHOLE	? "whole"
		      : archive->state == FOLDER_BROKEN ? "damaged"
							: "lacks_parent");
	json_put_text(one, "why", archive->state == FOLDER_BROKEN ? archive->why : NULL);
	json_put_text(one, "uuid", archive->head_known ? format_uuid(uuid, archive->uuid) : NULL);
	json_put_text(one, "parent_uuid",
		      folder_is_full(archive) ? NULL : format_uuid(uuid, archive->parent));
	json_put_text(one, "created",
		      archive->head_known ? human_time(when, archive->created_ns) : NULL);
	json_put_number(one, "drives_bytes", archive->drives_bytes);
	json_put_number(one, "data_bytes", archive->data_bytes);
	json_put_number(one, "archive_bytes", archive->stored_bytes);
	json_put_bool(one, "sums", archive->has_sums);
	json_put_bool(one, "protected", archive->is_protected);
}

static void put_machines(const struct folder *folder, struct json_t *object)
{
	struct json_t *machines = json_put_array(object, "machines"), *machine, *archives;

	for (unsigned i = 0, next; i < folder->n; i = next) {
		next = folder_next_machine(folder, i);
		machine = json_add_object(machines);
		json_put_text(machine, "machine",
			      *folder->archives[i].machine == '\0' ? NULL
								   : folder->archives[i].machine);
		archives = json_put_array(machine, "archives");
		for (unsigned j = i; j < next; j++)
			put_archive(&folder->archives[j], json_add_object(archives));
	}
	json_put_number(object, "n_others", folder->n_others);
}

static void print_machine(const struct folder *folder, unsigned first, unsigned end)
{
	const char *machine = folder->archives[first].machine;
	char when[HUMAN_SIZE], size[HUMAN_SIZE];
	unsigned n_chains = 0;
	uint64_t bytes = 0;

	for (unsigned i = first; i < end; i++) {
		n_chains += folder->archives[i].head_known && folder_is_full(&folder->archives[i]);
		bytes += folder->archives[i].stored_bytes;
	}
	if (*machine == '\0')
		say(stdout, "other archives: %u\n", end - first);
	else
		say(stdout, "machine %s: %u archive%s in %u chain%s, %s\n", machine, end - first,
		    end - first == 1 ? "" : "s", n_chains, n_chains == 1 ? "" : "s",
		    human_size(size, bytes));
	for (unsigned i = first; i < end; i++) {
		const struct folder_archive *archive = &folder->archives[i];

		say(stdout, "  %-23s  %-11s  %8s  %s%s%s\n",
		    archive->head_known ? human_local_time(when, archive->created_ns) : "unknown",
		    !archive->head_known      ? "unknown"
		    : folder_is_full(archive) ? "full"
					      : "incremental",
		    human_size(size, archive->stored_bytes), archive->file,
		    archive->is_protected ? "  protected" : "",
		    archive->state == FOLDER_WHOLE    ? ""
		    : archive->state == FOLDER_BROKEN ? "  DAMAGED"
						      : "  LACKS A PARENT");
	}
}

static void print(const struct folder *folder)
{
	if (folder->n == 0)
		say(stdout, "%s: no archives\n", folder->path);
	for (unsigned i = 0, next; i < folder->n; i = next) {
		next = folder_next_machine(folder, i);
		if (i > 0)
			say(stdout, "\n");
		print_machine(folder, i, next);
	}
}

/* The lines on standard error. */
static int tell_bad(const struct folder *folder, struct report *report)
{
	int code = EXIT_DONE;

	for (unsigned i = 0; i < folder->n; i++) {
		const struct folder_archive *archive = &folder->archives[i];
		struct error err = {0};

		if (archive->state == FOLDER_WHOLE || *archive->machine == '\0')
			continue;
		fail(&err, ERR_DAMAGED, "%s/%s: %s", folder->path, archive->file,
		     archive->state == FOLDER_BROKEN
			     ? archive->why
			     : "its parent, or one further back, is missing or damaged");
		code = exit_code_worse(code, report_error_line(report, NULL, &err));
	}
	return code;
}

int list_folder(const char *given, struct report *report, struct json_t *object, struct error *err)
{
	struct folder folder;
	char *path = shelf_path(given);
	int code = EXIT_DONE;

	if (path == NULL)
		memory_give_up();
	if (folder_read(&folder, path, NULL, err) == 0) {
		json_put_text(object, "folder", path);
		if (report->json)
			put_machines(&folder, object);
		else
			print(&folder);
		report_flush(report);
		code = tell_bad(&folder, report);
	} else {
		code = report_error_line(report, NULL, err);
	}
	folder_free(&folder);
	free(path);
	return code;
}
