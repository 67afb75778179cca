/*
 * The thread that mounts and unmounts keeps all its rights, as the kernel, and fusermount3, refuse
 * both to one that is confined. Another one, confined, opens the archives, and starts those that
 * answer the kernel.
 */
#include "device/mounted.h"

#include "base/name.h"
#include "base/sandbox.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "device/drives.h"
#include "device/mount.h"
#include "device/overlay.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct content {
	struct view *view;     /* of a drive; NULL: of a config */
	struct drive *overlay; /* over that drive; NULL: none. Borrowed */
	uint32_t drive;
	struct text text;
	char name[NAME_MAX_LENGTH + 20];
};

enum phase { OPENING, OPENED, FAILED, MOUNTED, GIVEN_UP };

struct mounted {
	const struct mounted_options *options;
	const struct watcher *watcher;
	struct view *view;
	struct overlay_store store; /* if there is an overlay, as the drives */
	struct device_drives drives;
	struct content *contents; /* owned */
	struct mount_file *files; /* owned */
	size_t n_files;
	struct error err; /* of the confined thread */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	enum phase phase;
	struct mount *mount;
};

/* ---- files ---- */

static int read_content(void *context, uint64_t offset, void *to, size_t n)
{
	const struct content *content = context;

	if (content->view != NULL)
		return view_read(content->view, content->drive, offset, to, n, false);
	memcpy(to, content->text.bytes + offset, n);
	return 0;
}

static int status_of_content(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct content *content = context;

	if (content->view != NULL)
		return view_status(content->view, content->drive, offset, n, zero);
	*n = content->text.length - offset;
	*zero = false;
	return 0;
}

/* ---- with an overlay ---- */

static int read_overlay(void *context, uint64_t offset, void *to, size_t n)
{
	return drive_fetch(((struct content *)context)->overlay, offset, to, (uint32_t)n, 0);
}

static int status_of_overlay(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	struct error why = {0};

	if (drive_status(((struct content *)context)->overlay, offset, n, zero, &why) == 0)
		return 0;
	return why.sys != 0 ? why.sys : EIO;
}

static int write_overlay(void *context, uint64_t offset, const void *from, size_t n)
{
	return drive_write(((struct content *)context)->overlay, offset, from, (uint32_t)n, 0);
}

static int zero_overlay(void *context, uint64_t offset, uint64_t n, bool may_trim)
{
	return drive_zero(((struct content *)context)->overlay, offset, n,
			  may_trim ? DRIVE_MAY_TRIM : 0);
}

static int flush_overlay(void *context)
{
	return drive_flush(((struct content *)context)->overlay);
}

static void add_overlay(struct mounted *mounted, uint32_t drive)
{
	struct mount_file *file = &mounted->files[mounted->n_files - 1];

	mounted->contents[mounted->n_files - 1].overlay = mounted->drives.of[drive].drive;
	file->read = read_overlay;
	file->status = status_of_overlay;
	file->write = write_overlay;
	file->zero = zero_overlay;
	file->flush = flush_overlay;
}

static int open_overlay(struct mounted *mounted, struct error *err)
{
	TRY(overlay_store_open(&mounted->store, mounted->options->overlay,
			       view_archive(mounted->view), err));
	return device_drives_open(&mounted->drives, mounted->view, &mounted->store, err);
}

/* What was written since the last fsync is not lost, either. */
static int close_overlay(struct mounted *mounted, struct error *err)
{
	int code = 0;

	for (uint32_t i = 0; i < mounted->drives.n; i++) {
		int sys = drive_flush(mounted->drives.of[i].drive);

		if (sys != 0 && code == 0)
			code = fail_system(err, sys, "%s: what was written last may be lost",
					   mounted->options->overlay);
	}
	device_drives_close(&mounted->drives);
	overlay_store_close(&mounted->store);
	return code;
}

/* ---- names ---- */

static bool is_taken(const struct mounted *mounted, const char *name)
{
	size_t i = 0;

	while (i < mounted->n_files && strcmp(mounted->contents[i].name, name) != 0)
		i++;
	return i < mounted->n_files;
}

/* A name that cannot be that of a file becomes a number. what: its ending, and "" for a config. */
static void name_file(const struct mounted *mounted, struct content *content,
		      const struct text *name, uint32_t number, const char *ending)
{
	bool usable = name_usable(name->bytes, name->length);

	if (usable)
		snprintf(content->name, sizeof(content->name), "%.*s%s", (int)name->length,
			 (const char *)name->bytes, ending);
	if (!usable || is_taken(mounted, content->name))
		snprintf(content->name, sizeof(content->name), "@%s%u%s",
			 *ending == '\0' ? "config-" : "", number + 1, ending);
}

static void add_file(struct mounted *mounted, uint64_t size_bytes)
{
	struct content *content = &mounted->contents[mounted->n_files];

	mounted->files[mounted->n_files++] = (struct mount_file){
		.name = content->name,
		.size_bytes = size_bytes,
		.read = read_content,
		.status = status_of_content,
		.context = content,
	};
}

