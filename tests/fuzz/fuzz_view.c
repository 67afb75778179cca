/* An archive read in any order: the index, extents, and what is told to be zeros. */
#include "tests/fuzz/fuzz.h"
#include "archive/view.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DRIVES_TRIED 4u
#define PLACES_TRIED 12u

static uint8_t bytes[3 * CLUSTER_SIZE];

/* What is told to be zeros is read as zeros, whatever else is damaged. */
static void look(struct view *view, uint32_t drive, uint64_t offset, uint64_t size)
{
	size_t n = size - offset < sizeof(bytes) ? (size_t)(size - offset) : sizeof(bytes);
	uint64_t run = 0;
	bool zero = false;

	if (view_status(view, drive, offset, &run, &zero) == 0) {
		MUST(run > 0 && run <= size - offset);
		if (zero) {
			n = run < n ? (size_t)run : n;
			MUST(view_read(view, drive, offset, bytes, n, false) == 0);
			for (size_t i = 0; i < n; i++)
				MUST(bytes[i] == 0);
			return;
		}
	}
	view_read(view, drive, offset, bytes, n, false);
}

static void look_everywhere(struct view *view)
{
	const struct archive *archive = view_archive(view);

	for (uint32_t i = 0; i < archive->n_drives && i < DRIVES_TRIED; i++) {
		uint64_t size = archive->drives[i].size_bytes, place = 1;

		for (unsigned j = 0; j < PLACES_TRIED && size > 0; j++) {
			look(view, i, j == 0 ? 0 : j == 1 ? size - 1 : place % size, size);
			place = place * UINT64_C(6364136223846793005) + 1442695040888963407u;
		}
	}
}

/* An increment would look for its parent among the files of this process. */
static bool is_incremental(const uint8_t *data, size_t size)
{
	static const uint8_t none[UUID_SIZE];

	return size >= 64 && data[0] == 0x89 && memcmp(data + 48, none, UUID_SIZE) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = is_incremental(data, size) ? -1 : memfd_create("archive", MFD_CLOEXEC);
	struct view *view = NULL;
	struct error err = {0};
	char path[64];
	const char *names[] = {path};
	struct view_options options = {.archives = {names, 1}, .cache_bytes = 1, .n_threads = 1};

	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, data, size) == (ssize_t)size) {
		if (view_open(&view, &options, NULL, &err) == 0)
			look_everywhere(view);
		else
			MUST(err.text[0] != '\0');
	}
	view_close(view);
	close(fd);
	return 0;
}
