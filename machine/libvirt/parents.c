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

uint64_t libvirt_parents_inode(const struct domain_disk *disk)
{
	struct stat found;

	return disk->source != NULL && stat(disk->source, &found) == 0 && S_ISREG(found.st_mode)
		       ? (uint64_t)found.st_ino
		       : 0;
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
	if (strncmp(at, TRACK_INODE, strlen(TRACK_INODE)) == 0)
		tracked->inode = strtoull(at + strlen(TRACK_INODE), NULL, 10);
}

static bool is_elsewhere(const struct domain_disks *disks, uint64_t inode)
{
	for (unsigned i = 0; i < disks->n; i++) {
		if (libvirt_parents_inode(&disks->disks[i]) == inode)
			return true;
	}
	for (unsigned i = 0; i < disks->n_others; i++) {
		if (libvirt_parents_inode(&disks->others[i]) == inode)
			return true;
	}
	return false;
}

/* The bitmaps of a backup have one name in all images, so one of another disk would do. An image
 * that is new, as that of an external snapshot, has got its bitmap from libvirt. */
static void check_swapped(struct libvirt_track *track, unsigned i)
{
	uint64_t inode = libvirt_parents_inode(&track->disks->disks[i]);
	struct tracked_disk *tracked = &track->each[i];

	if (tracked->inode == inode)
		return;
	for (unsigned j = 0; j < track->disks->n && inode != 0; j++) {
		if (j != i && track->each[j].inode == inode)
			snprintf(tracked->why, sizeof(tracked->why),
				 "its image was that of drive %.60s", track->disks->disks[j].name);
	}
	if (*tracked->why == '\0' && tracked->inode != 0 &&
	    is_elsewhere(track->disks, tracked->inode))
		snprintf(tracked->why, sizeof(tracked->why),
			 "the parent's is of another disk of the domain");
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
