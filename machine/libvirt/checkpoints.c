/*
 * The checkpoints that libvirt has of a domain that runs, for whoever asks for them.
 */
#include "base/track_name.h"
#include "machine/checkpoint.h"
#include "machine/libvirt/checkpoint.h"
#include "machine/libvirt/deadline.h"
#include "machine/libvirt/description.h"
#include "machine/libvirt/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint_source {
	struct domain *domain;
	struct domain_disks disks;
};

static void close_source(struct checkpoint_source *source)
{
	if (source == NULL)
		return;
	domain_close(source->domain);
	domain_disks_free(&source->disks);
	free(source);
}

static int open_domain(struct checkpoint_source *source, const struct machine_options *options,
		       struct error *err)
{
	const struct strings all = {.n = 0};
	char *xml;
	bool runs;
	int code;

	TRY(domain_open(&source->domain, options->connect, options->place, err));
	TRY(domain_runs(source->domain, &runs, err));
	if (!runs)
		return fail(err, ERR_SYSTEM,
			    "domain '%s': is off, and libvirt tells of its bitmaps only while it "
			    "runs",
			    domain_shown(source->domain));
	TRY(domain_description(source->domain, false, &xml, err));
	code = domain_disks_parse(&source->disks, xml, err);
	free(xml);
	TRY(code);
	return domain_disks_choose(&source->disks, &all, err);
}

static int open_source(struct checkpoint_source **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct checkpoint_source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return fail_memory(err);
	if (deadlines_start(watcher, err) < 0 || open_domain(source, options, err) < 0) {
		close_source(source);
		return err->code;
	}
	*out = source;
	return 0;
}

/* ---- list ---- */

static int list_drives(struct checkpoint_source *source, struct checkpoint_list *out,
		       struct error *err)
{
	out->drives = calloc(source->disks.n, sizeof(*out->drives));
	if (out->drives == NULL)
		return fail_memory(err);
	for (; out->n_drives < source->disks.n; out->n_drives++) {
		const struct domain_disk *disk = &source->disks.disks[out->n_drives];
		struct checkpoint_drive *drive = &out->drives[out->n_drives];

		snprintf(drive->name, sizeof(drive->name), "%s", disk->name);
		TRY(domain_disk_size(source->domain, disk->target, &drive->size_bytes, err));
	}
	return 0;
}

/* disk: NULL: no disk's bitmap is sound. */
static int add_line(struct checkpoint_drive *drive, const struct libvirt_checkpoint *found,
		    const char *name, const struct libvirt_checkpoint_disk *disk, struct error *err)
{
	bool ours = track_name_is_ours(name);
	struct checkpoint_line *lines =
		reallocarray(drive->lines, drive->n_lines + 1, sizeof(*lines));
	struct checkpoint_line *line;

	if (lines == NULL)
		return fail_memory(err);
	drive->lines = lines;
	line = &lines[drive->n_lines++];
	*line = (struct checkpoint_line){
		.it = {.instant_ns = found->created_s * 1000000000u,
		       .good = found->pending == NULL && disk != NULL},
		.changed_bytes = disk != NULL ? disk->changed_bytes : drive->size_bytes,
		.broken = disk == NULL,
	};
	snprintf(line->it.name, sizeof(line->it.name), "%s", name);
	if (ours && found->good)
		track_name_uuid(line->it.uuid, name);
	return 0;
}

struct listing {
	struct checkpoint_source *source;
	struct checkpoint_list *out;
};

static bool is_broken(const struct libvirt_checkpoint *found)
{
	bool any = false;

	for (unsigned i = 0; i < found->n; i++) {
		any = any || found->disks[i].recorded;
		if (found->disks[i].recorded && found->disks[i].sound)
			return false;
	}
	return any;
}

/* A drive whose bitmap is lost or broken has no such checkpoint. One without a sound bitmap in any
 * drive is told all the same, as libvirt has it, and its bitmaps forbid some of what people do. */
static int list_one(void *context, const char *name, struct error *err)
{
	const struct listing *listing = context;
	struct libvirt_checkpoint found = {0};
	bool broken;
	char *xml;
	int code;

	if (strlen(name) >= CHECKPOINT_NAME_SIZE)
		return 0;
	TRY(domain_checkpoint(listing->source->domain, name, CHECKPOINT_SIZES, &xml, err));
	if (xml == NULL)
		return 0;
	code = libvirt_checkpoint_parse(&found, xml, err);
	free(xml);
	broken = is_broken(&found);
	for (uint32_t i = 0; i < listing->out->n_drives && code == 0; i++) {
		const struct libvirt_checkpoint_disk *disk =
			libvirt_checkpoint_disk(&found, listing->source->disks.disks[i].target);

		if (disk != NULL && disk->recorded && (disk->sound || broken))
			code = add_line(&listing->out->drives[i], &found, name,
					broken ? NULL : disk, err);
	}
	libvirt_checkpoint_free(&found);
	return code;
}

static int compare(const void *one, const void *other)
{
	const struct checkpoint_line *a = one, *b = other;

	return (a->it.instant_ns > b->it.instant_ns) - (a->it.instant_ns < b->it.instant_ns);
}

static int list(struct checkpoint_source *source, struct checkpoint_list *out, struct error *err)
{
	struct listing listing = {source, out};

	*out = (struct checkpoint_list){0};
	TRY(list_drives(source, out, err));
	TRY(domain_checkpoints(source->domain, list_one, &listing, err));
	for (uint32_t i = 0; i < out->n_drives; i++) {
		struct checkpoint_drive *drive = &out->drives[i];

		if (drive->n_lines > 1)
			qsort(drive->lines, drive->n_lines, sizeof(*drive->lines), compare);
	}
	return 0;
}

/* ---- remove ---- */

static int remove_named(struct checkpoint_source *source, const char *name, struct error *err)
{
	char *xml, *backup;

	if (!track_name_is_ours(name))
		return fail(err, ERR_USAGE,
			    "checkpoint %.60s: is not by vmabak; 'virsh checkpoint-delete' deletes "
			    "it",
			    name);
	TRY(domain_checkpoint(source->domain, name, CHECKPOINT_WHOLE, &xml, err));
	if (xml == NULL)
		return fail(err, ERR_USAGE, "checkpoint %.60s: there is none of that name", name);
	free(xml);
	TRY(domain_backup(source->domain, &backup, err));
	if (backup != NULL) {
		free(backup);
		return fail(err, ERR_LOCKED, "domain '%s': a backup of it runs",
			    domain_shown(source->domain));
	}
	return libvirt_checkpoint_remove(source->domain, name, err);
}

const struct checkpoint_kind checkpoint_libvirt = {
	.open = open_source,
	.list = list,
	.remove = remove_named,
	.close = close_source,
};
