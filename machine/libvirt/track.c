#include "machine/libvirt/track.h"

#include "base/bytes.h"
#include "base/watcher.h"
#include "machine/libvirt/checkpoint.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/job.h"
#include "machine/libvirt/parents.h"
#include "machine/libvirt/track_private.h"
#include "machine/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int libvirt_track_new(struct libvirt_track **out, struct domain *domain, struct domain_disks *disks,
		      const struct watcher *watcher, struct error *err)
{
	struct libvirt_track *track = calloc(1, sizeof(*track) + disks->n * sizeof(track->each[0]));

	if (track == NULL)
		return fail_memory(err);
	track->domain = domain;
	track->disks = disks;
	track->watcher = watcher;
	*out = track;
	return 0;
}

void libvirt_track_free(struct libvirt_track *track)
{
	free(track);
}

/* ---- the new one ---- */

/* qcow2 of compat=0.10 has no bitmaps. An image that cannot be read is left to libvirt. */
static bool is_old(const char *path)
{
	uint8_t head[8];
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool result;

	if (fd < 0)
		return false;
	result = pread(fd, head, sizeof(head), 0) == sizeof(head) &&
		 memcmp(head, "QFI\xfb", 4) == 0 && get_be(head + 4, 4) < 3;
	close(fd);
	return result;
}

static bool want_disk(struct tracked_disk *tracked, const struct domain_disk *disk,
		      const char *name)
{
	char image[IDENTITY_SIZE];

	tracked->can = disk->kept && strcmp(disk->format, "qcow2") == 0 && !is_old(disk->source);
	libvirt_parents_image(image, disk);
	snprintf(tracked->token, sizeof(tracked->token), TRACK_TOKEN "%s%s%s", name,
		 *image != '\0' ? "/" : "", image);
	return tracked->can;
}

void libvirt_track_want(struct libvirt_track *track, const uint8_t *uuid)
{
	bool any = false;

	track_name(track->name, uuid);
	for (unsigned i = 0; i < track->disks->n; i++) {
		const struct domain_disk *disk = &track->disks->disks[i];

		if (want_disk(&track->each[i], disk, track->name))
			any = true;
		else
			watcher_note(track->watcher,
				     "drive %s: nothing can record its changes: --track is for "
				     "qcow2 images (compat=1.1) that are written to",
				     disk->name);
	}
	if (!any)
		*track->name = '\0';
}

const char *libvirt_track_name(const struct libvirt_track *track)
{
	return *track->name == '\0' ? NULL : track->name;
}

const char *libvirt_track_token(const struct libvirt_track *track, uint32_t i)
{
	return track->each[i].can && *track->name != '\0' ? track->each[i].token : NULL;
}

int libvirt_track_text(const struct libvirt_track *track, const char *socket, char **out,
		       struct error *err)
{
	const char *name = libvirt_track_name(track), **targets;

	*out = NULL;
	if (name == NULL)
		return 0;
	targets = calloc(track->disks->n, sizeof(*targets));
	if (targets == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < track->disks->n; i++)
		targets[i] = track->each[i].can ? track->disks->disks[i].target : NULL;
	*out = libvirt_checkpoint_text(name, targets, track->disks->n, socket, false);
	free(targets);
	return *out == NULL ? fail_memory(err) : 0;
}

static void lose_new(struct libvirt_track *track, const char *why)
{
	*track->name = '\0';
	watcher_warn(track->watcher,
		     "nothing records what changes from now on, so the next increment reads all: "
		     "%s",
		     why);
}

/* ---- before the instant ---- */

/* One that is pending, of a run that is dead. */
static int remove_leftover(void *context, const char *name, struct error *err)
{
	struct libvirt_track *track = context;
	struct libvirt_checkpoint found;
	char id[RUN_ID_SIZE];
	struct error why = {0};
	int lock = -1;
	bool dead;

	if (!track_name_is_ours(name))
		return 0;
	if (libvirt_parents_find(track->domain, name, CHECKPOINT_WHOLE, &found, err) < 0)
		return err->code;
	dead = found.pending != NULL && rundir_id(found.pending, id);
	if (dead) {
		lock = libvirt_job_lock_dead(found.pending);
		dead = lock >= 0 || errno != EWOULDBLOCK;
	}
	libvirt_checkpoint_free(&found);
	/* One that libvirt keeps is no reason to have no backup. */
	if (dead && libvirt_checkpoint_remove(track->domain, name, &why) != 0)
		watcher_warn(track->watcher,
			     "checkpoint %s of a backup that has not ended stays: %s", name,
			     why.text);
	if (lock >= 0)
		close(lock);
	return 0;
}

