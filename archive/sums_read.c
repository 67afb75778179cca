#include "archive/sums.h"

#include "base/bytes.h"
#include "base/io.h"
#include "base/name.h"
#include "base/unnamed.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_SIZE 1048576u

struct sums {
	const char *path; /* borrowed */
	int fd;
	uint8_t *head;
	struct archive *archive; /* borrows from head */
	uint64_t *starts;	 /* of each drive, and the size of the file */
};

static int named(const struct sums *sums, int code, struct error *err)
{
	bool bad = code == ERR_DAMAGED || code == ERR_INCOMPLETE;

	if (bad)
		error_append(err, "; 'vmabak sums' makes it again");
	if (err->has_place)
		error_in_file(err, sums->path);
	else if (code != 0)
		error_prefix(err, "%s", sums->path);
	return code;
}

static int read_at(const struct sums *sums, void *to, size_t n, uint64_t at, struct error *err)
{
	size_t got;
	int sys = io_pread(sums->fd, to, n, at, &got);

	if (sys != 0)
		return fail_system(err, sys, "reading at byte %llu", (unsigned long long)at);
	DEMAND_ELSE(ERR_INCOMPLETE, got == n, at + got, "the file ends here");
	return 0;
}

static int read_head(struct sums *sums, struct error *err)
{
	uint8_t first[SECTOR_SIZE];
	uint32_t size;

	TRY(read_at(sums, first, sizeof(first), 0, err));
	TRY(sums_measure(first, &size, err));
	sums->head = malloc(size);
	sums->archive = calloc(1, sizeof(*sums->archive));
	if (sums->head == NULL || sums->archive == NULL)
		return fail_memory(err);
	TRY(read_at(sums, sums->head, size, 0, err));
	return sums_head_parse(sums->head, size, sums->archive, err);
}

static int lay_out(struct sums *sums, struct error *err)
{
	const struct archive *archive = sums->archive;
	struct stat status;

	sums->starts = calloc(archive->n_drives + 1, sizeof(*sums->starts));
	if (sums->starts == NULL)
		return fail_memory(err);
	sums->starts[0] = archive->head_size;
	for (uint32_t i = 0; i < archive->n_drives; i++)
		TRY(sums_after(sums->starts[i], &archive->drives[i], &sums->starts[i + 1], err));
	if (fstat(sums->fd, &status) < 0)
		return fail_system(err, errno, "fstat");
	uint64_t size = (uint64_t)status.st_size, right = sums->starts[archive->n_drives];
	DEMAND_ELSE(ERR_INCOMPLETE, size >= right, size, "%llu bytes are missing at the end",
		    (unsigned long long)(right - size));
	DEMAND(size == right, right, "the file goes on after its end");
	return 0;
}

/* Takes over fd. */
static int open_fd(struct sums **out, int fd, const char *path, struct error *err)
{
	struct sums *sums = calloc(1, sizeof(*sums));
	int code;

	*out = NULL;
	if (sums == NULL) {
		close(fd);
		return fail_memory(err);
	}
	sums->path = path;
	sums->fd = fd;
	code = read_head(sums, err);
	if (code == 0)
		code = lay_out(sums, err);
	named(sums, code, err);
	if (code == 0)
		*out = sums;
	else
		sums_close(sums);
	return code;
}

static int copy_object(struct store_reader *from, int fd, const char *path, struct error *err)
{
	uint8_t *bytes = malloc(COPY_SIZE);
	int code = bytes == NULL ? fail_memory(err) : 0;
	size_t got = 1;

	for (uint64_t at = 0; code == 0 && got > 0; at += got) {
		code = store_read(from, bytes, COPY_SIZE, &got, err);
		if (code == 0 && got > 0) {
			int sys = io_pwrite(fd, bytes, got, at, 0);

			code = sys != 0 ? fail_system(err, sys, "a copy of %s", path) : 0;
		}
	}
	free(bytes);
	return code;
}

/* All of it, as it is read here and there. */
static int open_object(struct sums **out, const char *path, struct error *err)
{
	struct store_reader *from;
	int fd, code;

	TRY(store_reader_open(&from, path, err));
	fd = unnamed_open(unnamed_folder());
	code = fd < 0 ? fail_system(err, errno, "%s", unnamed_folder())
		      : copy_object(from, fd, path, err);
	store_reader_close(from);
	if (code == 0)
		return open_fd(out, fd, path, err);
	if (fd >= 0)
		close(fd);
	return code;
}