static int make_files(struct mounted *mounted, struct error *err)
{
	const struct archive *archive = view_archive(mounted->view);
	size_t n = (size_t)archive->n_drives + archive->n_configs;

	mounted->contents = calloc(n + 1, sizeof(*mounted->contents));
	mounted->files = calloc(n + 1, sizeof(*mounted->files));
	if (mounted->contents == NULL || mounted->files == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		struct content *content = &mounted->contents[mounted->n_files];

		content->view = mounted->view;
		content->drive = i;
		name_file(mounted, content, &archive->drives[i].name, i, ".raw");
		add_file(mounted, archive->drives[i].size_bytes);
		if (mounted->options->overlay != NULL)
			add_overlay(mounted, i);
	}
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct content *content = &mounted->contents[mounted->n_files];

		content->text = archive->configs[i].data;
		name_file(mounted, content, &archive->configs[i].name, i, "");
		add_file(mounted, content->text.length);
	}
	return 0;
}

/* ---- the confined thread ---- */

static void set_phase(struct mounted *mounted, enum phase phase)
{
	pthread_mutex_lock(&mounted->lock);
	mounted->phase = phase;
	pthread_cond_broadcast(&mounted->changed);
	pthread_mutex_unlock(&mounted->lock);
}

/* The phase once it is another than this. */
static enum phase await(struct mounted *mounted, enum phase phase)
{
	pthread_mutex_lock(&mounted->lock);
	while (mounted->phase == phase)
		pthread_cond_wait(&mounted->changed, &mounted->lock);
	phase = mounted->phase;
	pthread_mutex_unlock(&mounted->lock);
	return phase;
}

static int confine(const struct mounted_options *options, struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	if (options->overlay != NULL && strcmp(options->overlay, "memory") != 0)
		sandbox_allow_file(&sandbox, options->overlay);
	sandbox_allow_file(&sandbox, options->view.cache_file);
	return sandbox_enter(&sandbox, err);
}

static int open_view(struct mounted *mounted, struct error *err)
{
	TRY(confine(mounted->options, err));
	TRY(view_open(&mounted->view, &mounted->options->view, mounted->watcher, err));
	if (mounted->options->overlay != NULL)
		TRY(open_overlay(mounted, err));
	return make_files(mounted, err);
}

static void *work(void *context)
{
	struct mounted *mounted = context;
	struct error why = {0};
	bool opened = open_view(mounted, &mounted->err) == 0;

	set_phase(mounted, opened ? OPENED : FAILED);
	if (opened && await(mounted, OPENED) == MOUNTED)
		mount_serve(mounted->mount, &mounted->err);
	if (close_overlay(mounted, &why) != 0 && mounted->err.code == 0)
		mounted->err = why;
	view_close(mounted->view);
	return NULL;
}

/* ---- the thread that mounts ---- */

static struct mounted *_Atomic running; /* for the handler, which is over before it ends */

static enum stop_next end_by_signal(void)
{
	struct mounted *mounted = running;

	pthread_mutex_lock(&mounted->lock);
	if (mounted->mount != NULL)
		mount_end(mounted->mount);
	pthread_mutex_unlock(&mounted->lock);
	return mounted->options->use == NULL ? STOP_ENDS : STOP_NOW;
}

static int serve(struct mounted *mounted, void (*ready)(void), struct error *err)
{
	const struct mount_tree tree = {
		.folder = mounted->options->folder,
		.files = mounted->files,
		.n_files = mounted->n_files,
		.writable = mounted->options->overlay != NULL,
		.time_ns = view_archive(mounted->view)->created_ns,
	};
	struct mount *mount;

	TRY(mount_open(&mount, &tree, err));
	pthread_mutex_lock(&mounted->lock);
	mounted->mount = mount;
	pthread_mutex_unlock(&mounted->lock);
	stop_handle(end_by_signal);
	set_phase(mounted, MOUNTED);
	if (ready != NULL)
		ready();
	return 0;
}

static int use(struct mounted *mounted, struct error *err)
{
	const struct mounted_options *options = mounted->options;
	int code;

	if (options->use == NULL)
		return 0;
	code = options->use(options->context, mounted->view, mounted->files, err);
	mount_stop(mounted->mount);
	return code;
}

static int run_threads(struct mounted *mounted, void (*ready)(void), struct error *err)
{
	pthread_t thread;
	int sys = pthread_create(&thread, NULL, work, mounted), code = 0;

	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	if (await(mounted, OPENING) == OPENED)
		code = serve(mounted, ready, err);
	if (code != 0)
		set_phase(mounted, GIVEN_UP);
	else if (mounted->mount != NULL)
		code = use(mounted, err);
	pthread_join(thread, NULL);
	stop_handle(NULL);
	stop_ends_process(); /* waits for the handler */
	if (code == 0 && mounted->err.code != 0) {
		*err = mounted->err;
		code = err->code;
	}
	return code;
}

int mounted_run(const struct mounted_options *options, const struct watcher *watcher,
		void (*ready)(void), struct error *err)
{
	struct mounted mounted = {
		.options = options,
		.watcher = watcher,
		.store = {.fd = -1},
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	int code = mount_remove_dead(options->folder, err);

	if (code < 0)
		return code;
	if (code > 0)
		watcher_note(watcher, "%s: a mount whose server had gone is removed",
			     options->folder);
	TRY(mount_check(options->folder, err));
	running = &mounted;
	code = run_threads(&mounted, ready, err);
	running = NULL;
	mount_close(mounted.mount);
	free(mounted.contents);
	free(mounted.files);
	pthread_mutex_destroy(&mounted.lock);
	pthread_cond_destroy(&mounted.changed);
	return code;
}
