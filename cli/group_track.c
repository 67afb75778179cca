#include "cli/group_track.h"

#include "archive/create.h"
#include "archive/open.h"
#include "base/json.h"
#include "base/text.h"
#include "base/track_name.h"
#include "base/watcher.h"
#include "cli/group_changes.h"
#include "cli/memory.h"
#include "cli/sources.h"
#include "drive/argument.h"
#include "machine/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option_spec track_specs[] = {
	{"track", 0, OPTION_FLAG, OPTION_FIELD(track_options, track),
	 .help = "leave a bitmap in each qcow2 image or in QEMU (libvirt: a checkpoint), by which "
		 "the next increment finds what changed",
	 .sources = SOURCE_DRIVES | SOURCE_LIBVIRT | SOURCE_QEMU},
	{"state", 0, OPTION_TEXT, OPTION_FIELD(track_options, state), .argument = "DIR",
	 .help = "qemu, with --track: where the maps of what changed are kept (default: "
		 "/var/lib/vmabak/MACHINE, or .vmabak/VM in the folder of --to)",
	 .sources = SOURCE_QEMU},
	OPTIONS_END,
};

struct tracked_image {
	struct drive_argument argument;
	char name[16]; /* of a drive without one */
	char *token;   /* owned */
};

static int parse_all(struct tracked_images *out, const struct strings *arguments, struct error *err)
{
	out->images = memory_new(arguments->n + 1, sizeof(*out->images));
	out->sources = memory_new(arguments->n + 1, sizeof(*out->sources));
	for (; out->n < arguments->n; out->n++) {
		struct tracked_image *image = &out->images[out->n];

		TRY(drive_argument_parse(arguments->items[out->n], &image->argument, err));
		snprintf(image->name, sizeof(image->name), "disk%u", out->n);
		out->sources[out->n] = (struct image_source){
			.name = image->argument.name != NULL ? image->argument.name : image->name,
			.path = image->argument.path,
			.suffix = &image->argument.suffix,
		};
	}
	return 0;
}

/* In a folder of chains it is chosen whether there is a parent. */
static int without_parent(const struct tracked_images *images, const struct image_source *source,
			  const struct create *create, struct error *err)
{
	if (create->head == NULL || !create->head->sums_beside)
		return fail(err, ERR_USAGE,
			    "drive %s: what changed since an archive is of use with --parent only",
			    source->name);
	watcher_note(images->watcher,
		     "drive %s: it is not asked what changed, as the archive is to be a full one",
		     source->name);
	return 0;
}

static int ask_one(const struct tracked_images *images, const struct image_source *source,
		   const struct create *create, struct changes **out, struct error *err)
{
	if (!image_source_tells(source))
		return 0;
	if (*out != NULL)
		return fail(err, ERR_USAGE, "drive %s: has a list of --changed already",
			    source->name);
	if (create->head == NULL || create->head->parent == NULL)
		return without_parent(images, source, create, err);
	*out = memory_new(1, sizeof(**out));
	if (image_changes(*out, source, err) != 0) {
		error_prefix(err, "drive %s", source->name);
		return err->code;
	}
	return 0;
}

int track_check(const struct track_options *options, const struct machine_options *machine,
		const struct create *create, struct error *err)
{
	if (!options->track)
		return options->state == NULL ? 0 : fail(err, ERR_USAGE, "--state needs --track");
	if (machine->allow_writers)
		return fail(err, ERR_USAGE, "--track and --allow-writers exclude each other");
	if (create->plan.format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--track: VMA has no increments, VMAB does");
	return 0;
}

int tracked_images_open(struct tracked_images *out, const struct track_options *options,
			const struct strings *images, const struct create *create,
			struct drive_changes *changes, struct error *err)
{
	TRY(parse_all(out, images, err));
	for (unsigned i = 0; i < out->n; i++) {
		TRY(image_source_check(&out->sources[i], out->shared, err));
		TRY(ask_one(out, &out->sources[i], create, &changes->of[i], err));
	}
	return options->track ? track_new(&out->track, out->sources, out->n, out->watcher, err) : 0;
}

/* "libvirt:NAME/IDENTITY", of a backup while the domain ran, of the image for "qcow2:bitmap/" and
 * the same, whatever lies below it. */
static bool is_of_libvirt(const struct text *token, const char *since)
{
	static const char ours[] = "libvirt:", theirs[] = "qcow2:bitmap/", below[] = "/below-";
	size_t own = sizeof(ours) - 1, length;
	const char *rest = since + sizeof(theirs) - 1;

	if (token->length <= own || memcmp(token->bytes, ours, own) != 0 ||
	    strncmp(since, theirs, sizeof(theirs) - 1) != 0)
		return false;
	length = token->length - own;
	return strncmp(rest, (const char *)token->bytes + own, length) == 0 &&
	       (rest[length] == '\0' || strncmp(rest + length, below, sizeof(below) - 1) == 0);
}

/* Whether what was found begins at the instant that the parent shows, which it then names as the
 * parent does. */
static int check_found(struct changes *found, const struct image_source *source,
		       const struct create *create, uint32_t drive, struct error *err)
{
	const struct parent *parent = &create->parent;
	const struct drive_mark *mark = &parent->marks[parent->drive_of[drive]];

	if (parent_drive_size(parent, drive) != create->archive->drives[drive].size_bytes)
		return fail(err, ERR_UNSUPPORTED, "%s: has another size than its parent",
			    source->path);
	if (is_of_libvirt(&mark->token, found->since)) {
		free(found->since);
		found->since = memory_new(1, mark->token.length + 1);
		memcpy(found->since, mark->token.bytes, mark->token.length);
	}
	if (!drive_mark_names(mark, found->since))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: the parent has another token of it: it, or a file below it, was "
			    "replaced or written by other means",
			    source->path);
	return 0;
}

