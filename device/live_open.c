#include "device/live_parts.h"

#include "base/place.h"
#include "base/sandbox.h"
#include "base/watcher.h"
#include "drive/qemuimg.h"
#include "machine/serve/serve.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void allow_target(struct sandbox *sandbox, const char *argument)
{
	for (const char *at = strchr(argument, '='); at != NULL; at = strchr(at + 1, '='))
		sandbox_allow_file(sandbox, at + 1);
}

static void allow_socket(struct sandbox *sandbox, const char *place)
{
	if (strncmp(place, "unix:", 5) == 0)
		sandbox_allow_socket(sandbox, place + 5);
}

static int make_folder(const struct live_options *how, struct error *err)
{
	const char *folder = how->restore.directory;
	bool made;

	TRY(place_make_folder(folder, &made, err));
	if (made && how->restore.passable && chmod(folder, 0711) != 0)
		return fail_system(err, errno, "%s: its mode", folder);
	return 0;
}

/* All files may be read, as the archives of a chain may be opened at any time. */
static int confine(const struct live_options *how, struct error *err)
{
	const struct restore_options *restore = &how->restore;
	bool in_folder = restore->drives.n == 0;
	struct sandbox sandbox;
	char inner[PATH_MAX];

	for (unsigned i = 0; i < restore->drives.n; i++)
		in_folder |= strchr(restore->drives.items[i], '=') == NULL;
	in_folder |= how->copier != NULL;
	if (in_folder)
		TRY(make_folder(how, err));
	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	sandbox_allow_device(&sandbox, "/dev/null"); /* for commands that archives come from */
	for (unsigned i = 0; i < how->serve.nbd.n; i++)
		allow_socket(&sandbox, how->serve.nbd.items[i]);
	if (how->serve.control != NULL)
		sandbox_allow_socket(&sandbox, how->serve.control);
	if (how->serve.control != NULL) /* a backup may spill there */
		sandbox_allow_file(&sandbox, "/var/tmp/.");
	for (unsigned i = 0; i < restore->drives.n; i++)
		allow_target(&sandbox, restore->drives.items[i]);
	snprintf(inner, sizeof(inner), "%s/.", restore->directory);
	if (in_folder)
		sandbox_allow_file(&sandbox, inner);
	return sandbox_enter(&sandbox, err);
}

static int make_plan(struct live *live, struct error *err)
{
	const struct restore_options *options = &live->options->restore;
	const struct archive *archive = view_archive(live->view);

	TRY(restore_plan_make(&live->plan, archive, options, live->watcher, err));
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const char *path = live->plan.drive_paths[i], *format;
		struct stat st;

		if (path == NULL)
			continue;
		format = image_format_given(path, live->plan.suffixes[i].format, NULL);
		if (strcmp(format, "raw") != 0 || strcmp(path, "-") == 0 ||
		    strstr(path, "://") != NULL || (stat(path, &st) == 0 && !S_ISREG(st.st_mode)))
			return fail(err, ERR_USAGE, "%s: a live restore makes new files, raw",
				    path);
	}
	return restore_plan_check(&live->plan, options, err);
}

static int open_drive(struct live *live, uint32_t number, struct error *err)
{
	struct device_drive *drive = &live->drives[live->n];
	struct live_file *file = &live->files[live->n];
	struct drive_content content = device_drive_content(drive, live->view, number);

	live->n++;
	TRY(live_file_open(file, live->plan.drive_paths[number], view_archive(live->view), number,
			   live->options->copier != NULL, err));
	TRY(drive_overlay_open(&drive->drive, drive->name, &content, &file->place, err));
	live->drive_bytes += content.size_bytes;
	live->filled[live->n - 1] = (struct live_fill_drive){drive, file->other_fd};
	live->given[live->n - 1] = (struct serve_given){
		.name = drive->name,
		.drive = drive->drive,
		.missing_bytes = live->options->copier == NULL ? drive_overlay_missing_bytes : NULL,
	};
	live->targets[live->n - 1] = (struct live_target){drive->name, file->full};
	return 0;
}

uint64_t live_missing_bytes(const struct live *live)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < live->n; i++)
		bytes += drive_overlay_missing_bytes(live->drives[i].drive);
	return bytes;
}

static int open_drives(struct live *live, struct error *err)
{
	uint32_t n = view_archive(live->view)->n_drives;
	uint64_t missing;

	live->drives = calloc((size_t)n + 1, sizeof(*live->drives));
	live->files = calloc((size_t)n + 1, sizeof(*live->files));
	live->filled = calloc((size_t)n + 1, sizeof(*live->filled));
	live->given = calloc((size_t)n + 1, sizeof(*live->given));
	live->targets = calloc((size_t)n + 1, sizeof(*live->targets));
	if (live->targets == NULL || live->drives == NULL || live->files == NULL ||
	    live->filled == NULL || live->given == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		if (live->plan.drive_paths[i] != NULL)
			TRY(open_drive(live, i, err));
	}
	missing = live_missing_bytes(live);
	if (missing < live->drive_bytes && live->options->copier == NULL)
		watcher_note(live->watcher, "goes on: %llu of %llu bytes are there",
			     (unsigned long long)(live->drive_bytes - missing),
			     (unsigned long long)live->drive_bytes);
	return 0;
}

static int prepare_copies(struct live *live, struct error *err)
{
	const struct live_copier *copier = live->options->copier;

	TRY(copier->check(copier->context, view_archive(live->view), live->targets, live->n, err));
	for (uint32_t i = 0; i < live->n; i++)
		TRY(live_file_make_target(&live->files[i], err));
	return 0;
}

static void begin_progress(struct live *live)
{
	struct progress_view view = {
		.label = view_name(live->view),
		.done_bytes = &live->fill.covered_bytes,
		.total_bytes = live->drive_bytes,
	};

	watcher_begin(live->watcher, &view);
	live->has_progress = true;
}

int live_open_all(struct live *live, struct error *err)
{
	const struct live_options *options = live->options;

	TRY(restore_plan_options(&options->restore, err));
	TRY(confine(options, err));
	TRY(view_open(&live->view, &options->view, live->watcher, err));
	TRY(make_plan(live, err));
	TRY(open_drives(live, err));
	if (options->copier != NULL)
		TRY(prepare_copies(live, err));
	live->serving = options->serve;
	live->serving.given = live->given;
	live->serving.n_given = live->n;
	TRY(serve_open(&live->serve, &live->serving, live->watcher, err));
	live->started = true;
	if (options->copier != NULL)
		TRY(options->copier->start(options->copier->context, err));
	else
		TRY(live_fill_start(&live->fill, live->filled, live->n, options->restore.rate,
				    live->watcher, err));
	begin_progress(live);
	return 0;
}
