#include "device/overlay.h"

#include "base/boot.h"
#include "base/bytes.h"
#include "base/io.h"
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* spec/overlay.md section 1 */
#define HEAD_BYTES 4096u
#define MAGIC	   "VMABOVL1"
#define VERSION_1  1u
enum overlay_head {
	OVERLAY_VERSION = 0x08,
	OVERLAY_N_DRIVES = 0x0c,
	OVERLAY_UUID = 0x10,
	OVERLAY_SIZES = 0x20,
	OVERLAY_CHECKSUM = HEAD_BYTES - CHECKSUM_SIZE,
};

static uint64_t padded(uint64_t n)
{
	return (n + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
}

/* Where the bits and the data of a drive are; with the number of drives: where both end. */
static void find_place(const struct archive *archive, uint32_t drive, uint64_t *bits_at,
		       uint64_t *data_at)
{
	uint64_t data = 0;

	*bits_at = *data_at = HEAD_BYTES;
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint64_t size = archive->drives[i].size_bytes;

		*data_at += overlay_bits_size(size);
		if (i < drive) {
			*bits_at += overlay_bits_size(size);
			data += padded(size);
		}
	}
	*data_at += data;
}

static int build_head(const struct archive *archive, uint8_t head[HEAD_BYTES], struct error *err)
{
	uint8_t *sizes = malloc(archive->n_drives * (size_t)8 + 1);

	if (sizes == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < archive->n_drives; i++)
		put_le(sizes + i * (size_t)8, 8, archive->drives[i].size_bytes);
	memset(head, 0, HEAD_BYTES);
	memcpy(head, MAGIC, 8);
	put_le(head + OVERLAY_VERSION, 4, VERSION_1);
	put_le(head + OVERLAY_N_DRIVES, 4, archive->n_drives);
	memcpy(head + OVERLAY_UUID, archive->uuid, UUID_SIZE);
	checksum_bytes(sizes, archive->n_drives * (size_t)8, head + OVERLAY_SIZES);
	checksum_bytes(head, OVERLAY_CHECKSUM, head + OVERLAY_CHECKSUM);
	free(sizes);
	return 0;
}

static int open_memory(struct overlay_store *store, struct error *err)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	store->fd = memfd_create("vmabak overlay", MFD_CLOEXEC);
	if (store->fd < 0)
		return fail_system(err, errno, "memory for the overlay");
	store->shared.n_left = (uint64_t)pages * (uint64_t)page / 2 / BLOCK_SIZE;
	return 0;
}

static int open_file(struct overlay_store *store, struct error *err)
{
	struct stat st;

	store->fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
	if (store->fd < 0 || fstat(store->fd, &st) != 0)
		return fail_system(err, errno, "%s", store->path);
	if (!S_ISREG(st.st_mode))
		return fail(err, ERR_USAGE, "%s: an overlay is a file", store->path);
	TRY(place_check_own(store->path, &st, err));
	if (flock(store->fd, LOCK_EX | LOCK_NB) != 0)
		return fail(err, errno == EWOULDBLOCK ? ERR_LOCKED : ERR_SYSTEM,
			    "%s: the overlay is in use", store->path);
	store->is_new = st.st_size == 0;
	store->shared.n_left = UINT64_MAX / 2;
	store->kept = true;
	return 0;
}

static int check_file(const struct overlay_store *store, const uint8_t wanted[HEAD_BYTES],
		      uint64_t size, struct error *err)
{
	struct stat st;
	uint8_t found[HEAD_BYTES];
	size_t got = 0;
	int sys = io_pread(store->fd, found, HEAD_BYTES, 0, &got);

	if (sys != 0)
		return fail_system(err, sys, "%s", store->path);
	if (got < HEAD_BYTES || memcmp(found, MAGIC, 8) != 0)
		return fail(err, ERR_USAGE, "%s: exists, and is no overlay", store->path);
	if (memcmp(found, wanted, HEAD_BYTES) != 0)
		return fail(err, ERR_USAGE, "%s: is an overlay of another archive", store->path);
	if (fstat(store->fd, &st) != 0)
		return fail_system(err, errno, "%s", store->path);
	if ((uint64_t)st.st_size < size)
		return fail(err, ERR_DAMAGED, "%s: the overlay is cut short: %llu bytes of %llu",
			    store->path, (unsigned long long)st.st_size, (unsigned long long)size);
	return 0;
}

