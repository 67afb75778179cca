#include "archive/sums.h"

#include "base/bytes.h"
#include "base/io.h"
#include "base/newfile.h"
#include "base/unnamed.h"
#include "store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#define COPY_SIZE 1048576u

struct sums_writer {
	const char *path; /* borrowed */
	struct newfile *file;
	int fd;
	struct archive *archive; /* without configs and note */
	uint8_t *head;
	uint64_t *starts;	/* of each drive, and the size of the file */
	_Atomic uint64_t trace; /* of all that was put: see trace_of */
};

static int fail_file(const struct sums_writer *writer, int sys, struct error *err)
{
	return fail_system(err, sys, "%s", writer->path);
}

/* The texts stay where they are: in the archive's head, which is the caller's. */
static int describe(struct sums_writer *writer, const struct archive *archive, bool loose,
		    struct error *err)
{
	static const char note[] = "of no archive";
	struct archive *own = writer->archive = calloc(1, sizeof(*own));

	writer->starts = calloc(archive->n_drives + 1, sizeof(*writer->starts));
	if (own == NULL || writer->starts == NULL)
		return fail_memory(err);
	own->format = FORMAT_VMAB;
	memcpy(own->uuid, archive->uuid, UUID_SIZE);
	memcpy(own->parent, archive->parent, UUID_SIZE);
	own->created_ns = archive->created_ns;
	own->checkpoint = archive->checkpoint;
	own->parent_checkpoint = archive->parent_checkpoint;
	own->records = archive->records;
	if (loose)
		own->note = (struct text){(const uint8_t *)note, sizeof(note) - 1};
	own->n_drives = archive->n_drives;
	memcpy(own->drives, archive->drives, own->n_drives * sizeof(*own->drives));
	writer->starts[0] = sums_head_size(own);
	for (uint32_t i = 0; i < own->n_drives; i++)
		TRY(sums_after(writer->starts[i], &own->drives[i], &writer->starts[i + 1], err));
	writer->head = malloc(writer->starts[0]);
	if (writer->head == NULL)
		return fail_memory(err);
	sums_head_build(own, writer->head);
	return 0;
}

static int begin(struct sums_writer **out, const char *path, const struct archive *archive,
		 bool loose, struct error *err)
{
	struct sums_writer *writer = *out = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return fail_memory(err);
	writer->path = path;
	writer->fd = -1;
	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "sums are of VMAB archives: VMA has no increments");
	return describe(writer, archive, loose, err);
}

static int set_size(const struct sums_writer *writer, struct error *err)
{
	if (ftruncate(writer->fd, (off_t)writer->starts[writer->archive->n_drives]) < 0)
		return fail_file(writer, errno, err);
	return 0;
}

static int create(struct sums_writer **out, const char *path, const struct archive *archive,
		  bool loose, struct error *err)
{
	TRY(begin(out, path, archive, loose, err));
	if (store_is_name(path)) {
		(*out)->fd = unnamed_open(unnamed_folder());
		return (*out)->fd < 0 ? fail_system(err, errno, "%s", unnamed_folder())
				      : set_size(*out, err);
	}
	TRY(newfile_create(&(*out)->file, &(*out)->fd, path, err));
	return set_size(*out, err);
}

int sums_create(struct sums_writer **out, const char *path, const struct archive *archive,
		struct error *err)
{
	return create(out, path, archive, false, err);
}

int sums_create_loose(struct sums_writer **out, const char *path, const struct archive *archive,
		      struct error *err)
{
	return create(out, path, archive, true, err);
}

int sums_create_unnamed(struct sums_writer **out, const char *folder, const struct archive *archive,
			struct error *err)
{
	TRY(begin(out, folder, archive, false, err));
	(*out)->fd = unnamed_open(folder);
	return (*out)->fd < 0 ? fail_file(*out, errno, err) : set_size(*out, err);
}

/* What is read back at the end has no check yet: this is added up for all that is written, in any
 * order, and again for all that is read. */
