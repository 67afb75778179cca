#include "device/export.h"

#include "base/sandbox.h"
#include "device/drives.h"
#include "device/overlay.h"
#include "machine/serve/serve.h"

#include <stdlib.h>
#include <string.h>

struct export
{
	struct serve_options serving;
	struct view *view;
	struct overlay_store overlay;
	struct device_drives drives;
	struct serve *serve;
};

static void allow_socket(struct sandbox *sandbox, const char *place)
{
	if (strncmp(place, "unix:", 5) == 0)
		sandbox_allow_socket(sandbox, place + 5);
}

/* All files may be read, as the archives of a chain may be opened at any time. */
static int confine(const struct export_options *how, struct error *err)
{
	const struct serve_options *options = &how->serve;
	const char *overlay = how->overlay;
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	sandbox_allow_device(&sandbox, "/dev/null"); /* for commands that archives come from */
	for (unsigned i = 0; i < options->nbd.n; i++)
		allow_socket(&sandbox, options->nbd.items[i]);
	if (options->control != NULL)
		sandbox_allow_socket(&sandbox, options->control);
	if (overlay != NULL && strcmp(overlay, "memory") != 0)
		sandbox_allow_file(&sandbox, overlay);
	if (overlay != NULL && options->control != NULL) /* a backup may spill there */
		sandbox_allow_file(&sandbox, "/var/tmp/.");
	for (const char *const *device = how->devices; device != NULL && *device != NULL; device++)
		sandbox_allow_device(&sandbox, *device);
	if (how->view.cache_file != NULL)
		sandbox_allow_file(&sandbox, how->view.cache_file);
	if (how->folder != NULL)
		sandbox_allow_removal(&sandbox, how->folder);
	return sandbox_enter(&sandbox, err);
}

static int open_all(struct export *export, const struct export_options *options,
		    const struct watcher *watcher, struct error *err)
{
	struct overlay_store *overlay = options->overlay == NULL ? NULL : &export->overlay;

	TRY(confine(options, err));
	TRY(view_open(&export->view, &options->view, watcher, err));
	if (overlay != NULL)
		TRY(overlay_store_open(overlay, options->overlay, view_archive(export->view), err));
	TRY(device_drives_open(&export->drives, export->view, overlay, err));
	export->serving = options->serve;
	export->serving.given = export->drives.given;
	export->serving.n_given = export->drives.n;
	export->serving.quiet = options->quiet;
	export->serving.read_only = overlay == NULL;
	return serve_open(&export->serve, &export->serving, watcher, err);
}

static void free_all(struct export *export)
{
	device_drives_close(&export->drives);
	overlay_store_close(&export->overlay);
	view_close(export->view);
	free(export);
}

int export_open(struct export **out, const struct export_options *options,
		const struct watcher *watcher, struct error *err)
{
	struct export *export = calloc(1, sizeof(*export));
	int code;

	if (export == NULL)
		return fail_memory(err);
	export->overlay.fd = -1;
	code = open_all(export, options, watcher, err);
	if (code == 0)
		*out = export;
	else
		free_all(export);
	return code;
}

void export_wait(struct export *export)
{
	serve_wait(export->serve);
}

int export_end_fd(const struct export *export)
{
	return serve_end_fd(export->serve);
}

const struct view *export_view(const struct export *export)
{
	return export->view;
}

char **export_names(const struct export *export)
{
	char **names = calloc((size_t) export->drives.n + 1, sizeof(*names));

	for (uint32_t i = 0; names != NULL && i < export->drives.n; i++)
		names[i] = export->drives.of[i].name;
	return names;
}

int export_close(struct export *export, struct error *err)
{
	int code = serve_close(export->serve, err);

	free_all(export);
	return code;
}

struct view_counts export_counts(struct export *export)
{
	return view_counts(export->view);
}
