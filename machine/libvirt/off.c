#include "machine/libvirt/off.h"

#include "base/bytes.h"
#include "base/name.h"
#include "base/watcher.h"
#include "machine/kinds.h"
#include "machine/libvirt/domain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct libvirt_off {
	struct domain *domain;
	const struct watcher *watcher;
	struct machine_options options; /* of the images */
	struct machine *images;
};

/* The backing file that a qcow2 image names; owned. NULL: none, or no such image. */
static char *backing_of(const char *path)
{
	uint8_t head[20], name[1024];
	char *folder, *result = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t length;

	if (fd < 0)
		return NULL;
	if (pread(fd, head, sizeof(head), 0) == sizeof(head) && memcmp(head, "QFI\xfb", 4) == 0) {
		length = (uint32_t)get_be(head + 16, 4);
		if (get_be(head + 8, 8) != 0 && length < sizeof(name) &&
		    pread(fd, name, length, (off_t)get_be(head + 8, 8)) == (ssize_t)length) {
			folder = text_make("%.*s", (int)(base_name(path) - path), path);
			result = text_make("%s%.*s", name[0] == '/' || folder == NULL ? "" : folder,
					   (int)length, (const char *)name);
			free(folder);
		}
	}
	close(fd);
	return result;
}

static bool is_same_file(const char *one, const char *other)
{
	struct stat a, b;

	return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* A definition may state another backing file than the image, and then counts for the domain, but
 * not for who reads the image. */
static int check_backing(const struct domain_disk *disk, struct error *err)
{
	char *named;
	bool same;

	if (disk->backing == NULL || disk->source == NULL || strcmp(disk->format, "raw") == 0)
		return 0;
	named = strcmp(disk->format, "qcow2") == 0 ? backing_of(disk->source) : NULL;
	same = named == NULL ? *disk->backing == '\0' : is_same_file(named, disk->backing);
	free(named);
	return same ? 0
		    : fail(err, ERR_UNSUPPORTED,
			   "drive %s: the definition (<backingStore>) and %.300s state different "
			   "backing files: it can be backed up while the domain runs",
			   disk->name, disk->source);
}

/* NAME=IMAGE,format=FORMAT: with all three parts no image's name can be taken for something else.
 */
static int add_image(struct libvirt_off *off, const struct domain_disk *disk, struct error *err)
{
	struct strings *images = &off->options.images;
	char *path = NULL, *word;

	if (disk->obstacle != NULL)
		return fail(err, ERR_USAGE,
			    "drive %s: %s: it can be backed up while domain '%s' runs, or leave it "
			    "out by naming the others with -d",
			    disk->name, disk->obstacle, domain_shown(off->domain));
	TRY(check_backing(disk, err));
	if (disk->volume != NULL)
		TRY(domain_volume(off->domain, disk->pool, disk->volume, &path, err));
	if (strstr(path != NULL ? path : disk->image, ",secret=") != NULL) {
		free(path);
		return fail(err, ERR_UNSUPPORTED, "drive %s: its image has ',secret=' in its name",
			    disk->name);
	}
	word = text_make("%s=%s,format=%s", disk->name, path != NULL ? path : disk->image,
			 disk->format);
	free(path);
	if (word == NULL)
		return fail_memory(err);
	images->items[images->n++] = word;
	return 0;
}

/* The domain may have been started since it was found to be off. */
static int check_off(struct libvirt_off *off, struct error *err)
{
	bool runs;

	TRY(domain_runs(off->domain, &runs, err));
	return runs ? fail(err, ERR_LOCKED,
			   "domain '%s': has been started just now; another backup takes it "
			   "running",
			   domain_shown(off->domain))
		    : 0;
}

static int open_images(struct libvirt_off *off, const struct domain_disks *disks, struct error *err)
{
	off->options.images.items = calloc((size_t)disks->n + 1, sizeof(char *));
	if (off->options.images.items == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < disks->n; i++)
		TRY(add_image(off, &disks->disks[i], err));
	if (machine_images.open(&off->images, &off->options, off->watcher, err) < 0) {
		struct error why = *err;

		/* A QEMU that holds the images may be that of the domain. */
		return check_off(off, err) < 0 ? err->code : (*err = why, why.code);
	}
	return check_off(off, err);
}

int libvirt_off_open(struct libvirt_off **out, struct domain *domain,
		     const struct domain_disks *disks, const struct machine_options *options,
		     const struct watcher *watcher, struct error *err)
{
	struct libvirt_off *off = calloc(1, sizeof(*off));

	if (off == NULL)
		return fail_memory(err);
	off->domain = domain;
	off->watcher = watcher;
	off->options = (struct machine_options){
		.place = options->place,
		.threads = options->threads,
		.keep_images = true,
	};
	if (open_images(off, disks, err) < 0) {
		libvirt_off_end(off);
		return err->code;
	}
	watcher_note(watcher, "domain '%s' is off: its images are read", domain_shown(domain));
	if (domain_was_saved(domain))
		watcher_warn(watcher,
			     "domain '%s': its saved memory (virsh managedsave) is not in the "
			     "archive, so the drives are as after a power failure",
			     domain_shown(domain));
	*out = off;
	return 0;
}

void libvirt_off_describe(const struct libvirt_off *off, struct machine_description *out)
{
	machine_images.describe(off->images, out);
}

int libvirt_off_begin(struct libvirt_off *off, struct error *err)
{
	return check_off(off, err);
}

int libvirt_off_drive(struct libvirt_off *off, uint32_t i, struct drive **out, struct error *err)
{
	return machine_images.drive(off->images, i, out, err);
}

/* Devices have no locks that a QEMU in a mount namespace of its own would meet. A libvirt that does
 * not answer any more says nothing about images that were locked. */
int libvirt_off_finish(struct libvirt_off *off, struct error *err)
{
	struct error silent = {0};
	bool runs = false;

	TRY(machine_images.finish(off->images, err));
	if (domain_runs(off->domain, &runs, &silent) < 0)
		watcher_warn(off->watcher, "it may have been started during the backup: %s",
			     silent.text);
	return runs ? fail(err, ERR_SYSTEM,
			   "domain '%s': was started while its images were read; another backup "
			   "takes it running",
			   domain_shown(off->domain))
		    : 0;
}

void libvirt_off_end(struct libvirt_off *off)
{
	if (off == NULL)
		return;
	machine_images.end(off->images);
	for (unsigned i = 0; off->options.images.items != NULL && i < off->options.images.n; i++)
		free((void *)(uintptr_t)off->options.images.items[i]);
	free(off->options.images.items);
	free(off);
}
