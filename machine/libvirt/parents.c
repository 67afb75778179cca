#include "machine/libvirt/parents.h"

#include "base/watcher.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/track_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Backups of a domain that was off have the tokens of images, which end the same way. */
static const char *const prefixes[] = {TRACK_TOKEN, "qcow2:bitmap/"};

void libvirt_parents_image(char out[IDENTITY_SIZE], const struct domain_disk *disk)
{
	struct stat found;

	if (disk->source == NULL || stat(disk->source, &found) != 0 || !identity_find(out, &found))
		*out = '\0';
}

int libvirt_parents_find(struct domain *domain, const char *name, enum checkpoint_view view,
			 struct libvirt_checkpoint *out, struct error *err)
{
	char *xml;
	int code;

	*out = (struct libvirt_checkpoint){0};
	TRY(domain_checkpoint(domain, name, view, &xml, err));
	if (xml == NULL)
		return 0;
	code = libvirt_checkpoint_parse(out, xml, err);
	free(xml);
	if (code != 0)
		libvirt_checkpoint_free(out);
	return code != 0 ? code : 1;
}

/* Why its bitmap tells nothing of the disk; NULL: it does. */
static const char *fault_of(const struct libvirt_checkpoint *found, const char *target)
{
	const struct libvirt_checkpoint_disk *disk = libvirt_checkpoint_disk(found, target);

	if (found->pending != NULL)
		return "the checkpoint's backup has not ended";
	if (!found->good)
		return "the checkpoint of that name is not by vmabak";
	if (disk == NULL || !disk->recorded)
		return "the checkpoint does not record in this disk";
	return disk->sound ? NULL
			   : "the bitmap of the checkpoint is lost or broken, as after a crash or "
			     "with another image";
}

static void judge(struct libvirt_track *track, const char *name,
		  const struct libvirt_checkpoint *found, const char *instead)
{
	for (unsigned i = 0; i < track->disks->n; i++) {
		struct tracked_disk *tracked = &track->each[i];
		struct domain_disk *disk = &track->disks->disks[i];
		const char *why = instead;

		if (strcmp(tracked->since, name) != 0 || *tracked->why != '\0')
			continue;
		if (why == NULL)
			why = fault_of(found, disk->target);
		if (why != NULL)
			snprintf(tracked->why, sizeof(tracked->why), "%.180s", why);
		else
			disk->since = tracked->since;
	}
}

/* Of these disks; true: QEMU has the bitmap in each, and libvirt has the checkpoint again. */
static bool redefine(struct libvirt_track *track, const char *name, const char *const *targets,
		     unsigned n)
{
	char *xml = libvirt_checkpoint_text(name, targets, n, NULL, true);
	struct error ignored;
	bool done =
		xml != NULL && domain_checkpoint_redefine(track->domain, xml, true, &ignored) == 0;

	free(xml);
	return done;
}

/* libvirt forgets its checkpoints where a domain is undefined, or moved to another host with its
 * images; the bitmaps are in these. Each disk is tried alone, as one without would spoil the
 * others. */
static bool recover(struct libvirt_track *track, const char *name)
{
	const char **targets = calloc(track->disks->n, sizeof(*targets));
	unsigned n = 0;
	bool done;

	for (unsigned i = 0; i < track->disks->n && targets != NULL; i++) {
		targets[n] = track->disks->disks[i].target;
		if (strcmp(track->each[i].since, name) == 0 &&
		    redefine(track, name, targets + n, 1))
			n++;
	}
	done = n > 0 && redefine(track, name, targets, n);
	free(targets);
	if (done)
		watcher_note(track->watcher,
			     "libvirt had lost checkpoint %s, but QEMU has its bitmaps", name);
	return done;
}

static void look_at(struct libvirt_track *track, const char *name)
{
	struct libvirt_checkpoint found;
	struct error err = {0};
	int code = libvirt_parents_find(track->domain, name, CHECKPOINT_SIZES, &found, &err);

	if (code == 0 && recover(track, name))
		code = libvirt_parents_find(track->domain, name, CHECKPOINT_SIZES, &found, &err);

	judge(track, name, &found,
	      code < 0	  ? err.text
	      : code == 0 ? "libvirt has no checkpoint of the parent's, and QEMU no sound bitmap"
			  : NULL);
	libvirt_checkpoint_free(&found);
}

