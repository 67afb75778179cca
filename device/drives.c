#include "device/drives.h"

#include "device/overlay.h"

#include <stdlib.h>

static int read_view(void *context, uint64_t offset, void *to, size_t n, bool now)
{
	const struct device_drive *drive = context;

	return view_read(drive->view, drive->number, offset, to, n, now);
}

static int status_of_view(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct device_drive *drive = context;

	return view_status(drive->view, drive->number, offset, n, zero);
}

struct drive_content device_drive_content(struct device_drive *drive, struct view *view,
					  uint32_t number)
{
	const struct archive_drive *of = &view_archive(view)->drives[number];

	drive->view = view;
	drive->number = number;
	escape_text(drive->name, sizeof(drive->name), of->name.bytes, of->name.length);
	return (struct drive_content){
		.read = read_view,
		.status = status_of_view,
		.context = drive,
		.size_bytes = of->size_bytes,
	};
}

static int open_one(struct device_drive *drive, struct view *view, struct overlay_store *overlay,
		    uint32_t number, struct error *err)
{
	struct drive_content content = device_drive_content(drive, view, number);
	struct overlay_place place;

	if (overlay == NULL)
		return drive_given_open(&drive->drive, drive->name, &content, err);
	place = overlay_store_place(overlay, view_archive(view), number);
	return drive_overlay_open(&drive->drive, drive->name, &content, &place, err);
}

int device_drives_open(struct device_drives *out, struct view *view, struct overlay_store *overlay,
		       struct error *err)
{
	uint32_t n = view_archive(view)->n_drives;

	*out = (struct device_drives){0};
	out->of = calloc((size_t)n + 1, sizeof(*out->of));
	out->given = calloc((size_t)n + 1, sizeof(*out->given));
	if (out->of == NULL || out->given == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		TRY(open_one(&out->of[i], view, overlay, i, err));
		out->given[i] =
			(struct serve_given){.name = out->of[i].name, .drive = out->of[i].drive};
		out->n++;
	}
	return 0;
}

void device_drives_close(struct device_drives *drives)
{
	for (uint32_t i = 0; i < drives->n; i++)
		drive_close(drives->of[i].drive);
	free(drives->of);
	free(drives->given);
	*drives = (struct device_drives){0};
}