/* Whether the parent names the bitmap that it left in the image. */
static bool parent_left_bitmap(const struct create *create, uint32_t i)
{
	const struct parent *parent = &create->parent;
	const struct text *token = &parent->marks[parent->drive_of[i]].token;
	char name[TRACK_NAME_SIZE], bitmap[TRACK_NAME_SIZE + 20];

	snprintf(bitmap, sizeof(bitmap), "qcow2:bitmap/%s/",
		 track_name(name, create->archive->parent));
	return token->length > 0 &&
	       memmem(token->bytes, token->length, bitmap, strlen(bitmap)) != NULL;
}

/* A bitmap that is of no use only costs reading. */
static void find_one(const struct tracked_images *images, uint32_t i, const struct create *create,
		     struct drive_changes *changes)
{
	const struct image_source *source = &images->sources[i];
	struct changes found = {0};
	struct error err = {0};
	int code = image_changes_tracked(&found, source, create->archive->parent, &err);

	if (code == 1 && check_found(&found, source, create, i, &err) != 0) {
		changes_free(&found);
		code = err.code;
	}
	if (code < 0)
		watcher_note(images->watcher,
			     "drive %s: all of it is compared: the bitmap of the last backup is of "
			     "no use: %s",
			     source->name, err.text);
	if (code == 0 && parent_left_bitmap(create, i))
		watcher_note(images->watcher,
			     "drive %s: all of it is compared: the bitmap of its parent is not in "
			     "%s: a newer backup or another program removed it, or the image was "
			     "replaced",
			     source->name, source->path);
	if (code != 1)
		return;
	changes->of[i] = memory_new(1, sizeof(*changes->of[i]));
	*changes->of[i] = found;
}

static bool can_have_bitmap(const struct create *create, const struct image_source *source,
			    uint32_t i)
{
	const struct parent *parent = &create->parent;

	return archive_is_incremental(create->archive) && source->suffix->snapshot == NULL &&
	       image_source_is_qcow2(source) &&
	       parent->drive_of[i] != sums_archive(parent->found.sums)->n_drives;
}

/* A list given with --track has a name for the instant, too. */
static int add_until(char **token, const struct changes *changes, struct error *err)
{
	char *both;

	if (changes == NULL || changes->until == NULL || strcmp(*token, changes->until) == 0)
		return 0;
	both = text_make("%s\n%s", changes->until, *token);
	if (both == NULL)
		return fail_memory(err);
	free(*token);
	*token = both;
	return 0;
}

/* That an instant has no name only keeps lists from being used. */
static int set_token(struct tracked_images *images, uint32_t i, struct create *create,
		     const struct changes *changes, struct error *err)
{
	const uint8_t *tracked = images->track != NULL ? create->archive->uuid : NULL;
	const struct image_source *source = &images->sources[i];
	char **token = &images->images[i].token;
	struct error why = {0};

	if (create->plan.format != FORMAT_VMAB)
		return 0;
	if (image_token(token, source, tracked, &why) != 0) {
		if (why.sys == ENOMEM)
			return fail_memory(err);
		watcher_note(images->watcher,
			     "drive %s: its instant gets no token, so no list can be shown to "
			     "begin there: %s",
			     source->name, why.text);
		return 0;
	}
	if (*token == NULL)
		return 0;
	TRY(add_until(token, changes, err));
	return create_set_token(create, i, *token, err);
}

int tracked_images_find(struct tracked_images *images, struct create *create,
			struct drive_changes *changes, struct error *err)
{
	for (uint32_t i = 0; i < images->n; i++) {
		if (changes->of[i] == NULL && can_have_bitmap(create, &images->sources[i], i))
			find_one(images, i, create, changes);
		TRY(set_token(images, i, create, changes->of[i], err));
	}
	return 0;
}

void tracked_images_changed(struct tracked_images *images, uint32_t drive)
{
	if (images->track != NULL)
		track_leave(images->track, drive);
}

void tracked_images_record(struct tracked_images *images, const struct create *create,
			   unsigned n_others, struct json_t *result)
{
	bool pipe = strcmp(create->name, "-") == 0;
	unsigned n = images->track == NULL
			     ? 0
			     : track_record(images->track, create->archive->uuid, pipe);

	json_put_number(result, "n_tracked", n + n_others);
}

void tracked_images_free(struct tracked_images *images)
{
	track_free(images->track);
	for (unsigned i = 0; i < images->n; i++) {
		drive_argument_free(&images->images[i].argument);
		free(images->images[i].token);
	}
	free(images->images);
	free(images->sources);
	*images = (struct tracked_images){0};
}