int libvirt_track_look(struct libvirt_track *track, const struct machine_since *since,
		       struct error *err)
{
	const char *name = libvirt_track_name(track);
	struct error why = {0};
	char *xml = NULL;

	if (name != NULL) {
		TRY(domain_checkpoints(track->domain, remove_leftover, track, err));
		TRY(domain_checkpoint(track->domain, name, CHECKPOINT_WHOLE, &xml, err));
	}
	if (xml != NULL) {
		fail(&why, ERR_USAGE, "there is a checkpoint %s already", name);
		lose_new(track, why.text);
	}
	free(xml);
	libvirt_parents_look(track, since);
	return 0;
}

static bool lose_since(struct libvirt_track *track, const struct error *err)
{
	bool any = false;

	for (unsigned i = 0; i < track->disks->n; i++) {
		if (track->disks->disks[i].since == NULL)
			continue;
		any = true;
		track->disks->disks[i].since = NULL;
		snprintf(track->each[i].why, sizeof(track->each[i].why), "%.180s", err->text);
	}
	return any;
}

bool libvirt_track_yield(struct libvirt_track *track, const struct error *err)
{
	if (err->code == ERR_LOCKED)
		return false;
	if (err->code == ERR_UNSUPPORTED && lose_since(track, err))
		return true;
	if (*track->name == '\0')
		return lose_since(track, err);
	lose_new(track, err->text);
	return true;
}

const char *libvirt_track_unknown(const struct libvirt_track *track, uint32_t i)
{
	return track->disks->disks[i].since == NULL ? track->each[i].why : NULL;
}

/* ---- once the archive is durable ---- */

unsigned libvirt_track_count(const struct libvirt_track *track)
{
	unsigned n = 0;

	for (unsigned i = 0; i < track->disks->n; i++)
		n += libvirt_track_token(track, i) != NULL;
	return n;
}

int libvirt_track_good(struct libvirt_track *track, struct error *err)
{
	char *xml, *good;
	int code;

	TRY(domain_checkpoint(track->domain, libvirt_track_name(track), CHECKPOINT_WHOLE, &xml,
			      err));
	if (xml == NULL)
		return fail(err, ERR_SYSTEM, "its checkpoint has gone");
	good = libvirt_checkpoint_text_good(xml);
	free(xml);
	if (good == NULL)
		return fail_memory(err);
	code = domain_checkpoint_redefine(track->domain, good, true, err);
	free(good);
	return code;
}

/* All of its disks are in the new one, too. */
static bool is_followed(const struct libvirt_track *track, const struct libvirt_checkpoint *found)
{
	unsigned n = 0, n_followed = 0;

	for (unsigned i = 0; i < found->n; i++)
		n += found->disks[i].recorded;
	for (unsigned i = 0; i < track->disks->n; i++) {
		const struct libvirt_checkpoint_disk *disk =
			libvirt_checkpoint_disk(found, track->disks->disks[i].target);

		n_followed += track->each[i].can && disk != NULL && disk->recorded;
	}
	return n_followed == n;
}

static bool is_broken(const struct libvirt_checkpoint *found)
{
	for (unsigned i = 0; i < found->n; i++) {
		if (found->disks[i].recorded && found->disks[i].sound)
			return false;
	}
	return found->pending == NULL;
}

struct tidying {
	struct libvirt_track *track;
	bool keep_parents;
};

static bool is_parent(const struct libvirt_track *track, const char *name)
{
	for (unsigned i = 0; i < track->disks->n; i++) {
		if (strcmp(track->each[i].since, name) == 0)
			return true;
	}
	return false;
}

static int tidy_one(void *context, const char *name, struct error *err)
{
	const struct tidying *tidying = context;
	struct libvirt_track *track = tidying->track;
	struct libvirt_checkpoint found;
	struct error unknown;
	bool goes;

	if (!track_name_is_ours(name) || strcmp(name, libvirt_track_name(track)) == 0)
		return 0;
	/* What cannot be looked at stays. */
	if (libvirt_parents_find(track->domain, name, CHECKPOINT_SIZES, &found, &unknown) <= 0)
		return 0;
	goes = (is_broken(&found) ||
		(!tidying->keep_parents && is_parent(track, name) && is_followed(track, &found)));
	libvirt_checkpoint_free(&found);
	return goes ? libvirt_checkpoint_remove(track->domain, name, err) : 0;
}

void libvirt_track_tidy(struct libvirt_track *track, bool keep_parents)
{
	struct tidying tidying = {track, keep_parents};
	struct error err = {0};

	if (domain_checkpoints(track->domain, tidy_one, &tidying, &err) != 0)
		watcher_warn(track->watcher, "an old checkpoint is left: %s", err.text);
}
