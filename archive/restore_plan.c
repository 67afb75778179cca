#include "archive/restore_plan.h"

#include "base/name.h"
#include "base/place.h"
#include "base/stop.h"
#include "archive/select.h"
#include "base/watcher.h"
#include "archive/open.h"

#include "drive/target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_SIZE   120u /* bytes of a name in a message */
#define WARNINGS_MAX 10u  /* about configs */

/* DIR/NAME and an ending; owned, NULL: no memory. The name passed the allow-list. */
static char *path_in(const char *directory, struct text name, const char *ending)
{
	const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";

	return text_make("%s%s%.*s%s", directory, slash, (int)name.length, (const char *)name.bytes,
			 ending);
}

/* Whether this drive can go to this target; NULL: into the folder. */
static int check_drive(const struct restore_plan *plan, uint32_t drive, const char *target,
		       struct error *err)
{
	struct text name = plan->archive->drives[drive].name;
	char shown[SHOWN_SIZE];

	escape_text(shown, sizeof(shown), name.bytes, name.length);
	if (plan->drive_paths[drive] != NULL)
		return fail(err, ERR_USAGE, "-d: drive %s is named twice", shown);
	if (target == NULL && !name_usable(name.bytes, name.length))
		return fail(
			err, ERR_USAGE,
			"drive %u is called '%s', which is not usable as a file name; give one: -d "
			"'@%u=TARGET'",
			drive + 1, shown, drive + 1);
	return 0;
}

uint32_t restore_plan_stream(const struct restore_plan *plan)
{
	uint32_t i = 0, n = plan->archive->n_drives;

	while (i < n && (plan->drive_paths[i] == NULL || !target_is_stream(plan->drive_paths[i])))
		i++;
	return i;
}

/* Standard output takes one drive and nothing else. */
static int check_stream(const struct restore_plan *plan, struct error *err)
{
	if (restore_plan_stream(plan) != plan->archive->n_drives &&
	    plan->n_drives + plan->n_configs > 1)
		return fail(err, ERR_USAGE,
			    "-d NAME=-: standard output takes one drive, and nothing else can be "
			    "restored with it; a file called - is ./-");
	return 0;
}

/* A misspelt option must not become part of the name of a new file. */
static int check_comma(const char *path, struct error *err)
{
	const char *comma = strrchr(path, ',');
	struct stat found;

	if (comma == NULL || strpbrk(comma, "/.") != NULL || strchr(comma, '=') == NULL ||
	    lstat(path, &found) == 0)
		return 0;
	return fail(err, ERR_USAGE, "%s: no option of a target, or one given twice: %s", path,
		    comma);
}

static int plan_drive(struct restore_plan *plan, uint32_t drive, const char *target,
		      const struct restore_options *options, struct error *err)
{
	struct text name = plan->archive->drives[drive].name;
	struct drive_suffix *suffix = &plan->suffixes[drive];
	char *path;

	TRY(check_drive(plan, drive, target, err));
	path = target != NULL ? strdup(target) : path_in(options->directory, name, ".raw");
	if (path == NULL)
		return fail_memory(err);
	plan->drive_paths[drive] = path;
	plan->in_directory |= target == NULL;
	plan->n_drives++;
	if (target == NULL)
		return 0;
	drive_suffix_cut(path, suffix);
	if (*path == '\0')
		return fail(err, ERR_USAGE, "-d: no target before the comma in '%s'", target);
	if (suffix->size_bytes != 0 || suffix->secret != NULL)
		return fail(err, ERR_USAGE, "%s: ,%s= is for a drive that is read", path,
			    suffix->secret != NULL ? "secret" : "size");
	TRY(drive_suffix_check_plain(suffix, path, err));
	return check_comma(path, err);
}

static int plan_drives(struct restore_plan *plan, const struct restore_options *options,
		       struct error *err)
{
	for (unsigned i = 0; i < options->drives.n; i++) {
		const char *target;
		uint32_t drive;

		if (select_drive(options->drives.items[i], plan->archive, &drive, &target, err) <
		    0) {
			error_prefix(err, "-d");
			return err->code;
		}
		TRY(plan_drive(plan, drive, target, options, err));
	}
	for (uint32_t i = 0; options->drives.n == 0 && i < plan->archive->n_drives; i++)
		TRY(plan_drive(plan, i, NULL, options, err));
	return 0;
}

