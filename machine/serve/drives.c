#include "machine/serve/state.h"

#include "base/name.h"
#include "base/watcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_arguments(struct serve *serve, struct error *err)
{
	const struct strings *arguments = &serve->options->arguments;

	for (unsigned i = 0; i < arguments->n; i++) {
		struct served *served = &serve->drives[i];

		TRY(drive_argument_parse(arguments->items[i], &served->argument, err));
		serve->n_drives = i + 1;
		TRY(drive_suffix_check_plain(&served->argument.suffix, arguments->items[i], err));
		if (served->argument.name == NULL) {
			snprintf(served->own_name, sizeof(served->own_name), "disk%u", i);
			served->argument.name = served->own_name;
		}
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(served->argument.name, serve->drives[j].argument.name) == 0)
				return fail(err, ERR_USAGE,
					    "drive '%s': the name %s is taken already",
					    arguments->items[i], served->argument.name);
		}
	}
	return 0;
}

static int take_given(struct serve *serve, struct error *err)
{
	const struct serve_options *options = serve->options;

	if (options->n_given > SERVED_MAX)
		return fail(err, ERR_UNSUPPORTED, "%u drives: at most %u can be served",
			    options->n_given, SERVED_MAX);
	for (; serve->n_drives < options->n_given; serve->n_drives++) {
		const struct serve_given *given = &options->given[serve->n_drives];
		struct served *served = &serve->drives[serve->n_drives];

		served->argument.name = served->argument.path = given->name;
		served->drive = given->drive;
		served->is_given = true;
	}
	return 0;
}

static struct served *find_drive(struct serve *serve, const char *name, size_t length)
{
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		if (strlen(served->argument.name) == length &&
		    memcmp(served->argument.name, name, length) == 0)
			return served;
	}
	return NULL;
}

/* Which map belongs to which drive. */
static int parse_maps(struct serve *serve, struct error *err)
{
	const struct strings *maps = &serve->options->maps;

	for (unsigned i = 0; i < maps->n; i++) {
		const char *argument = maps->items[i];
		size_t length = name_prefix(argument);
		struct served *served = serve->n_drives == 1 && length == 0
						? &serve->drives[0]
						: find_drive(serve, argument, length);

		if (length == 0 && serve->n_drives > 1)
			return fail(err, ERR_USAGE, "--map '%s': of which drive? Write NAME=FILE",
				    argument);
		if (served == NULL)
			return fail(err, ERR_USAGE, "--map '%s': no drive of that name", argument);
		if (served->map_file != NULL)
			return fail(err, ERR_USAGE, "--map '%s': the drive has one already",
				    argument);
		served->map_file = argument + length + (length > 0 ? 1 : 0);
		if (*served->map_file == '\0')
			return fail(err, ERR_USAGE, "--map '%s': no file named", argument);
	}
	return 0;
}

static int open_map(struct serve *serve, struct served *served, struct error *err)
{
	uint64_t size = drive_size(served->drive);
	enum map_trust trust;

	if (served->map_file == NULL)
		return generation_new(&served->map, size, err);
	TRY(generation_open(&served->map, served->map_file, served->argument.path, size, err));
	checkpoints_drop_pending(generation_checkpoints(served->map));
	trust = generation_trust(served->map);
	watcher_note(serve->watcher, "drive %s: map %s: %s%s", served->argument.name,
		     served->map_file, map_trust_text(trust),
		     trust == MAP_NEW || trust == MAP_CLEAN || trust == MAP_KILLED ||
				     trust == MAP_RECOVERED
			     ? ""
			     : ", begun anew");
	return 0;
}

static int open_drive(struct serve *serve, struct served *served, struct error *err)
{
	struct drive_options how = {
		.format = served->argument.suffix.format,
		.secret = served->argument.suffix.secret,
		.writable = !serve->options->read_only,
	};

	served->path = strdup(served->argument.path);
	if (served->path == NULL)
		return fail_memory(err);
	if (!served->is_given)
		TRY(drive_open(&served->drive, served->argument.path, &how, err));
	served->size_bytes = drive_size(served->drive);
	if (drive_warning(served->drive) != NULL)
		watcher_warn(serve->watcher, "drive %s: %s", served->argument.name,
			     drive_warning(served->drive));
	if (!serve->options->read_only)
		TRY(open_map(serve, served, err));
	return volume_new(&served->volume, served->argument.name, served->drive, served->map, err);
}

char *served_path(struct serve *serve, const struct served *served)
{
	char *path;

	pthread_mutex_lock(&serve->lock);
	path = strdup(served->path);
	pthread_mutex_unlock(&serve->lock);
	return path;
}

int drives_parse(struct serve *serve, struct error *err)
{
	if (serve->options->given != NULL)
		TRY(take_given(serve, err));
	else
		TRY(parse_arguments(serve, err));
	return parse_maps(serve, err);
}

int drives_open(struct serve *serve, struct error *err)
{
	for (uint32_t i = 0; i < serve->n_drives; i++)
		TRY(open_drive(serve, &serve->drives[i], err));
	return 0;
}

int drives_flush(struct serve *serve, struct error *err)
{
	int code = 0;

	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		int sys = served->volume == NULL ? 0 : volume_flush(served->volume);
		if (sys != 0 && code == 0)
			code = fail_system(err, sys, "drive %s: flushing", served->argument.name);
	}
	return code;
}

/* The drives are complete without it, but the next serve does not know what changed. */
static void close_map(struct serve *serve, const struct served *served)
{
	struct error err = {0};

	if (generation_close(served->map, &err) == 0)
		return;
	watcher_warn(serve->watcher, "drive %s: %s; it begins anew", served->argument.name,
		     err.text);
	serve->map_error = err;
}

void drives_close(struct serve *serve)
{
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		if (served->volume != NULL)
			volume_free(served->volume);
		arrival_free(served->arrival);
		close_map(serve, served);
		if (served->drive != NULL && !served->is_given)
			drive_close(served->drive);
		free(served->path);
		if (!served->is_given)
			drive_argument_free(&served->argument);
	}
}
