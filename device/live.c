/*
 * The order of the end. All is in the files, and durable; they get their names and lose their bits;
 * the machine moves; the server ends, with a last flush; the other names go. Up to the last step
 * the same call finds what it needs to go on (spec/live.md).
 */
#include "device/live.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/place.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "base/watcher.h"
#include "device/drives.h"
#include "device/live_file.h"
#include "device/live_fill.h"
#include "machine/qemu/pivot.h"
#include "machine/serve/serve.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STEP_MS	    200
#define IDLE_MS	    20000  /* QEMU tries each 16 s at most to connect again */
#define MOVE_MAX_MS 10000u /* between tries to move the machine */

struct live {
	const struct live_options *options;
	const struct watcher *watcher;
	struct serve_options serving;
	struct view *view;
	struct restore_plan plan;
	uint32_t n;			/* drives that are restored: of each */
	struct device_drive *drives;	/* owned */
	struct live_file *files;	/* owned */
	struct live_fill_drive *filled; /* owned */
	struct serve_given *given;	/* owned */
	struct live_fill fill;
	struct serve *serve;
	uint64_t drive_bytes;
	bool has_progress, had_clients, complete, shown, moved;
	int64_t try_ms;	      /* when the machine is asked again, by clock_ms */
	int64_t idle_ms;      /* until when the last client may come back */
	uint64_t wait_ms;     /* and after how long then */
	struct error refusal; /* why the machine does not move; told once */
};

/* ---- opening ---- */

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

/* All files may be read, as the archives of a chain may be opened at any time. */
static int confine(const struct live_options *how, struct error *err)
{
	const struct restore_options *restore = &how->restore;
	bool in_folder = restore->drives.n == 0, made;
	struct sandbox sandbox;
	char inner[PATH_MAX];

	for (unsigned i = 0; i < restore->drives.n; i++)
		in_folder |= strchr(restore->drives.items[i], '=') == NULL;
	if (in_folder)
		TRY(place_make_folder(restore->directory, &made, err));
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
		format = live->plan.suffixes[i].format;
		if ((format != NULL && strcmp(format, "raw") != 0) || strcmp(path, "-") == 0 ||
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
			   err));
	TRY(drive_overlay_open(&drive->drive, drive->name, &content, &file->place, err));
	live->drive_bytes += content.size_bytes;
	live->filled[live->n - 1] = (struct live_fill_drive){drive, file->other_fd};
	live->given[live->n - 1] = (struct serve_given){
		.name = drive->name,
		.drive = drive->drive,
		.missing_bytes = drive_overlay_missing_bytes,
	};
	return 0;
}

static uint64_t missing_bytes(const struct live *live)
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
	if (live->drives == NULL || live->files == NULL || live->filled == NULL ||
	    live->given == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		if (live->plan.drive_paths[i] != NULL)
			TRY(open_drive(live, i, err));
	}
	missing = missing_bytes(live);
	if (missing < live->drive_bytes)
		watcher_note(live->watcher, "goes on: %llu of %llu bytes are there",
			     (unsigned long long)(live->drive_bytes - missing),
			     (unsigned long long)live->drive_bytes);
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

static int open_all(struct live *live, struct error *err)
{
	const struct live_options *options = live->options;

	TRY(restore_plan_options(&options->restore, err));
	TRY(confine(options, err));
	TRY(view_open(&live->view, &options->view, live->watcher, err));
	TRY(make_plan(live, err));
	TRY(open_drives(live, err));
	live->serving = options->serve;
	live->serving.given = live->given;
	live->serving.n_given = live->n;
	TRY(serve_open(&live->serve, &live->serving, live->watcher, err));
	TRY(live_fill_start(&live->fill, live->filled, live->n, options->restore.rate,
			    live->watcher, err));
	begin_progress(live);
	return 0;
}

static void free_all(struct live *live)
{
	if (live->has_progress)
		watcher_end(live->watcher, live->complete);
	live_fill_end(&live->fill);
	for (uint32_t i = 0; i < live->n; i++) {
		if (live->drives[i].drive != NULL)
			drive_close(live->drives[i].drive);
		live_file_close(&live->files[i]);
	}
	free(live->drives);
	free(live->files);
	free(live->filled);
	free(live->given);
	restore_plan_close(&live->plan, true);
	view_close(live->view);
	free(live);
}

int live_open(struct live **out, const struct live_options *options, const struct watcher *watcher,
	      struct error *err)
{
	struct live *live = calloc(1, sizeof(*live));
	struct error ignored;

	if (live == NULL)
		return fail_memory(err);
	live->options = options;
	live->watcher = watcher;
	if (open_all(live, err) == 0) {
		*out = live;
		return 0;
	}
	live_fill_end(&live->fill);
	if (live->serve != NULL)
		serve_close(live->serve, &ignored);
	free_all(live);
	return err->code;
}

/* ---- while it runs ---- */

