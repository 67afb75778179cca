/*
 * Sums files, and what is done with them: opened, each page read, holes skipped, compared with
 * another.
 *
 * Byte 0 tells what is made right first: the checksum of the head, the checks of pages, the size.
 */
#include "archive/diff.h"
#include "base/bytes.h"
#include "format/layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/repair.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX    (1u << 18)
#define PAGES_TRIED 4000u

enum { RIGHT_HEAD = 1, RIGHT_PAGES = 2, RIGHT_SIZE = 4 };

static int file_fd;
static char path[64];
static uint8_t bytes[FILE_MAX];
static struct archive archive;

static void start(void)
{
	file_fd = memfd_create("sums", MFD_CLOEXEC);
	MUST(file_fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
}

/* Pages of zeros stay so. */
static void seal_pages(uint32_t head_size, size_t size)
{
	for (size_t at = head_size; at + SUMS_PAGE_SIZE <= size; at += SUMS_PAGE_SIZE)
		if (!all_zero(bytes + at, SUMS_PAGE_SIZE))
			sums_seal(bytes + HEAD_UUID, at, bytes + at);
}

/* What the head says; 0: nothing, or more than is tried here. */
static uint64_t right_size(uint32_t head_size)
{
	uint64_t at = head_size;
	struct error err;

	memset(&archive, 0, offsetof(struct archive, drives));
	if (sums_head_parse(bytes, head_size, &archive, &err) != 0)
		return 0;
	for (uint32_t i = 0; i < archive.n_drives; i++)
		if (sums_after(at, &archive.drives[i], &at, &err) != 0)
			return 0;
	return at;
}

static void make_file(const uint8_t *data, size_t size, uint8_t how)
{
	uint32_t head_size = 0;
	struct error err;
	uint64_t right;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data, size);
	if (size >= SECTOR_SIZE && sums_measure(bytes, &head_size, &err) == 0 &&
	    head_size <= size) {
		if (how & RIGHT_HEAD)
			checksum_in_place(bytes, head_size, HEAD_CHECKSUM);
		if (how & RIGHT_PAGES)
			seal_pages(head_size, size);
		right = right_size(head_size);
		if ((how & RIGHT_SIZE) && right != 0 && right <= (UINT64_C(1) << 40))
			size = right;
	}
	MUST(ftruncate(file_fd, 0) == 0 && ftruncate(file_fd, (off_t)size) == 0);
	size = size < sizeof(bytes) ? size : sizeof(bytes);
	MUST(pwrite(file_fd, bytes, size, 0) == (ssize_t)size);
}

/* Pages that the map leaves out are zeros in the file, or that is noticed. */
static void read_drive(const struct sums *sums, uint32_t drive)
{
	uint64_t n_pages = sums_pages(sums_archive(sums)->drives[drive].size_bytes), n;
	struct sums_cursor cursor = {0};
	struct error err = {0};
	const uint8_t *page;
	unsigned n_tried = 0;

	for (uint64_t at = 0; at < n_pages && n_tried++ < PAGES_TRIED; at += n == 0 ? 1 : n) {
		if (sums_empty(sums, &cursor, drive, at, &n, &err) != 0)
			break;
		MUST(n <= n_pages - at);
		bool right = sums_page(sums, &cursor, drive, at, &page, &err) == 0;
		MUST(right || err.text[0] != '\0');
		if (right)
			MUST(all_zero(page, SUMS_PAGE_CONTENT) == (n > 0));
	}
}

struct last {
	uint64_t end, size;
};

static int drive(void *context, const struct archive_drive *a, const struct archive_drive *b,
		 struct error *err)
{
	struct last *last = context;

	(void)err;
	last->end = 0;
	last->size = a != NULL ? a->size_bytes : b->size_bytes;
	if (b != NULL && b->size_bytes > last->size)
		last->size = b->size_bytes;
	return 0;
}

static int range(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	struct last *last = context;

	(void)err;
	MUST(length > 0 && offset >= last->end && offset <= last->size);
	MUST(length <= last->size - offset);
	last->end = offset + length;
	return 0;
}

/* With itself: nothing differs, whatever it holds. */
static void compare(struct sums *sums)
{
	struct diff_side both[2] = {{.sums = {.sums = sums}}, {.sums = {.sums = sums}}};
	struct last last = {0};
	struct diff_teller teller = {&last, drive, range};
	struct error err = {0};
	bool same;
	int code = diff_run(both, &teller, &same, &err);

	MUST(code == 0 ? same : err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	struct sums *sums;

	if (size < 1 || size > FILE_MAX)
		return 0;
	if (file_fd == 0)
		start();
	make_file(data + 1, size - 1, data[0]);
	if (sums_open(&sums, path, &err) != 0) {
		MUST(sums == NULL && err.text[0] != '\0');
		return 0;
	}
	for (uint32_t i = 0; i < sums_archive(sums)->n_drives && i < 64; i++)
		read_drive(sums, i);
	if (sums_archive(sums)->n_drives < 64)
		compare(sums);
	sums_close(sums);
	return 0;
}
