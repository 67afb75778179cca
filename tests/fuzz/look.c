#include "tests/fuzz/look.h"
#include "format/layout.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRIVES_TRIED 4u
#define PLACES_TRIED 12u

static char folder[] = "/tmp/fuzz_view-XXXXXX", paths[LOOK_FILES][40];
static unsigned n_looked;

static void end(void)
{
	rmdir(folder);
	printf("%u archives opened\n", n_looked);
}

static void make_folder(void)
{
	if (paths[0][0] != '\0')
		return;
	MUST(mkdtemp(folder) != NULL);
	for (unsigned i = 0; i < LOOK_FILES; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%u.vmab", folder, i);
	atexit(end);
}

const char *look_write_file(unsigned n, const uint8_t *data, size_t size)
{
	int fd;

	make_folder();
	if (n >= LOOK_FILES)
		return NULL;
	fd = open(paths[n], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	return paths[n];
}

void look_remove_files(void)
{
	for (unsigned i = 0; i < LOOK_FILES; i++)
		unlink(paths[i]);
}

static uint8_t bytes[3 * CLUSTER_SIZE], others[sizeof(bytes)];

/* What is told to be zeros is read as zeros, whatever else is damaged. */
static void look(struct view *view, struct view *same, uint32_t drive, uint64_t offset)
{
	uint64_t size = view_archive(view)->drives[drive].size_bytes, run = 0;
	size_t n = size - offset < sizeof(bytes) ? (size_t)(size - offset) : sizeof(bytes);
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
	if (view_read(view, drive, offset, bytes, n, false) == 0 && same != NULL &&
	    view_read(same, drive, offset, others, n, false) == 0)
		MUST(memcmp(bytes, others, n) == 0);
}

void look_everywhere(struct view *view, struct view *same)
{
	const struct archive *archive = view_archive(view);

	n_looked++;
	for (uint32_t i = 0; i < archive->n_drives && i < DRIVES_TRIED; i++) {
		uint64_t size = archive->drives[i].size_bytes, place = 1;

		for (unsigned j = 0; j < PLACES_TRIED && size > 0; j++) {
			look(view, same, i, j == 0 ? 0 : j == 1 ? size - 1 : place % size);
			place = place * UINT64_C(6364136223846793005) + 1442695040888963407u;
		}
	}
}

size_t look_first_archive(const uint8_t *data, size_t size)
{
	for (size_t at = SECTOR_SIZE; at + SECTOR_SIZE <= size; at += SECTOR_SIZE)
		if (memcmp(data + at, VMAB_MAGIC, 8) == 0 &&
		    memcmp(data + at + HEAD_UUID, data + HEAD_UUID, UUID_SIZE) != 0)
			return at;
	return size;
}