/* Only the first few get a warning each: an archive may hold very many configs. */
static void warn_of_config(struct text name, uint32_t n_before, const struct watcher *watcher)
{
	char shown[SHOWN_SIZE];

	if (n_before < WARNINGS_MAX)
		watcher_warn(watcher,
			     "config '%s' is not restored: not usable as a file name; \"vmabak "
			     "config\" prints it",
			     escape_text(shown, sizeof(shown), name.bytes, name.length));
}

static int plan_configs(struct restore_plan *plan, const struct restore_options *options,
			const struct watcher *watcher, struct error *err)
{
	uint32_t n_unusable = 0;

	if (options->no_configs || (options->drives.n > 0 && !options->configs))
		return 0;
	for (uint32_t i = 0; i < plan->archive->n_configs; i++) {
		struct text name = plan->archive->configs[i].name;

		if (!name_usable(name.bytes, name.length)) {
			warn_of_config(name, n_unusable++, watcher);
			continue;
		}
		plan->config_paths[i] = path_in(options->directory, name, "");
		if (plan->config_paths[i] == NULL)
			return fail_memory(err);
		plan->in_directory = true;
		plan->n_configs++;
	}
	if (n_unusable > WARNINGS_MAX)
		watcher_warn(watcher, "%u more configs are not restored for the same reason",
			     n_unusable - WARNINGS_MAX);
	return 0;
}

int restore_plan_options(const struct restore_options *options, struct error *err)
{
	if (options->configs && options->no_configs)
		return fail(err, ERR_USAGE, "--configs and --no-configs exclude each other");
	if (*options->directory == '\0')
		return fail(err, ERR_USAGE, "-C: the name of a folder must not be empty");
	return 0;
}

int restore_plan_make(struct restore_plan *out, const struct archive *archive,
		      const struct restore_options *options, const struct watcher *watcher,
		      struct error *err)
{
	*out = (struct restore_plan){
		.archive = archive,
		.sandbox = {.rules = -1},
		.drive_paths = calloc((size_t)archive->n_drives + 1, sizeof(char *)),
		.suffixes = calloc((size_t)archive->n_drives + 1, sizeof(*out->suffixes)),
		.config_paths = calloc((size_t)archive->n_configs + 1, sizeof(char *)),
	};
	if (out->drive_paths == NULL || out->suffixes == NULL || out->config_paths == NULL)
		return fail_memory(err);
	TRY(plan_drives(out, options, err));
	TRY(plan_configs(out, options, watcher, err));
	return check_stream(out, err);
}

uint32_t restore_plan_config(const struct restore_plan *plan, const char *name)
{
	uint32_t i;

	for (i = 0; i < plan->archive->n_configs; i++) {
		struct text found = plan->archive->configs[i].name;

		if (plan->config_paths[i] != NULL && found.length == strlen(name) &&
		    memcmp(found.bytes, name, found.length) == 0)
			break;
	}
	return i;
}

int restore_plan_move_config(struct restore_plan *plan, uint32_t config, const char *path,
			     struct error *err)
{
	char *copy = strdup(path);

	if (copy == NULL)
		return fail_memory(err);
	free(plan->config_paths[config]);
	plan->config_paths[config] = copy;
	return 0;
}

int restore_plan_make_folder(struct restore_plan *plan, const struct restore_options *options,
			     struct error *err)
{
	bool made = false;

	if (plan->in_directory)
		TRY(place_make_folder(options->directory, &made, err));
	if (made) {
		plan->made_folder = options->directory;
		stop_guard_folder(plan->made_folder);
	}
	if (made && options->passable && chmod(options->directory, 0711) != 0)
		return fail_system(err, errno, "%s: its mode", options->directory);
	return 0;
}

/* The file that a path means: an existing one, or a name in a folder. */
struct place {
	dev_t device;
	ino_t number;
	bool block;	  /* a block device: device tells which */
	const char *name; /* NULL: the file exists */
	const char *path;
};

static struct place find_place(const char *path)
{
	const char *name = base_name(path);
	struct place place = {.name = name, .path = path};
	char folder[PATH_MAX];
	struct stat found;

