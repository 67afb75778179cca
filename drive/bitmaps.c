#include "drive/bitmaps.h"

#include "drive/backing.h"
#include "drive/qemuimg.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define GRANULARITY "65536" /* a cluster of ours */

struct kept_image {
	struct image image;
	const char *path;   /* borrowed, as secret */
	const char *secret; /* NULL: none */
	bool was_written;   /* by us: what image.opened says is of no use any more */
};

int kept_image_open(struct kept_image **out, const char *path, const char *secret,
		    struct error *err)
{
	struct kept_image *image = calloc(1, sizeof(*image));
	int code;

	if (image == NULL)
		return fail_memory(err);
	image->path = path;
	image->secret = secret;
	code = image_open(&image->image, path, IMAGE_READ_KEPT, err);
	if (code == 0 && access(path, W_OK) != 0) {
		code = fail_system(err, errno, "%s: must be writable for a bitmap", path);
		image_close(&image->image);
	}
	if (code != 0)
		free(image);
	else
		*out = image;
	return code;
}

void kept_image_close(struct kept_image *image)
{
	if (image == NULL)
		return;
	image_close(&image->image);
	free(image);
}

bool kept_image_was_changed(const struct kept_image *image)
{
	return !image->was_written && image_was_changed(&image->image, image->path);
}

static int run_bitmap(struct kept_image *image, const char *const *words, const char *name,
		      struct error *err)
{
	const struct qemu_image how = {
		.name = image->path,
		.path = image->path,
		.format = "qcow2",
		.secret = image->secret,
		.block_device = S_ISBLK(image->image.opened.st_mode),
		.unlocked = true,
	};
	char *options = qemu_image_options(&how);
	char *object = image->secret == NULL ? NULL : qemu_secret_object(&how);
	const char *arguments[12] = {"qemu-img", "bitmap", "--image-opts"};
	/* It marks all bitmaps in use while it runs, others' too: killed, it would leave them so.
	 */
	struct qemu_img run = {.name = image->path,
			       .arguments = arguments,
			       .goes_on = true,
			       .lock = image->image.fd};
	unsigned n = 3;
	int code;

	while (*words != NULL)
		arguments[n++] = *words++;
	if (object != NULL) {
		arguments[n++] = "--object";
		arguments[n++] = object;
	}
	arguments[n++] = options;
	arguments[n] = name;
	if (options == NULL || (object == NULL && image->secret != NULL))
		code = fail_memory(err);
	else
		code = qemu_img_run(&run, err);
	if (code > 0)
		code = fail(err, ERR_SYSTEM, "%s: qemu-img: %s", image->path,
			    run.words[0] != '\0' ? run.words : "failed");
	free(options);
	free(object);
	return code;
}

/* qemu-img takes no locks, because ours, which it cannot share, is held until the image is closed.
 */
static int write_bitmap(struct kept_image *image, const char *const *words, const char *name,
			struct error *err)
{
	struct stat named;

	if (stat(image->path, &named) != 0 || named.st_ino != image->image.opened.st_ino ||
	    named.st_dev != image->image.opened.st_dev)
		return fail(err, ERR_SYSTEM, "%s: was replaced meanwhile", image->path);
	if (!lock_to_write(image->image.fd))
		return fail(err, ERR_LOCKED, "%s: is in use by another program", image->path);
	if (kept_image_was_changed(image))
		return fail(err, ERR_SYSTEM, "%s: was changed meanwhile", image->path);
	image->was_written = true;
	TRY(run_bitmap(image, words, name, err));
	/* Of what qemu-img wrote through another descriptor, too. */
	return fsync(image->image.fd) == 0 ? 0
					   : fail_system(err, errno, "%s: syncing", image->path);
}

int kept_image_add_bitmap(struct kept_image *image, const char *name, struct error *err)
{
	static const char *const words[] = {"--add", "-g", GRANULARITY, NULL};

	return write_bitmap(image, words, name, err);
}

int kept_image_remove_bitmap(struct kept_image *image, const char *name, struct error *err)
{
	static const char *const words[] = {"--remove", NULL};

	return write_bitmap(image, words, name, err);
}
