/*
 * The file of a qcow2 image: any bytes, of which every bitmap and snapshot is read.
 *
 * Byte 0: how many times 64 KiB the file is longer than the bytes that follow it.
 */
#include "archive/changes_qcow2.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX    (1u << 17)
#define BITMAPS_MAX 8u /* that are read of one image */

static int file_fd;
static char path[64];

struct bitmaps {
	struct qcow2_bitmap found[BITMAPS_MAX];
	unsigned n;
};

static void take(void *context, const struct qcow2_bitmap *bitmap)
{
	struct bitmaps *bitmaps = context;

	MUST(bitmap->name.length > 0);
	if (bitmaps->n < BITMAPS_MAX)
		bitmaps->found[bitmaps->n++] = *bitmap;
}

/* Nothing past the end of the drive, and nothing after a failure. */
static void judge(int code, struct changes *changes, uint64_t size_bytes, const struct error *err)
{
	bool in;

	MUST(code == 0 || (err->text[0] != '\0' && changes->set.root == NULL));
	MUST(code == 0 || changes->since == NULL);
	cluster_set_run(&changes->set, clusters_of(size_bytes), 1, &in);
	MUST(!in);
	changes_free(changes);
}

static void read_bitmaps(struct qcow2_file *file)
{
	struct bitmaps bitmaps = {.n = 0};
	struct changes changes = {0};
	struct error err = {0};

	if (qcow2_file_bitmaps(file, take, &bitmaps, &err) != 0)
		MUST(err.text[0] != '\0');
	for (unsigned i = 0; i < bitmaps.n; i++) {
		int code = changes_of_bitmap(&changes, file, &bitmaps.found[i], &err);
		judge(code, &changes, file->head.size_bytes, &err);
	}
}

static void compare_snapshots(struct qcow2_file *file)
{
	struct qcow2_snapshot a, b;
	struct changes changes = {0};
	struct error err = {0};

	if (qcow2_file_snapshot(file, "a", &a, &err) != 0) {
		MUST(err.text[0] != '\0');
		return;
	}
	int code = changes_of_snapshots(&changes, file, &a, NULL, &err);
	judge(code, &changes, file->head.size_bytes, &err);
	if (qcow2_file_snapshot(file, "b", &b, &err) != 0)
		return;
	code = changes_of_snapshots(&changes, file, &a, &b, &err);
	judge(code, &changes, b.size_bytes, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_file file;
	struct error err = {0};

	if (size < 1 || size > FILE_MAX)
		return 0;
	if (file_fd == 0) {
		file_fd = memfd_create("image", MFD_CLOEXEC);
		MUST(file_fd > 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	}
	MUST(ftruncate(file_fd, 0) == 0 &&
	     ftruncate(file_fd, (off_t)(size - 1 + data[0] * 65536u)) == 0);
	MUST(pwrite(file_fd, data + 1, size - 1, 0) == (ssize_t)(size - 1));
	if (qcow2_file_open(&file, path, &err) == 0) {
		/* How long the longest tables take is not what is looked for. */
		if (file.head.size_bytes < UINT64_C(1) << 36) {
			read_bitmaps(&file);
			compare_snapshots(&file);
		}
	} else {
		MUST(err.text[0] != '\0');
	}
	qcow2_file_close(&file);
	return 0;
}