static uint64_t trace_of(uint32_t drive, uint64_t cluster, const uint8_t *sum)
{
	uint8_t bytes[8 + CHECKSUM_SIZE];

	if (all_zero(sum, CHECKSUM_SIZE))
		return 0;
	put_le(bytes, 8, cluster);
	memcpy(bytes + 8, sum, CHECKSUM_SIZE);
	return XXH3_64bits_withSeed(bytes, sizeof(bytes), drive);
}

int sums_put_run(struct sums_writer *writer, uint32_t drive, uint64_t cluster, const uint8_t *bytes,
		 uint64_t n, struct error *err)
{
	uint64_t at = writer->starts[drive] + cluster / SUMS_PER_PAGE * SUMS_PAGE_SIZE +
		      cluster % SUMS_PER_PAGE * CHECKSUM_SIZE;
	int sys = io_pwrite(writer->fd, bytes, n * CHECKSUM_SIZE, at, 0);
	uint64_t trace = 0;

	if (sys != 0)
		return fail_file(writer, sys, err);
	for (uint64_t i = 0; i < n; i++)
		trace += trace_of(drive, cluster + i, bytes + i * CHECKSUM_SIZE);
	atomic_fetch_add(&writer->trace, trace);
	return 0;
}

/* Whether the slot goes on where the run ends. */
static bool continues(const struct slot *first, uint64_t n, const struct slot *slot)
{
	return first->mask != 0 && slot->mask != 0 && slot->drive == first->drive &&
	       slot->cluster == first->cluster + n && slot->cluster % SUMS_PER_PAGE != 0;
}

int sums_put(struct sums_writer *writer, const struct section *extent, struct error *err)
{
	uint8_t bytes[SUMS_PAGE_CONTENT];

	for (uint32_t i = 0, n; i < extent->n_slots; i += n) {
		const struct slot *slots = &extent->slots[i];
		for (n = 0; i + n < extent->n_slots && (n == 0 || continues(slots, n, &slots[n]));
		     n++)
			memcpy(bytes + n * CHECKSUM_SIZE, slots[n].checksum, CHECKSUM_SIZE);
		if (slots->mask != 0)
			TRY(sums_put_run(writer, slots->drive, slots->cluster, bytes, n, err));
	}
	return 0;
}

/* The next position at or after at with data in it, at most end. */
static int next_data(const struct sums_writer *writer, uint64_t *at, uint64_t end,
		     struct error *err)
{
	off_t found = lseek(writer->fd, (off_t)*at, SEEK_DATA);

	if (found < 0 && errno != ENXIO && errno != EINVAL)
		return fail_file(writer, errno, err);
	if (found >= 0)
		*at = (uint64_t)found / SUMS_PAGE_SIZE * SUMS_PAGE_SIZE;
	else if (errno == ENXIO)
		*at = end;
	if (*at > end)
		*at = end;
	return 0;
}

/* Gives a page its check. *any: it has sums other than zero. */
static int seal_page(struct sums_writer *writer, uint32_t drive, uint64_t at, uint64_t *trace,
		     bool *any, struct error *err)
{
	uint64_t first = (at - writer->starts[drive]) / SUMS_PAGE_SIZE * SUMS_PER_PAGE;
	uint8_t page[SUMS_PAGE_SIZE];
	int sys = io_pread(writer->fd, page, sizeof(page), at, NULL);

	if (sys != 0)
		return fail_file(writer, sys, err);
	*any = !all_zero(page, SUMS_PAGE_CONTENT);
	if (!*any)
		return 0;
	for (uint64_t i = 0; i < SUMS_PER_PAGE; i++)
		*trace += trace_of(drive, first + i, page + i * CHECKSUM_SIZE);
	sums_seal(writer->archive->uuid, at, page);
	sys = io_pwrite(writer->fd, page, sizeof(page), at, 0);
	return sys != 0 ? fail_file(writer, sys, err) : 0;
}

