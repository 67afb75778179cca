#include "archive/sums_adopt.h"

#include "archive/open.h"
#include "archive/parent.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool same_instant(const struct archive *a, const struct archive *b)
{
	bool same = memcmp(a->uuid, b->uuid, UUID_SIZE) == 0 && a->created_ns == b->created_ns &&
		    a->n_drives == b->n_drives;

	for (uint32_t i = 0; same && i < a->n_drives; i++)
		same = a->drives[i].size_bytes == b->drives[i].size_bytes &&
		       a->drives[i].name.length == b->drives[i].name.length &&
		       memcmp(a->drives[i].name.bytes, b->drives[i].name.bytes,
			      a->drives[i].name.length) == 0;
	return same;
}

static int copy(struct sums_writer *to, struct sums *from, const struct archive *archive,
		struct error *err)
{
	struct parent old = {.found.sums = from};
	int code = 0;

	old.drive_of = calloc(archive->n_drives + 1, sizeof(*old.drive_of));
	if (old.drive_of == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < archive->n_drives && code == 0; i++) {
		old.drive_of[i] = i;
		code = parent_copy_sums(&old, to, i, 0, clusters_of(archive->drives[i].size_bytes),
					err);
	}
	free(old.drive_of);
	return code;
}

static int make(const char *path, struct sums *from, const struct archive *archive,
		struct error *err)
{
	struct sums_writer *writer = NULL;
	int code = sums_create(&writer, path, archive, err);

	if (code == 0)
		code = copy(writer, from, archive, err);
	if (code == 0)
		code = sums_finish(writer, true, err);
	if (code == 0)
		code = sums_publish(writer, true, true, err);
	sums_writer_free(writer);
	return code;
}

int sums_adopt(const char *archive, struct error *err)
{
	struct opened_archive opened = {0};
	struct error ignored = {0};
	struct sums *from = NULL;
	char *path = text_make("%s.sums", archive);
	int code = path == NULL ? fail_memory(err) : 0;

	if (code == 0 && (store_is_name(path) || access(path, F_OK) == 0) &&
	    archive_open(&opened, archive, 0, &ignored) == 0 &&
	    sums_open(&from, path, &ignored) == 0 &&
	    same_instant(sums_archive(from), opened.archive))
		code = make(path, from, opened.archive, err);
	sums_close(from);
	archive_close(&opened);
	free(path);
	return code;
}
