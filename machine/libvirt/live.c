/*
 * The order. The domain is defined with its disks at the exports, and started. libvirt copies each
 * disk to its file, and moves it, both in what runs and in the definition. Where all of this is can
 * be seen in the domain's description at any time, so nothing is noted anywhere: a later run looks
 * and goes on.
 */
#include "machine/libvirt/live.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/pace.h"
#include "base/watcher.h"
#include "machine/libvirt/deadline.h"
#include "machine/libvirt/define.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/live_disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct libvirt_live {
	const struct libvirt_live_options *options;
	const struct watcher *watcher;
	const struct libvirt_live_parts *parts;
	const struct libvirt_live_drive *drives;
	unsigned n;
	struct libvirt_define_options defining;
	struct libvirt_define *define; /* NULL: the domain is there */
	struct domain *domain;	       /* NULL: to be connected again */
	bool found, runs;
	struct live_disk *disks; /* owned; NULL: not looked for yet */
	uint64_t *done;		 /* owned: bytes copied of each drive */
	uint64_t rate;		 /* that the jobs have; UINT64_MAX: of another run, perhaps */
};

static bool has(struct text part)
{
	return part.bytes != NULL;
}

int libvirt_live_open(struct libvirt_live **out, const struct libvirt_live_options *options,
		      const struct watcher *watcher, struct error *err)
{
	struct libvirt_live *live = calloc(1, sizeof(*live));

	if (live == NULL)
		return fail_memory(err);
	live->options = options;
	live->watcher = watcher;
	live->rate = UINT64_MAX;
	if (deadlines_start(watcher, err) < 0 ||
	    domain_connect(&live->domain, options->connect, err) < 0) {
		libvirt_live_close(live);
		return err->code;
	}
	*out = live;
	return 0;
}

void libvirt_live_close(struct libvirt_live *live)
{
	if (live == NULL)
		return;
	live_disks_free(live->disks, live->n);
	libvirt_define_close(live->define);
	domain_close(live->domain);
	free(live->done);
	free(live);
}

/* ---- how it is ---- */

/* Finds the domain, whether it runs, and its disks: as they are, or if it is off, will be. */
static int look(struct libvirt_live *live, struct error *err)
{
	char *xml = NULL;
	int code = 0;

	live_disks_free(live->disks, live->n);
	live->disks = calloc((size_t)live->n + 1, sizeof(*live->disks));
	if (live->disks == NULL)
		return fail_memory(err);
	if (live->domain == NULL)
		TRY(domain_connect(&live->domain, live->options->connect, err));
	TRY(domain_find(live->domain, live->options->name, &live->found, err));
	if (!live->found)
		return 0;
	TRY(domain_runs(live->domain, &live->runs, err));
	code = domain_description(live->domain, !live->runs, &xml, err);
	if (code == 0)
		code = live_disks_find(live->disks, xml, live->options->socket, live->drives,
				       live->n, err);
	free(xml);
	return code;
}

/* libvirt may have been started anew. */
static void hang_up(struct libvirt_live *live)
{
	if (live->domain != NULL && domain_is_connected(live->domain))
		return;
	domain_close(live->domain);
	live->domain = NULL;
}

static bool is_ours(const struct libvirt_live *live)
{
	for (unsigned i = 0; i < live->n; i++) {
		if (live->disks[i].target == NULL)
			return false;
	}
	return true;
}

static bool has_moved(const struct libvirt_live *live)
{
	for (unsigned i = 0; i < live->n; i++) {
		if (live->disks[i].target == NULL || !live->disks[i].is_file)
			return false;
	}
	return true;
}

/* ---- before it begins ---- */