/* The pages from first on that one page of the map tells of, and that page. */
static int seal_map_page(struct sums_writer *writer, uint32_t drive, uint64_t first,
			 uint64_t *trace, struct error *err)
{
	uint64_t n_pages = sums_pages(writer->archive->drives[drive].size_bytes);
	uint64_t n = n_pages - first < SUMS_PER_MAP_PAGE ? n_pages - first : SUMS_PER_MAP_PAGE;
	uint64_t begin = writer->starts[drive] + first * SUMS_PAGE_SIZE;
	uint64_t end = begin + n * SUMS_PAGE_SIZE, at = begin;
	uint64_t map_at =
		writer->starts[drive] + (n_pages + first / SUMS_PER_MAP_PAGE) * SUMS_PAGE_SIZE;
	uint8_t map[SUMS_PAGE_SIZE] = {0};

	for (;; at += SUMS_PAGE_SIZE) {
		bool any;
		TRY(next_data(writer, &at, end, err));
		if (at == end)
			break;
		TRY(seal_page(writer, drive, at, trace, &any, err));
		uint64_t bit = (at - begin) / SUMS_PAGE_SIZE;
		map[bit / 8] |= (uint8_t)(any << bit % 8);
	}
	sums_seal(writer->archive->uuid, map_at, map);
	int sys = io_pwrite(writer->fd, map, sizeof(map), map_at, 0);
	return sys != 0 ? fail_file(writer, sys, err) : 0;
}

/* The head comes last: without it the file is none. */
int sums_finish(struct sums_writer *writer, bool sync, struct error *err)
{
	uint64_t trace = 0;

	for (uint32_t i = 0; i < writer->archive->n_drives; i++) {
		uint64_t n_pages = sums_pages(writer->archive->drives[i].size_bytes);
		for (uint64_t first = 0; first < n_pages; first += SUMS_PER_MAP_PAGE)
			TRY(seal_map_page(writer, i, first, &trace, err));
	}
	if (trace != atomic_load(&writer->trace))
		return fail(err, ERR_SYSTEM, "%s: what was written cannot be read back",
			    writer->path);
	int sys = io_pwrite(writer->fd, writer->head, writer->starts[0], 0, 0);
	if (sys != 0)
		return fail_file(writer, sys, err);
	if (sync && fsync(writer->fd) < 0)
		return fail_file(writer, errno, err);
	return 0;
}

int sums_writer_fd(const struct sums_writer *writer)
{
	return writer->fd;
}

static int upload_all(const struct sums_writer *writer, struct store_writer *to, struct error *err)
{
	uint64_t size = writer->starts[writer->archive->n_drives];
	uint8_t *bytes = malloc(COPY_SIZE);
	int code = bytes == NULL ? fail_memory(err) : 0;

	for (uint64_t at = 0; at < size && code == 0; at += COPY_SIZE) {
		size_t n = least(COPY_SIZE, size - at), got = 0;
		int sys = io_pread(writer->fd, bytes, n, at, &got);

		code = sys != 0	  ? fail_file(writer, sys, err)
		       : got != n ? fail_file(writer, EIO, err)
				  : store_write(to, bytes, n, err);
	}
	free(bytes);
	return code != 0 ? code : store_writer_finish(to, err);
}

static int upload(const struct sums_writer *writer, bool replace, struct error *err)
{
	const struct store_options how = {
		.force = replace, .expected_bytes = writer->starts[writer->archive->n_drives]};
	struct store_writer *to;
	int code;

	TRY(store_writer_open(&to, writer->path, &how, err));
	code = upload_all(writer, to, err);
	store_writer_free(to);
	return code;
}

/* close may be what tells of a failed write, on NFS. */
int sums_publish(struct sums_writer *writer, bool replace, bool sync, struct error *err)
{
	int fd = writer->fd;

	if (store_is_name(writer->path))
		return upload(writer, replace, err);
	writer->fd = -1;
	if (close(fd) < 0)
		return fail_file(writer, errno, err);
	return newfile_publish(writer->file, replace, sync, err);
}

void sums_writer_free(struct sums_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	newfile_free(writer->file);
	free(writer->archive);
	free(writer->starts);
	free(writer->head);
	free(writer);
}