/* The head comes last: a file without it is not used, but begun anew if it is empty. */
static int make_file(const struct overlay_store *store, const uint8_t head[HEAD_BYTES],
		     uint64_t size, struct error *err)
{
	int sys = 0;

	if (ftruncate(store->fd, (off_t)size) != 0)
		sys = errno;
	if (sys == 0)
		sys = io_pwrite(store->fd, head, HEAD_BYTES, 0, 0);
	if (sys == 0 && store->kept && fsync(store->fd) != 0)
		sys = errno;
	if (sys == 0)
		return 0;
	if (store->kept)
		unlink(store->path);
	return fail_system(err, sys, "%s: making the overlay", store->path);
}

/* ---- what was written since the last flush: spec/overlay.md section 4 ---- */

/* In another boot only the durable bits count. to: a hole. */
static int restart_bits(const struct overlay_store *store, uint64_t to, uint64_t bits_bytes)
{
	off_t at = HEAD_BYTES, end = (off_t)(HEAD_BYTES + bits_bytes);
	uint8_t page[BLOCK_SIZE];
	int sys = 0;

	while (sys == 0 && (at = lseek(store->fd, at, SEEK_DATA)) >= 0 && at < end) {
		at -= at % BLOCK_SIZE;
		sys = io_pread(store->fd, page, sizeof(page), (uint64_t)at, NULL);
		if (sys == 0)
			sys = io_pwrite(store->fd, page, sizeof(page),
					to + (uint64_t)at - HEAD_BYTES, 0);
		at += BLOCK_SIZE;
	}
	return sys == 0 && at < 0 && errno != ENXIO ? errno : sys;
}

/* at: where the drives' data ends; bits_bytes: of all drives. */
static int open_present(struct overlay_store *store, uint64_t at, uint64_t bits_bytes,
			struct error *err)
{
	uint8_t boot[BOOT_ID_SIZE] = {0}, found[BOOT_ID_SIZE] = {0}, none[BOOT_ID_SIZE] = {0};
	off_t end = (off_t)(at + BLOCK_SIZE + bits_bytes);
	bool same;
	int sys = 0;

	read_boot_id(boot);
	if (!store->kept || memcmp(boot, none, sizeof(none)) == 0)
		return 0;
	same = io_pread(store->fd, found, sizeof(found), at, NULL) == 0 &&
	       memcmp(boot, found, sizeof(found)) == 0;
	/* What is there of another boot is dropped before it could count for one of this. */
	if (!same && ftruncate(store->fd, (off_t)at) != 0)
		sys = errno;
	if (sys == 0 && ftruncate(store->fd, end) != 0)
		sys = errno;
	if (sys == 0 && !same)
		sys = restart_bits(store, at + BLOCK_SIZE, bits_bytes);
	if (sys == 0 && !same)
		sys = io_pwrite(store->fd, boot, sizeof(boot), at, 0);
	if (sys != 0)
		return fail_system(err, sys, "%s: opening the overlay", store->path);
	store->present_at = at + BLOCK_SIZE;
	return 0;
}

int overlay_store_open(struct overlay_store *out, const char *path, const struct archive *archive,
		       struct error *err)
{
	uint8_t head[HEAD_BYTES];
	uint64_t bits_end, size;

	*out = (struct overlay_store){.path = path, .fd = -1, .is_new = true};
	pthread_mutex_init(&out->shared.flushing, NULL);
	for (uint32_t i = 0; i < archive->n_drives; i++)
		if (archive->drives[i].size_bytes > INT64_MAX / 4 / (archive->n_drives + 1u))
			return fail(err, ERR_UNSUPPORTED, "%s: drives too large for an overlay",
				    path);
	find_place(archive, archive->n_drives, &bits_end, &size);
	TRY(build_head(archive, head, err));
	if (strcmp(path, "memory") == 0)
		TRY(open_memory(out, err));
	else
		TRY(open_file(out, err));
	if (out->is_new)
		TRY(make_file(out, head, size, err));
	else
		TRY(check_file(out, head, size, err));
	return open_present(out, size, bits_end - HEAD_BYTES, err);
}

void overlay_store_close(struct overlay_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	store->fd = -1;
}

struct overlay_place overlay_store_place(struct overlay_store *store, const struct archive *archive,
					 uint32_t drive)
{
	struct overlay_place place = {
		.fd = store->fd, .kept = store->kept, .shared = &store->shared};

	find_place(archive, drive, &place.bits_at, &place.data_at);
	if (store->present_at != 0)
		place.present_at = store->present_at + place.bits_at - HEAD_BYTES;
	return place;
}