static void parse_token(struct tracked_disk *tracked, const char *token)
{
	const char *at = NULL;

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && at == NULL; i++) {
		if (strncmp(token, prefixes[i], strlen(prefixes[i])) == 0)
			at = token + strlen(prefixes[i]);
	}
	if (at == NULL || strlen(at) < TRACK_NAME_SIZE - 1)
		return;
	snprintf(tracked->since, TRACK_NAME_SIZE, "%s", at);
	at += TRACK_NAME_SIZE - 1;
	if (!track_name_is_ours(tracked->since) || (*at != '\0' && *at != '/')) {
		*tracked->since = '\0';
		return;
	}
	if (*at == '/')
		snprintf(tracked->image, sizeof(tracked->image), "%.*s", (int)strcspn(at + 1, "/"),
			 at + 1);
}

static bool is_image_of(const struct domain_disk *disk, const char *image)
{
	char now[IDENTITY_SIZE];

	libvirt_parents_image(now, disk);
	return strcmp(now, image) == 0;
}

static bool is_elsewhere(const struct domain_disks *disks, unsigned i, const char *image)
{
	for (unsigned j = 0; j < disks->n; j++) {
		if (j != i && is_image_of(&disks->disks[j], image))
			return true;
	}
	for (unsigned j = 0; j < disks->n_others; j++) {
		if (is_image_of(&disks->others[j], image))
			return true;
	}
	return false;
}

static bool is_device(const char *image)
{
	return strncmp(image, "device-", 7) == 0;
}

/* The bitmaps of a backup have one name in all images, so one of another disk would do. An image
 * that is new, as that of an external snapshot, has got its bitmap from libvirt; a device instead
 * of another has not. */
static void check_swapped(struct libvirt_track *track, unsigned i)
{
	struct tracked_disk *tracked = &track->each[i];
	char image[IDENTITY_SIZE];

	libvirt_parents_image(image, &track->disks->disks[i]);
	if (strcmp(tracked->image, image) == 0 && !is_device(image))
		return;
	for (unsigned j = 0; j < track->disks->n && *image != '\0'; j++) {
		if (j != i && strcmp(track->each[j].image, image) == 0)
			snprintf(tracked->why, sizeof(tracked->why),
				 "its image was that of drive %.60s", track->disks->disks[j].name);
	}
	if (*tracked->why != '\0' || (*tracked->image == '\0' && !is_device(image)))
		return;
	if (*tracked->image == '\0')
		snprintf(tracked->why, sizeof(tracked->why),
			 "the parent does not tell on which device it lay");
	else if (is_elsewhere(track->disks, i, tracked->image))
		snprintf(tracked->why, sizeof(tracked->why),
			 "the parent's is of another disk of the domain");
	else if (strcmp(tracked->image, image) != 0 && is_device(tracked->image) &&
		 is_device(image))
		snprintf(tracked->why, sizeof(tracked->why), "it lies on another device");
}

void libvirt_parents_look(struct libvirt_track *track, const struct machine_since *since)
{
	for (unsigned i = 0; i < track->disks->n && since->tokens != NULL; i++) {
		if (since->tokens[i] != NULL)
			parse_token(&track->each[i], since->tokens[i]);
	}
	for (unsigned i = 0; i < track->disks->n; i++)
		check_swapped(track, i);
	for (unsigned i = 0; i < track->disks->n; i++) {
		const struct tracked_disk *tracked = &track->each[i];

		if (*tracked->since != '\0' && *tracked->why == '\0' &&
		    track->disks->disks[i].since == NULL)
			look_at(track, tracked->since);
	}
}

int libvirt_parents_named(struct libvirt_track *track, const char *name, struct error *err)
{
	if (!track_name_is_ours(name))
		return fail(err, ERR_USAGE, "checkpoint %.60s: is not by vmabak", name);
	for (unsigned i = 0; i < track->disks->n; i++)
		snprintf(track->each[i].since, TRACK_NAME_SIZE, "%s", name);
	for (unsigned i = 0; i < track->disks->n; i++)
		check_swapped(track, i);
	look_at(track, name);
	for (unsigned i = 0; i < track->disks->n; i++) {
		const struct domain_disk *disk = &track->disks->disks[i];

		if (disk->since == NULL)
			return fail(err, ERR_USAGE, "drive %s: has no good checkpoint %s: %s",
				    disk->name, name, track->each[i].why);
	}
	return 0;
}
