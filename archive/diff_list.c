#include "archive/diff_list.h"

#include "base/bytes.h"
#include "base/name.h"
#include "base/newfile.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void diff_list_init(struct diff_list *out, const char *path)
{
	struct stat found;

	*out = (struct diff_list){.path = path};
	out->folder = stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static int name_file(struct diff_list *list, const struct archive_drive *drive, struct error *err)
{
	char name[NAME_MAX_LENGTH + 1];

	if (list->folder && !name_usable(drive->name.bytes, drive->name.length))
		return fail(err, ERR_USAGE, "--map %s: a drive's name is none for a file",
			    list->path);
	snprintf(name, sizeof(name), "%.*s", (int)drive->name.length,
		 (const char *)drive->name.bytes);
	list->name = list->folder ? text_make("%s/%s.changes", list->path, name)
				  : text_make("%s", list->path);
	return list->name == NULL ? fail_memory(err) : 0;
}

static int create_file(struct diff_list *list, struct error *err)
{
	int fd = -1;

	if (access(list->name, F_OK) == 0)
		return fail(err, ERR_USAGE, "%s: exists already", list->name);
	TRY(newfile_create(&list->temp, &fd, list->name, err));
	list->file = fdopen(fd, "w");
	if (list->file != NULL)
		return 0;
	fail_system(err, errno, "%s", list->name);
	close(fd);
	return ERR_SYSTEM;
}

int diff_list_begin(struct diff_list *list, const struct archive_drive *drive, struct error *err)
{
	if (!list->folder && list->n_files > 0)
		return fail(err, ERR_USAGE,
			    "--map %s: several drives are compared: name a folder that exists",
			    list->path);
	TRY(diff_list_end(list, err));
	TRY(name_file(list, drive, err));
	TRY(create_file(list, err));
	list->n_files++;
	list->n_ranges = 0;
	list->size_bytes = drive->size_bytes;
	fprintf(list->file, "# vmabak changes 1\n# size %" PRIu64 "\n", drive->size_bytes);
	return 0;
}

int diff_list_range(struct diff_list *list, uint64_t offset, uint64_t length, struct error *err)
{
	(void)err;
	if (list->file == NULL || offset >= list->size_bytes)
		return 0;
	list->n_ranges++;
	fprintf(list->file, "%" PRIu64 " %" PRIu64 "\n", offset,
		least(length, list->size_bytes - offset));
	return 0;
}

static int close_file(struct diff_list *list, struct error *err)
{
	FILE *file = list->file;
	int sys = 0;

	fprintf(file, "# end %" PRIu64 "\n", list->n_ranges);
	if (ferror(file) || fflush(file) != 0 || fsync(fileno(file)) != 0)
		sys = errno != 0 ? errno : EIO;
	list->file = NULL;
	if (fclose(file) != 0 && sys == 0)
		sys = errno;
	return sys != 0 ? fail_system(err, sys, "%s", list->name)
			: newfile_publish(list->temp, false, true, err);
}

int diff_list_end(struct diff_list *list, struct error *err)
{
	int code = list->file == NULL ? 0 : close_file(list, err);

	diff_list_close(list);
	return code;
}

void diff_list_close(struct diff_list *list)
{
	if (list->file != NULL)
		fclose(list->file);
	newfile_free(list->temp);
	free(list->name);
	list->file = NULL;
	list->temp = NULL;
	list->name = NULL;
}
