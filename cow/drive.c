#include "cow/drive.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *ending;
	const char *format;
} endings[] = {
	{".qcow2", "qcow2"}, {".qcow", "qcow"}, {".vmdk", "vmdk"}, {".vdi", "vdi"},
	{".vhdx", "vhdx"},   {".vhd", "vpc"},	{".vpc", "vpc"},   {".qed", "qed"},
};

static const char *format_by_name(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		size_t n = strlen(endings[i].ending);
		if (length > n && strcasecmp(path + length - n, endings[i].ending) == 0)
			return endings[i].format;
	}
	return "raw";
}

/* The name becomes part of an option string for qemu, where other characters would mean something.
 */
static bool is_format_name(const char *format)
{
	size_t length = strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789");

	return length > 0 && format[length] == '\0';
}

int drive_open(struct drive **out, const char *path, const struct drive_options *options,
	       struct error *err)
{
	const char *format = options->format ? options->format : format_by_name(path);
	struct drive *drive = NULL;
	int rc;

	if (options->direct && strcmp(format, "raw") != 0)
		return fail(err, ERR_USAGE, "%s: only raw images and devices can be read directly",
			    path);
	if (!is_format_name(format))
		return fail(err, ERR_USAGE, "%s: '%s' is not the name of an image format", path,
			    format);
	char *own_path = strdup(path);
	if (!own_path)
		return fail_system(err, ENOMEM, "%s", path);
	if (strcmp(format, "raw") == 0)
		rc = drive_file_open(&drive, own_path, options, err);
	else
		rc = captive_open(&drive, own_path, format, options->allow_writers, err);
	if (rc != 0) {
		free(own_path);
		return rc;
	}
	drive->path = own_path;
	*out = drive;
	return 0;
}

void drive_close(struct drive *drive)
{
	if (!drive)
		return;
	char *path = drive->path;
	drive->ops->close(drive);
	free(path);
}

uint64_t drive_size(const struct drive *drive)
{
	return drive->size_bytes;
}

int drive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err)
{
	assert(offset <= drive->size_bytes && n <= drive->size_bytes - offset);
	return drive->ops->read(drive, offset, buffer, n, err);
}

int drive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero, struct error *err)
{
	assert(offset < drive->size_bytes);
	int rc = drive->ops->status(drive, offset, n, zero, err);
	if (rc == 0 && *n > drive->size_bytes - offset)
		*n = drive->size_bytes - offset;
	return rc;
}

void drive_expect(struct drive *drive, uint64_t offset, uint64_t n, bool *cold)
{
	*cold = false;
	if (drive->ops->expect != NULL)
		drive->ops->expect(drive, offset, n, cold);
}

void drive_forget(struct drive *drive, uint64_t offset, uint64_t n)
{
	if (drive->ops->forget != NULL)
		drive->ops->forget(drive, offset, n);
}

bool drive_was_changed(struct drive *drive)
{
	return drive->ops->changed(drive);
}

void drive_abandon_all(void)
{
	captive_abandon_all();
}