int sums_open(struct sums **out, const char *path, struct error *err)
{
	if (store_is_name(path)) {
		*out = NULL;
		return open_object(out, path, err);
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*out = NULL;
	return fd < 0 ? fail_system(err, errno, "%s", path) : open_fd(out, fd, path, err);
}

/* A pipe is none, and not read. */
int sums_is(const char *path, struct error *err)
{
	uint8_t first[SECTOR_SIZE];
	size_t got = 0;
	int fd, sys;

	/* A look would be a request. */
	if (store_is_name(path))
		return has_ending(path, ".sums");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fail_system(err, errno, "%s", path);
	sys = io_pread(fd, first, sizeof(first), 0, &got);
	close(fd);
	if (sys != 0 && sys != ESPIPE)
		return fail_system(err, sys, "%s", path);
	return sys == 0 && got == sizeof(first) && sums_recognise(first) ? 1 : 0;
}

int sums_of_writer(struct sums **out, const struct sums_writer *writer, const char *name,
		   struct error *err)
{
	int fd = fcntl(sums_writer_fd(writer), F_DUPFD_CLOEXEC, 0);

	*out = NULL;
	return fd < 0 ? fail_system(err, errno, "%s", name) : open_fd(out, fd, name, err);
}

const struct archive *sums_archive(const struct sums *sums)
{
	return sums->archive;
}

bool sums_are_loose(const struct sums *sums)
{
	return sums->archive->note.length > 0;
}

static uint64_t drive_size(const struct sums *sums, uint32_t drive)
{
	return sums->archive->drives[drive].size_bytes;
}

/* Has the page of the map that tells of this page of the drive in the cursor. */
static int load_map(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive,
		    uint64_t page, struct error *err)
{
	uint64_t n_pages = sums_pages(drive_size(sums, drive)), part = page / SUMS_PER_MAP_PAGE;
	uint64_t at = sums->starts[drive] + (n_pages + part) * SUMS_PAGE_SIZE;

	if (cursor->map_at == at)
		return 0;
	cursor->map_at = 0;
	TRY(read_at(sums, cursor->map, SUMS_PAGE_SIZE, at, err));
	TRY(sums_map_check(sums->archive->uuid, at, cursor->map, n_pages - part * SUMS_PER_MAP_PAGE,
			   err));
	cursor->map_at = at;
	return 0;
}

static int load_page(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive,
		     uint64_t page, struct error *err)
{
	uint64_t at = sums->starts[drive] + page * SUMS_PAGE_SIZE, bit = page % SUMS_PER_MAP_PAGE;
	uint64_t n_left = clusters_of(drive_size(sums, drive)) - page * SUMS_PER_PAGE;

	if (cursor->at == at)
		return 0;
	TRY(load_map(sums, cursor, drive, page, err));
	cursor->at = 0;
	TRY(read_at(sums, cursor->page, SUMS_PAGE_SIZE, at, err));
	TRY(sums_page_check(sums->archive->uuid, at, cursor->page,
			    cursor->map[bit / 8] >> bit % 8 & 1, n_left, err));
	cursor->at = at;
	return 0;
}

int sums_page(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive, uint64_t number,
	      const uint8_t **page, struct error *err)
{
	TRY(named(sums, load_page(sums, cursor, drive, number, err), err));
	*page = cursor->page;
	return 0;
}

int sums_empty(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive, uint64_t number,
	       uint64_t *n_pages, struct error *err)
{
	uint64_t n_left = sums_pages(drive_size(sums, drive)) - number;
	uint64_t bit = number % SUMS_PER_MAP_PAGE, end = SUMS_PER_MAP_PAGE, at = bit;

	TRY(named(sums, load_map(sums, cursor, drive, number, err), err));
	if (end - bit > n_left)
		end = bit + n_left;
	while (at < end && (cursor->map[at / 8] >> at % 8 & 1) == 0)
		at += at % 8 == 0 && cursor->map[at / 8] == 0 ? 8 : 1;
	*n_pages = (at < end ? at : end) - bit;
	return 0;
}

static uint64_t count_data(const uint8_t page[SUMS_PAGE_SIZE])
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SUMS_PER_PAGE; i++)
		n += !all_zero(page + i * CHECKSUM_SIZE, CHECKSUM_SIZE);
	return n;
}

int sums_verify(const struct sums *sums, uint64_t *n_data, struct error *err)
{
	struct sums_cursor cursor = {0};
	uint64_t n_pages, n_empty;
	const uint8_t *page;

	*n_data = 0;
	for (uint32_t i = 0; i < sums->archive->n_drives; i++) {
		n_pages = sums_pages(drive_size(sums, i));
		for (uint64_t number = 0; number < n_pages; number += n_empty) {
			TRY(sums_empty(sums, &cursor, i, number, &n_empty, err));
			if (n_empty > 0)
				continue;
			TRY(sums_page(sums, &cursor, i, number, &page, err));
			*n_data += count_data(page);
			n_empty = 1;
		}
	}
	return 0;
}

void sums_close(struct sums *sums)
{
	if (sums == NULL)
		return;
	close(sums->fd);
	free(sums->archive);
	free(sums->starts);
	free(sums->head);
	free(sums);
}