static int check_parts(const struct libvirt_live *live, struct error *err)
{
	for (unsigned i = 0; i < live->n; i++) {
		const char *name = live->drives[i].name;

		if (!libvirt_define_has_drive(live->define, name))
			return fail(err, ERR_USAGE,
				    "drive %s: libvirt.xml of the archive has no disk of that "
				    "name; choose those that it has by --drive",
				    name);
	}
	if (libvirt_define_has_tpm(live->define) && has(live->parts->vtpm))
		return fail(err, ERR_UNSUPPORTED,
			    "the domain has a TPM, whose state a live restore does not put back: "
			    "restore it with --define, without --live");
	return 0;
}

static int prepare_definition(struct libvirt_live *live, struct error *err)
{
	if (!has(live->parts->xml))
		return fail(err, ERR_USAGE,
			    "the archive has no libvirt.xml, as a backup of libvirt:DOMAIN makes "
			    "it: define domain '%s' with its disks at the exports, and begin again",
			    live->options->name);
	live->defining = (struct libvirt_define_options){
		.connection = live->domain,
		.name = live->options->name,
		.same_name = true,
		.replace = live->options->replace,
	};
	TRY(libvirt_define_open(&live->define, live->parts->xml, &live->defining, live->watcher,
				err));
	return check_parts(live, err);
}

int libvirt_live_check(struct libvirt_live *live, const struct libvirt_live_parts *parts,
		       const struct libvirt_live_drive *drives, unsigned n, struct error *err)
{
	live->parts = parts;
	live->drives = drives;
	live->n = n;
	live->done = calloc((size_t)n + 1, sizeof(*live->done));
	if (live->done == NULL)
		return fail_memory(err);
	TRY(look(live, err));
	if (live->found && is_ours(live))
		return 0;
	if (live->found && live->runs)
		return fail(err, ERR_LOCKED,
			    "domain '%s': runs already, and not from the exports of this restore",
			    domain_shown(live->domain));
	return prepare_definition(live, err);
}

/* ---- the beginning ---- */

/* Never over one that is there. */
static int put_nvram(const char *path, struct text content, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), sys = 0;

	if (fd < 0)
		return fail_system(err, errno, "the firmware's variables, %s", path);
	sys = io_write(fd, content.bytes, content.length);
	if (sys == 0 && fsync(fd) != 0)
		sys = errno;
	close(fd);
	if (sys == 0)
		sys = io_sync_folder(path);
	if (sys == 0)
		return 0;
	unlink(path);
	return fail_system(err, sys, "the firmware's variables, %s", path);
}

static int define(struct libvirt_live *live, struct error *err)
{
	struct placed_drive *placed = calloc((size_t)live->n + 1, sizeof(*placed));
	struct placed all = {.drives = placed, .n = live->n};
	int code = placed == NULL ? fail_memory(err) : 0;

	for (unsigned i = 0; i < live->n && code == 0; i++)
		placed[i] = (struct placed_drive){
			.name = live->drives[i].name,
			.format = "raw",
			.socket = live->options->socket,
		};
	if (code == 0 && has(live->parts->nvram)) {
		all.nvram = live->options->nvram;
		code = put_nvram(all.nvram, live->parts->nvram, err);
	}
	if (code == 0) {
		code = libvirt_define_run(live->define, &all, err);
		if (code < 0 && all.nvram != NULL)
			unlink(all.nvram);
	}
	free(placed);
	return code;
}

/* QEMU may be another user, who has to reach the exports, and nobody else has. */
static int give_socket(const struct libvirt_live *live, struct error *err)
{
	uid_t user;
	gid_t group;

	if (geteuid() != 0 || !domain_owner(live->domain, &user, &group))
		return 0;
	if (lchown(live->options->socket, user, group) == 0)
		return 0;
	return fail_system(err, errno, "%s: giving it to the user of QEMU", live->options->socket);
}

int libvirt_live_start(struct libvirt_live *live, struct error *err)
{
	TRY(give_socket(live, err));
	if (live->define != NULL)
		TRY(define(live, err));
	TRY(look(live, err));
	if (!live->found)
		return fail(err, ERR_SYSTEM, "domain '%s': is not there any more",
			    domain_shown(live->domain));
	if (live->runs || has_moved(live))
		return 0;
	TRY(domain_start(live->domain, err));
	watcher_note(live->watcher, "domain '%s' runs from the archive",
		     domain_shown(live->domain));
	return 0;
}

