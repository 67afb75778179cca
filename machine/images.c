/*
 * A machine that does not run, or whose drives nothing changes: files, devices and NBD exports
 * named one by one. There is nothing to begin; what changed meanwhile is found out at the end.
 */
#include "machine/kinds.h"

#include "base/watcher.h"
#include "drive/argument.h"
#include "drive/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image {
	struct drive_argument argument;
	struct drive *drive;
	char name[16]; /* of a drive without one: "disk0" */
};

struct machine {
	const struct watcher *watcher; /* borrowed */
	const struct strings *words;   /* borrowed */
	struct image *images;
	struct machine_drive *drives;
	unsigned n;
};

/* Standard input is there once. */
static int check_stdin(const struct machine *machine, struct error *err)
{
	unsigned n = 0;

	for (unsigned i = 0; i < machine->n; i++)
		n += strcmp(machine->images[i].argument.path, "-") == 0;
	return n > 1 ? fail(err, ERR_USAGE, "standard input can be one drive only") : 0;
}

static int open_image(struct machine *machine, const char *argument,
		      const struct machine_options *options, struct error *err)
{
	struct image *image = &machine->images[machine->n];
	struct drive_options how = {
		.allow_writers = options->allow_writers,
		.direct = options->direct,
		.keep = options->keep_images,
		.no_holes = options->no_holes,
	};

	TRY(drive_argument_parse(argument, &image->argument, err));
	snprintf(image->name, sizeof(image->name), "disk%u", machine->n);
	machine->n++;
	how.format = image->argument.suffix.format;
	how.size_bytes = image->argument.suffix.size_bytes;
	how.secret = image->argument.suffix.secret;
	how.internal = image->argument.suffix.snapshot;
	TRY(check_stdin(machine, err));
	TRY(drive_open(&image->drive, image->argument.path, &how, err));
	machine->drives[machine->n - 1] = (struct machine_drive){
		.name = image->argument.name != NULL ? image->argument.name : image->name,
		.path = image->argument.path,
		.size_bytes = drive_size(image->drive),
		.decrypted = image->argument.suffix.secret != NULL,
	};
	return 0;
}

static int images_open(struct machine **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	const struct strings *names = &options->images;
	struct machine *machine = *out = calloc(1, sizeof(*machine));

	if (machine == NULL)
		return fail_memory(err);
	machine->watcher = watcher;
	machine->words = names;
	machine->images = calloc((size_t)names->n + 1, sizeof(*machine->images));
	machine->drives = calloc((size_t)names->n + 1, sizeof(*machine->drives));
	if (machine->images == NULL || machine->drives == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < names->n; i++)
		TRY(open_image(machine, names->items[i], options, err));
	return 0;
}

static void images_describe(const struct machine *machine, struct machine_description *out)
{
	*out = (struct machine_description){
		.drives = machine->drives,
		.n_drives = machine->n,
		.images = machine->words,
	};
}

static int images_drive(struct machine *machine, uint32_t i, struct drive **out, struct error *err)
{
	(void)err;
	*out = machine->images[i].drive;
	return 0;
}

/* The archive may hold data from before and after a change. It is kept, but the user must know. */
static int images_finish(struct machine *machine, struct error *err)
{
	(void)err;
	for (unsigned i = 0; i < machine->n; i++) {
		const struct machine_drive *drive = &machine->drives[i];

		if (drive_warning(machine->images[i].drive) != NULL)
			watcher_warn(machine->watcher, "drive %s: %s", drive->name,
				     drive_warning(machine->images[i].drive));
		if (drive_was_changed(machine->images[i].drive))
			watcher_warn(
				machine->watcher,
				"drive %s: %s changed while it was read; this copy is inconsistent",
				drive->name, drive->path);
	}
	return 0;
}

static void images_end(struct machine *machine)
{
	if (machine == NULL)
		return;
	for (unsigned i = 0; i < machine->n; i++) {
		if (machine->images[i].drive != NULL)
			drive_close(machine->images[i].drive);
		drive_argument_free(&machine->images[i].argument);
	}
	free(machine->images);
	free(machine->drives);
	free(machine);
}

const struct machine_kind machine_images = {
	.open = images_open,
	.describe = images_describe,
	.drive = images_drive,
	.finish = images_finish,
	.end = images_end,
};
