#include "drive/qcow2file.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int qcow2_file_fault(const struct qcow2_file *file, struct error *err)
{
	uint64_t place = err->place;

	if (!err->has_place)
		return err->code;
	err->has_place = false;
	if (err->code == ERR_DAMAGED) {
		error_prefix(err, "%s: damaged at byte %" PRIu64, file->path, place);
		err->code = ERR_SYSTEM;
	} else {
		error_prefix(err, "%s", file->path);
	}
	return err->code;
}

static int open_file(struct qcow2_file *file, struct error *err)
{
	size_t n = QCOW2_HEAD_MAX;
	off_t end;

	file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	end = file->fd < 0 ? -1 : lseek(file->fd, 0, SEEK_END);
	if (end < 0)
		return fail_system(err, errno, "%s", file->path);
	file->bytes = malloc(n);
	if (file->bytes == NULL)
		return fail_memory(err);
	int sys = io_pread(file->fd, file->bytes, n, 0, &n);
	if (sys != 0)
		return fail_system(err, sys, "%s", file->path);
	if (qcow2_head_parse(file->bytes, n, (uint64_t)end, &file->head, err) != 0)
		return qcow2_file_fault(file, err);
	return 0;
}

int qcow2_file_open(struct qcow2_file *out, const char *path, struct error *err)
{
	*out = (struct qcow2_file){.fd = -1, .path = path};
	return open_file(out, err);
}

void qcow2_file_close(struct qcow2_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->bytes);
	free(file->directory);
	free(file->snapshots);
	*file = (struct qcow2_file){.fd = -1};
}

int qcow2_file_read(const struct qcow2_file *file, uint64_t at, void *to, size_t n,
		    struct error *err)
{
	int sys = io_pread(file->fd, to, n, at, NULL);

	return sys == 0 ? 0
			: fail_system(err, sys, "%s: reading %zu bytes at byte %" PRIu64,
				      file->path, n, at);
}

/* ---- bitmaps ---- */

static int read_directory(struct qcow2_file *file, struct error *err)
{
	if (file->directory != NULL)
		return 0;
	file->directory = malloc(file->head.bitmaps_bytes + 1);
	if (file->directory == NULL)
		return fail_memory(err);
	return qcow2_file_read(file, file->head.bitmaps_at, file->directory,
			       file->head.bitmaps_bytes, err);
}

int qcow2_file_bitmaps(struct qcow2_file *file,
		       void (*one)(void *context, const struct qcow2_bitmap *bitmap), void *context,
		       struct error *err)
{
	struct qcow2_bitmap bitmap;
	uint32_t at = 0;

	if (file->head.n_bitmaps > 0)
		TRY(read_directory(file, err));
	for (uint32_t i = 0; i < file->head.n_bitmaps; i++) {
		if (qcow2_bitmap_parse(&file->head, file->directory, &at, &bitmap, err) != 0)
			return qcow2_file_fault(file, err);
		one(context, &bitmap);
	}
	return 0;
}

static bool is_text(const struct text *text, const char *name)
{
	return text->length == strlen(name) && memcmp(text->bytes, name, text->length) == 0;
}

struct search {
	const char *name;
	struct qcow2_bitmap found;
	unsigned n;
};

static void compare_name(void *context, const struct qcow2_bitmap *bitmap)
{
	struct search *search = context;

	if (!is_text(&bitmap->name, search->name))
		return;
	search->found = *bitmap;
	search->n++;
}

int qcow2_file_bitmap(struct qcow2_file *file, const char *name, struct qcow2_bitmap *out,
		      struct error *err)
{
	struct search search = {.name = name};

	TRY(qcow2_file_bitmaps(file, compare_name, &search, err));
	if (search.n > 1)
		return fail(err, ERR_SYSTEM, "%s: has two bitmaps of the same name", file->path);
	if (search.n == 1)
		*out = search.found;
	return (int)search.n;
}

/* ---- snapshots ---- */

static int read_snapshots(struct qcow2_file *file, struct error *err)
{
	uint64_t left = file->head.file_bytes - file->head.snapshots_at;

	if (file->snapshots != NULL || file->head.n_snapshots == 0)
		return 0;
	file->snapshots_bytes = (uint32_t)least(left, QCOW2_TABLE_MAX);
	file->snapshots = malloc(file->snapshots_bytes + 1);
	if (file->snapshots == NULL)
		return fail_memory(err);
	return qcow2_file_read(file, file->head.snapshots_at, file->snapshots,
			       file->snapshots_bytes, err);
}

int qcow2_file_snapshot(struct qcow2_file *file, const char *name, struct qcow2_snapshot *out,
			struct error *err)
{
	struct qcow2_snapshot one;
	uint32_t at = 0, n = 0;

	TRY(read_snapshots(file, err));
	for (uint32_t i = 0; i < file->head.n_snapshots; i++) {
		if (qcow2_snapshot_parse(&file->head, file->snapshots, file->snapshots_bytes, &at,
					 &one, err) != 0)
			return qcow2_file_fault(file, err);
		if (!is_text(&one.id, name) && !is_text(&one.name, name))
			continue;
		*out = one;
		n++;
	}
	if (n == 1)
		return 0;
	return fail(
		err, ERR_USAGE,
		n == 0 ? "%s: has no internal snapshot '%.100s': qemu-img snapshot -l lists them"
		       : "%s: more than one internal snapshot has the id or name '%.100s'",
		file->path, name);
}