/* ---- while it runs ---- */

static int begin_copy(struct libvirt_live *live, unsigned i, struct error *err)
{
	char *xml = live_disk_copy(&live->drives[i]);
	int code;

	if (xml == NULL)
		return fail_memory(err);
	live->done[i] = 0;
	code = domain_copy_begin(live->domain, live->disks[i].target, xml, live->rate, err);
	free(xml);
	return code;
}

static int step_disk(struct libvirt_live *live, unsigned i, struct error *err)
{
	const struct live_disk *disk = &live->disks[i];
	bool moved;

	if (disk->target == NULL)
		return fail(err, ERR_SYSTEM, "drive %s: the domain has no such disk any more",
			    live->drives[i].name);
	if (disk->is_file)
		return 0;
	if (!disk->is_copied)
		return begin_copy(live, i, err);
	TRY(domain_copy_look(live->domain, disk->target, &live->done[i], err));
	if (!disk->is_ready)
		return 0;
	TRY(domain_copy_end(live->domain, disk->target, &moved, err));
	if (moved)
		watcher_note(live->watcher, "drive %s: the machine runs from %s",
			     live->drives[i].name, live->drives[i].file);
	return 0;
}

/* A schedule may have come to another rate. */
static void keep_rate(struct libvirt_live *live)
{
	uint64_t rate = pace_at(live->options->rate, (int64_t)(clock_real_ns() / 1000000000u));
	struct error ignored; /* a job may end just now */

	for (unsigned i = 0; i < live->n && rate != live->rate; i++) {
		if (live->disks[i].target != NULL && live->disks[i].is_copied)
			domain_copy_limit(live->domain, live->disks[i].target, rate, &ignored);
	}
	live->rate = rate;
}

/* libvirt has changed the definition as well, if it could. */
static int check_definition(struct libvirt_live *live, struct error *err)
{
	struct live_disk *disks = calloc((size_t)live->n + 1, sizeof(*disks));
	char *xml = NULL;
	int code = disks == NULL ? fail_memory(err) : 0;

	if (code == 0)
		code = domain_description(live->domain, true, &xml, err);
	if (code == 0)
		code = live_disks_find(disks, xml, live->options->socket, live->drives, live->n,
				       err);
	for (unsigned i = 0; i < live->n && code == 0; i++) {
		if (disks[i].target == NULL || !disks[i].is_file)
			watcher_warn(live->watcher,
				     "drive %s: the domain runs from %s, but its definition has "
				     "something else: 'virsh edit' changes it",
				     live->drives[i].name, live->drives[i].file);
	}
	free(xml);
	live_disks_free(disks, live->n);
	return code;
}

static int step(struct libvirt_live *live, bool *moved, struct error *err)
{
	TRY(look(live, err));
	if (!live->found)
		return fail(err, ERR_LOCKED, "domain '%s': is not there any more",
			    domain_shown(live->domain));
	*moved = has_moved(live);
	if (*moved)
		return check_definition(live, err);
	if (!live->runs)
		return fail(err, ERR_LOCKED, "domain '%s': has ended", domain_shown(live->domain));
	TRY(domain_go_on(live->domain, err));
	keep_rate(live);
	for (unsigned i = 0; i < live->n; i++)
		TRY(step_disk(live, i, err));
	return 0;
}

int libvirt_live_step(struct libvirt_live *live, uint64_t *done_bytes, bool *moved,
		      struct error *err)
{
	int code = step(live, moved, err);

	if (code < 0) {
		*moved = false;
		hang_up(live);
	}
	*done_bytes = 0;
	for (unsigned i = 0; i < live->n; i++)
		*done_bytes += live->done[i];
	return code;
}
