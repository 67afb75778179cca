/*
 * The file of a generation map: any bytes, opened, asked, marked, closed, and opened again.
 *
 * Byte 0 tells what is made right first: checksums of the header and of the marks, the drive, the
 * boot and the time of the last mark, the size of the file. Byte 1 is the size of the drive. Then
 * come the used part of the header, and what lies behind the header's page.
 */
#include "cow/generation.h"
#include "cow/map_parts.h"
#include "base/boot.h"
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define HEADER_USED 1032u
#define COPY_SIZE   512u
#define FILE_MAX    (1u << 19)

enum { RIGHT_SUMS = 1, RIGHT_DRIVE = 2, RIGHT_BOOT = 4, RIGHT_SIZE = 8, LESS_A_BIT = 16 };

static int drive_fd, map_fd;
static char drive_path[64], map_path[64];
static uint8_t bytes[FILE_MAX], after[FILE_MAX];

static void start(void)
{
	drive_fd = memfd_create("drive", MFD_CLOEXEC);
	map_fd = memfd_create("map", MFD_CLOEXEC);
	MUST(drive_fd >= 0 && map_fd >= 0);
	snprintf(drive_path, sizeof drive_path, "/proc/self/fd/%d", drive_fd);
	snprintf(map_path, sizeof map_path, "/proc/self/fd/%d", map_fd);
}

static void put_drive(uint8_t *copy, uint64_t size_bytes)
{
	struct drive_look look;
	struct error err;
	MUST(drive_look(&look, drive_path, size_bytes, &err) == 0);
	put_le(copy + 52, 4, look.kind);
	put_le(copy + 56, 8, look.device);
	put_le(copy + 64, 8, look.inode);
	put_le(copy + 72, 8, look.disk);
	put_le(copy + 80, 8, look.size_bytes);
	put_le(copy + 88, 8, look.mtime_ns);
}

static size_t right_size(uint64_t size_bytes)
{
	size_t n_groups = (size_t)(clusters_of(size_bytes) + 2047) / 2048;
	return 4096 * (1 + (2 * n_groups + 4095) / 4096 + n_groups) + MAP_TABLES * MAP_TABLE_SIZE;
}

/* Groups as high as their clusters, and the sum. */
static void put_marks(size_t map_size)
{
	size_t n_marks = map_size > 8192 ? (map_size - 8192) / 2 : 0;
	uint64_t sum = 0;
	for (size_t i = 0; i < n_marks; i++) {
		uint8_t *group = bytes + 4096 + i / 2048 * 2;
		uint64_t mark = get_le(bytes + 8192 + 2 * i, 2);
		sum += mark;
		if (mark > get_le(group, 2))
			put_le(group, 2, mark);
	}
	put_le(bytes + MAP_SUM_AT + 8, 8, sum);
}

/* The file as it is opened first; returns its size. */
static size_t make_file(const uint8_t *data, size_t size, unsigned how, uint64_t size_bytes)
{
	size_t head = size < HEADER_USED ? size : HEADER_USED, n = size;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, data, head);
	if (size > head) {
		memcpy(bytes + MAP_HEADER_SIZE, data + head, size - head);
		n = MAP_HEADER_SIZE + size - head;
	}
	for (uint8_t *copy = bytes; copy <= bytes + COPY_SIZE; copy += COPY_SIZE) {
		if (how & RIGHT_DRIVE)
			put_drive(copy, size_bytes);
		if (how & RIGHT_BOOT)
			read_boot_id(copy + 32);
		if (how & RIGHT_SUMS)
			put_le(copy + 504, 8, XXH3_64bits(copy, 504));
	}
	if (how & RIGHT_SUMS)
		put_marks(right_size(size_bytes));
	if (how & RIGHT_BOOT)
		put_le(bytes + MAP_LAST_AT, 8, (uint64_t)time(NULL) * 1000000000u);
	if (how & RIGHT_SIZE)
		n = right_size(size_bytes);
	MUST(ftruncate(map_fd, 0) == 0 && ftruncate(map_fd, (off_t)n) == 0);
	MUST(pwrite(map_fd, bytes, n, 0) == (ssize_t)n);
	return n;
}

/* How many clusters changed since g: asked for run by run, and all at once. */
static uint64_t count(const struct generation *map, uint16_t g)
{
	uint64_t sum = 0, n, n_all = generation_n_clusters(map);
	for (uint64_t at = 0; at < n_all; at += n) {
		bool changed = generation_changed(map, g, at, &n);
		MUST(n > 0 && n <= n_all - at);
		sum += changed ? n : 0;
	}
	MUST(sum == generation_count(map, g));
	return sum;
}

static void use(struct generation *map, uint8_t where)
{
	enum map_trust trust = generation_trust(map);
	uint64_t n_all = generation_n_clusters(map), n;
	if (trust != MAP_CLEAN && trust != MAP_KILLED)
		MUST(count(map, 0) == 0 && generation_current(map) == 1);
	count(map, (uint16_t)(generation_current(map) - 1));
	count(map, GENERATION_MAX);
	uint16_t g = generation_advance(map);
	MUST(g != 0 || (generation_current(map) == 1 && count(map, 0) == 0));
	if (n_all == 0)
		return;
	generation_mark(map, where % n_all, 1 + where % (n_all - where % n_all));
	MUST(generation_changed(map, g, where % n_all, &n));
}

static void close_and_open_again(struct generation *map, uint64_t size_bytes)
{
	uint64_t id = generation_id(map), n = count(map, 0);
	uint16_t current = generation_current(map);
	struct error err;
	MUST(generation_close(map, &err) == 0);
	MUST(generation_open(&map, map_path, drive_path, size_bytes, &err) == 0);
	MUST(generation_trust(map) == MAP_CLEAN && generation_id(map) == id);
	MUST(generation_current(map) == current && count(map, 0) == n);
	MUST(generation_close(map, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct generation *map;
	struct error err = {0};
	if (size < 2 || size > FILE_MAX - MAP_HEADER_SIZE)
		return 0;
	if (map_fd == 0)
		start();
	uint64_t size_bytes = (uint64_t)data[1] * 33 * CLUSTER_SIZE;
	if ((data[0] & LESS_A_BIT) && size_bytes > 0)
		size_bytes -= 1000;
	size_t n = make_file(data + 2, size - 2, data[0], size_bytes);
	int code = generation_open(&map, map_path, drive_path, size_bytes, &err);
	if (code == 0) {
		use(map, data[0]);
		close_and_open_again(map, size_bytes);
		return 0;
	}
	/* What is not of this program, or of a later one, stays as it is. */
	MUST((code == ERR_USAGE || code == ERR_UNSUPPORTED) && err.text[0] != '\0');
	MUST(pread(map_fd, after, sizeof after, 0) == (ssize_t)n && memcmp(bytes, after, n) == 0);
	return 0;
}
