#include "drive/given.h"

#include "drive/kind.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct given_drive {
	struct drive drive;
	struct drive_content content;
};

static const struct drive_content *content_of(struct drive *drive)
{
	return &((struct given_drive *)drive)->content;
}

static int given_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		      struct error *err)
{
	int sys = content_of(drive)->read(content_of(drive)->context, offset, buffer, n, false);

	return sys == 0
		       ? 0
		       : fail_system(err, sys, "%s: reading at byte %" PRIu64, drive->path, offset);
}

static int given_read_now(struct drive *drive, uint64_t offset, void *to, uint32_t n)
{
	return content_of(drive)->read(content_of(drive)->context, offset, to, n, true);
}

static int given_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
			struct error *err)
{
	int sys = content_of(drive)->status(content_of(drive)->context, offset, n, zero);

	return sys == 0 ? 0 : fail_system(err, sys, "%s: at byte %" PRIu64, drive->path, offset);
}

static bool given_changed(struct drive *drive)
{
	(void)drive;
	return false;
}

static void given_close(struct drive *drive)
{
	free(drive);
}

static const struct drive_ops given_ops = {
	.read = given_read,
	.read_now = given_read_now,
	.status = given_status,
	.changed = given_changed,
	.close = given_close,
};

int drive_given_open(struct drive **out, const char *name, const struct drive_content *content,
		     struct error *err)
{
	struct given_drive *given = calloc(1, sizeof(*given));
	char *own_name = strdup(name);

	if (given == NULL || own_name == NULL) {
		free(given);
		free(own_name);
		return fail_memory(err);
	}
	given->content = *content;
	given->drive.ops = &given_ops;
	given->drive.size_bytes = content->size_bytes;
	drive_set_up(&given->drive, own_name);
	*out = &given->drive;
	return 0;
}