	if (target_is_uri(path)) {
		place.name = path;
		return place;
	}
	if (name == path)
		strcpy(folder, ".");
	else
		snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
	if (stat(path, &found) == 0) {
		place.name = NULL;
		place.block = S_ISBLK(found.st_mode);
		place.device = place.block ? found.st_rdev : found.st_dev;
		place.number = place.block ? 0 : found.st_ino;
	} else if (stat(folder, &found) == 0) {
		place.device = found.st_dev;
		place.number = found.st_ino;
	}
	return place;
}

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->block != b->block)
		return a->block ? 1 : -1;
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->name == NULL || b->name == NULL)
		return (a->name != NULL) - (b->name != NULL);
	return strcmp(a->name, b->name);
}

/* Sorts the places, as an archive may hold very many names. */
static int check_places(const struct restore_plan *plan, struct error *err)
{
	struct place *places =
		calloc((size_t)plan->n_drives + plan->n_configs + 1, sizeof(*places));
	size_t n = 0;
	int code = 0;

	if (places == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < plan->archive->n_drives; i++) {
		if (plan->drive_paths[i] != NULL)
			places[n++] = find_place(plan->drive_paths[i]);
	}
	for (uint32_t i = 0; i < plan->archive->n_configs; i++) {
		if (plan->config_paths[i] != NULL)
			places[n++] = find_place(plan->config_paths[i]);
	}
	qsort(places, n, sizeof(*places), compare_places);
	for (size_t i = 1; i < n && code == 0; i++) {
		if (compare_places(&places[i - 1], &places[i]) == 0)
			code = fail(err, ERR_USAGE,
				    "%s and %s would be restored to the same place: choose another "
				    "with -d NAME=TARGET or @N=TARGET, or leave configs out with "
				    "--no-configs",
				    places[i - 1].path, places[i].path);
	}
	free(places);
	return code;
}

static int check_path(const char *path, bool is_config, const struct restore_options *options,
		      struct error *err)
{
	struct stat found;

	if (path == NULL)
		return 0;
	if ((target_is_stream(path) ? fstat(STDOUT_FILENO, &found) : stat(path, &found)) == 0 &&
	    archive_is_file(options->archive, &found))
		return fail(err, ERR_USAGE, "%s: is the archive itself", path);
	if (!is_config || lstat(path, &found) < 0)
		return 0;
	if (S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is a folder, but a config has that name", path);
	if (!options->force)
		return fail(err, ERR_USAGE,
			    "%s: exists already; --force overwrites it, --no-configs leaves "
			    "configs out",
			    path);
	return 0;
}

int restore_plan_check(const struct restore_plan *plan, const struct restore_options *options,
		       struct error *err)
{
	for (uint32_t i = 0; i < plan->archive->n_drives; i++)
		TRY(check_path(plan->drive_paths[i], false, options, err));
	for (uint32_t i = 0; i < plan->archive->n_configs; i++)
		TRY(check_path(plan->config_paths[i], true, options, err));
	return check_places(plan, err);
}

void restore_plan_rules(struct restore_plan *plan, const char *directory, const char *map)
{
	struct sandbox *sandbox = &plan->sandbox;
	uint32_t stream = restore_plan_stream(plan);

	sandbox_begin(sandbox);
	for (uint32_t i = 0; i < plan->archive->n_drives; i++) {
		if (i != stream)
			sandbox_allow_file(sandbox, plan->drive_paths[i]);
	}
	for (uint32_t i = 0; i < plan->archive->n_configs; i++)
		sandbox_allow_file(sandbox, plan->config_paths[i]);
	if (plan->in_directory)
		sandbox_allow_removal(sandbox, directory);
	if (map != NULL) { /* a file, or a folder */
		char inner[PATH_MAX];

		snprintf(inner, sizeof(inner), "%s/.", map);
		sandbox_allow_file(sandbox, map);
		sandbox_allow_file(sandbox, inner);
	}
}

static void free_paths(char **paths, uint32_t n)
{
	for (uint32_t i = 0; paths != NULL && i < n; i++)
		free(paths[i]);
	free(paths);
}

void restore_plan_close(struct restore_plan *plan, bool done)
{
	if (plan->archive == NULL)
		return;
	stop_guard_folder(NULL);
	if (!done && plan->made_folder != NULL)
		rmdir(plan->made_folder);
	sandbox_end(&plan->sandbox);
	free_paths(plan->drive_paths, plan->archive->n_drives);
	free(plan->suffixes);
	free_paths(plan->config_paths, plan->archive->n_configs);
	*plan = (struct restore_plan){0};
}
