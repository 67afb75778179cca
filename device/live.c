/*
 * The order of the end. All is in the files, and durable; they get their names and lose their bits;
 * the machine moves; the server ends, with a last flush; the other names go. Up to the last step
 * the same call finds what it needs to go on (spec/live.md).
 */
#include "device/live.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/watcher.h"
#include "device/live_parts.h"
#include "machine/qemu/pivot.h"
#include "machine/serve/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS	    200
#define IDLE_MS	    20000  /* QEMU tries each 16 s at most to connect again */
#define COPY_MS	    1000   /* between looks at how far it is copied */
#define MOVE_MAX_MS 10000u /* between tries to move the machine */

static void free_all(struct live *live)
{
	if (live->has_progress)
		watcher_end(live->watcher, live->complete || live->moved);
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
	free(live->targets);
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
	if (live_open_all(live, err) == 0) {
		*out = live;
		return 0;
	}
	live_fill_end(&live->fill);
	if (live->serve != NULL)
		serve_close(live->serve, &ignored);
	for (uint32_t i = 0; i < live->n && !live->started; i++)
		live_file_undo(&live->files[i]);
	free_all(live);
	return err->code;
}

/* ---- while it runs ---- */

static void tell_refusal(struct live *live, const struct error *err, const char *what)
{
	if (strcmp(live->refusal.text, err->text) == 0)
		return;
	live->refusal = *err;
	watcher_note(live->watcher, "%s: %s; it is tried again", what, err->text);
}

/* When the machine is asked the next time. */
static void wait_longer(struct live *live)
{
	live->wait_ms = live->wait_ms == 0 ? STEP_MS : least(2 * live->wait_ms, MOVE_MAX_MS);
	live->try_ms = clock_ms() + (int64_t)live->wait_ms;
}

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

	code = pivot_open(&pivot, options, err);
	live->held = code == 0 || code == ERR_LOCKED;
	if (code < 0)
		return code;
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
	if (code < 0)
		tell_refusal(live, &err, "the machine stays where it is");
	free(drives);
}

/* It goes on as long as somebody is at the exports. */
static bool step_copies(struct live *live, struct error *err)
{
	const struct live_copier *copier = live->options->copier;
	struct error found = {0};
	uint64_t done = 0;
	int code;

	if (live->moved)
		return serve_n_users(live->serve) == 0;
	if (clock_ms() < live->try_ms)
		return false;
	code = copier->step(copier->context, &done, &live->moved, &found);
	atomic_store(&live->fill.covered_bytes, done);
	if (code == ERR_LOCKED) {
		*err = found;
		return true;
	}
	if (code < 0)
		tell_refusal(live, &found, "the machine is not copied now");
	if (code < 0)
		wait_longer(live);
	else
		live->try_ms = clock_ms() + COPY_MS;
	return false;
}

/* True: it is done. */
static bool step(struct live *live, struct error *err)
{
	uint64_t n_come = serve_n_come(live->serve);

	if (live->options->copier != NULL)
		return step_copies(live, err);
	/* One may have come and gone since the last look. */
	if (serve_n_users(live->serve) > 0 || n_come > live->n_come)
		live->idle_ms = clock_ms() + IDLE_MS;
	live->n_come = n_come;
	if (!atomic_load(&live->fill.filled))
		return false;
	if (!live->complete && complete(live, err) < 0)
		return true;
	if (live->options->monitor == NULL)
		return live->n_come > 0 && clock_ms() > live->idle_ms;
	if (clock_ms() < live->try_ms)
		return false;
	try_to_move(live);
	wait_longer(live);
	return live->moved;
}

/* What was asked to end is not done while it is used, also by a machine that has lost its
 * connection: only the same command can give clients their drives back. */
static int judge(struct live *live, struct error *err)
{
	uint64_t missing = live_missing_bytes(live);

	if (live->options->copier != NULL)
		return live->moved ? 0
				   : fail(err, ERR_SYSTEM,
					  "ended before the machine had moved; the same command "
					  "goes on");
	if (live->complete && !live->moved && live->held)
		return fail(err, ERR_SYSTEM,
			    "all is there, but the machine has not moved: %.300s; the same command "
			    "goes on",
			    live->refusal.text);
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
	if (err->code == 0 && live->complete && live->options->monitor != NULL && !live->moved)
		try_to_move(live);
	if (err->code == 0 && !live->complete && live->options->copier == NULL &&
	    live_missing_bytes(live) == 0)
		complete(live, err);
	return err->code < 0 ? err->code : judge(live, err);
}

int live_close(struct live *live, struct error *err)
{
	bool is_done = live->options->copier != NULL ? live->moved : live->shown;
	int code;

	live_fill_end(&live->fill);
	code = serve_close(live->serve, err);
	for (uint32_t i = 0; i < live->n && code == 0 && is_done; i++)
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