/* All is there: from here on the files are the drives. */
static int complete(struct live *live, struct error *err)
{
	for (uint32_t i = 0; i < live->n && !live->complete; i++) {
		int sys = drive_overlay_complete(live->drives[i].drive);

		if (sys != 0)
			return fail_system(err, sys, "%s: flushing", live->files[i].path);
	}
	live->complete = true;
	watcher_note(live->watcher, "all is there");
	return 0;
}

static int show(struct live *live, struct error *err)
{
	for (uint32_t i = 0; i < live->n && !live->shown; i++)
		TRY(live_file_show(&live->files[i], err));
	live->shown = true;
	return 0;
}

/* The machine has devices for all drives, so the files get their names, and it moves. */
static int move(struct live *live, const struct pivot_options *options, struct error *err)
{
	struct pivot *pivot;
	int code;

	TRY(pivot_open(&pivot, options, err));
	code = show(live, err);
	if (code == 0)
		code = pivot_run(pivot, live->watcher, err);
	pivot_close(pivot);
	return code;
}

static void try_to_move(struct live *live)
{
	struct pivot_drive *drives = calloc(live->n, sizeof(*drives));
	struct pivot_options options = {
		.monitor = live->options->monitor,
		.nbd = &live->options->serve.nbd,
		.drives = drives,
		.n_drives = live->n,
	};
	struct error err = {0};
	int code = drives == NULL ? fail_memory(&err) : 0;

	for (uint32_t i = 0; i < live->n && code == 0; i++) {
		drives[i].name = live->drives[i].name;
		drives[i].file = live->files[i].full;
	}
	if (code == 0)
		code = move(live, &options, &err);
	live->moved = code == 0;
	if (code < 0 && strcmp(live->refusal.text, err.text) != 0) {
		live->refusal = err;
		watcher_note(live->watcher, "the machine stays where it is: %s; it is tried again",
			     err.text);
	}
	free(drives);
}

/* True: it is done. */
static bool step(struct live *live, struct error *err)
{
	if (serve_n_users(live->serve) > 0) {
		live->had_clients = true;
		live->idle_ms = clock_ms() + IDLE_MS;
	}
	if (!atomic_load(&live->fill.filled))
		return false;
	if (!live->complete && complete(live, err) < 0)
		return true;
	if (live->options->monitor == NULL)
		return live->had_clients && clock_ms() > live->idle_ms;
	if (clock_ms() < live->try_ms)
		return false;
	try_to_move(live);
	live->wait_ms = live->wait_ms == 0 ? STEP_MS : least(2 * live->wait_ms, MOVE_MAX_MS);
	live->try_ms = clock_ms() + (int64_t)live->wait_ms;
	return live->moved;
}

/* What was asked to end is not done while it is used: only the same command can give clients their
 * drives back. */
static int judge(struct live *live, struct error *err)
{
	uint64_t missing = missing_bytes(live);

	if (live->complete && !live->moved && serve_n_users(live->serve) > 0)
		return fail(err, ERR_SYSTEM,
			    "all is there, but clients use it still; the same command goes on");
	if (live->complete)
		return show(live, err);
	if (atomic_load(&live->fill.damaged_bytes) > 0)
		return fail(err, ERR_DAMAGED,
			    "%llu bytes cannot be read from the archive, or were not yet; the rest "
			    "is in %s",
			    (unsigned long long)missing, live->files[0].path);
	return fail(err, ERR_SYSTEM, "ended with %llu of %llu bytes; the same command goes on",
		    (unsigned long long)(live->drive_bytes - missing),
		    (unsigned long long)live->drive_bytes);
}

int live_run(struct live *live, struct error *err)
{
	struct pollfd end = {.fd = serve_end_fd(live->serve), .events = POLLIN};

	*err = (struct error){0};
	while (!step(live, err)) {
		if (poll(&end, 1, STEP_MS) > 0)
			break;
	}
	live_fill_end(&live->fill);
	if (err->code == 0 && !live->complete && missing_bytes(live) == 0)
		complete(live, err);
	return err->code < 0 ? err->code : judge(live, err);
}

int live_close(struct live *live, struct error *err)
{
	int code;

	live_fill_end(&live->fill);
	code = serve_close(live->serve, err);

	for (uint32_t i = 0; i < live->n && code == 0 && live->shown; i++)
		code = live_file_finish(&live->files[i], err);
	free_all(live);
	return code;
}

const struct view *live_view(const struct live *live)
{
	return live->view;
}

const struct restore_plan *live_plan(const struct live *live)
{
	return &live->plan;
}

struct live_counts live_counts(const struct live *live)
{
	return (struct live_counts){
		.drive_bytes = live->drive_bytes,
		.archive_bytes = view_counts(live->view).read_bytes,
		.written_bytes = atomic_load(&live->fill.written_bytes),
		.moved = live->moved,
	};
}
