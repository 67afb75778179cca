#include "drive/overlay_map.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "base/grain.h"
#include "base/io.h"
#include "drive/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE	  4096u
#define PAGE_BITS (PAGE * 8u)
#define WORDS	  (PAGE / 8u)

static uint64_t n_pages_of(uint64_t size_bytes)
{
	uint64_t n_blocks = (size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;

	return (n_blocks + PAGE_BITS - 1) / PAGE_BITS;
}

uint64_t overlay_bits_size(uint64_t size_bytes)
{
	return n_pages_of(size_bytes) * PAGE;
}

uint64_t overlay_map_run(struct overlay_map *map, uint64_t block, uint64_t n_max, bool *here)
{
	uint64_t at = block, end = block + n_max;

	pthread_mutex_lock(&map->lock);
	*here = map->bits[at / 64] >> at % 64 & 1;
	while (at < end) {
		uint64_t word = map->bits[at / 64];

		if (at % 64 == 0 && word == (*here ? UINT64_MAX : 0))
			at += 64;
		else if ((word >> at % 64 & 1) == *here)
			at++;
		else
			break;
	}
	pthread_mutex_unlock(&map->lock);
	return least(at, end) - block;
}

/* The bits of a page get their room while a write can still be refused; none of them is set. */
static int take_room_locked(struct overlay_map *map, uint64_t page)
{
	const uint64_t *bits = map->bits + page * WORDS;
	int sys = 0;

	if (!map->kept || map->has_room[page])
		return 0;
	sys = io_pwrite(map->fd, bits, PAGE, map->bits_at + page * PAGE, 0);
	if (sys == 0 && map->present_at != 0)
		sys = io_pwrite(map->fd, bits, PAGE, map->present_at + page * PAGE, 0);
	map->has_room[page] = sys == 0;
	return sys;
}

int overlay_map_prepare(struct overlay_map *map, uint64_t block, uint64_t end, uint64_t *n_new)
{
	int sys = 0;

	pthread_mutex_lock(&map->lock);
	for (uint64_t page = block / PAGE_BITS; page * PAGE_BITS < end && sys == 0; page++)
		sys = take_room_locked(map, page);
	pthread_mutex_unlock(&map->lock);
	for (uint64_t at = block, run; at < end && sys == 0; at += run) {
		bool here;

		run = overlay_map_run(map, at, end - at, &here);
		*n_new += here ? 0 : run;
	}
	return sys;
}

static int set_locked(struct overlay_map *map, uint64_t block, uint64_t end)
{
	uint64_t word = block / 64, n_words = (end - 1) / 64 - word + 1;

	if (bits_set(map->bits, block, end) == 0)
		return 0;
	for (uint64_t page = block / PAGE_BITS; page * PAGE_BITS < end; page++)
		map->changed[page] = true;
	if (!map->kept || map->present_at == 0)
		return 0;
	return io_pwrite(map->fd, map->bits + word, n_words * 8, map->present_at + word * 8, 0);
}

int overlay_map_set(struct overlay_map *map, uint64_t block, uint64_t end)
{
	int sys;

	pthread_mutex_lock(&map->lock);
	sys = set_locked(map, block, end);
	pthread_mutex_unlock(&map->lock);
	return sys;
}

/* The changed pages as they are now, with their numbers. */
struct kept_pages {
	uint64_t n;
	uint64_t *numbers; /* owned */
	uint8_t *bytes;	   /* owned */
};

static int take_pages(struct overlay_map *map, struct kept_pages *out)
{
	uint64_t n = 0;

	pthread_mutex_lock(&map->lock);
	for (uint64_t i = 0; i < map->n_pages; i++)
		n += map->changed[i];
	out->numbers = malloc((n + 1) * sizeof(*out->numbers));
	out->bytes = malloc((n + 1) * PAGE);
	for (uint64_t i = 0; out->numbers != NULL && out->bytes != NULL && out->n < n; i++) {
		if (!map->changed[i])
			continue;
		memcpy(out->bytes + out->n * PAGE, map->bits + i * WORDS, PAGE);
		out->numbers[out->n++] = i;
		map->changed[i] = false;
	}
	pthread_mutex_unlock(&map->lock);
	return out->numbers != NULL && out->bytes != NULL ? 0 : ENOMEM;
}

/* The data first. */
static int write_pages(const struct overlay_map *map, const struct kept_pages *pages)
{
	int fd = map->fd, sys = fdatasync(fd) == 0 ? 0 : errno;

	for (uint64_t i = 0; i < pages->n && sys == 0; i++)
		sys = io_pwrite(fd, pages->bytes + i * PAGE, PAGE,
				map->bits_at + pages->numbers[i] * PAGE, 0);
	if (sys == 0 && pages->n > 0 && fdatasync(fd) != 0)
		sys = errno;
	return sys;
}

int overlay_map_flush(struct overlay_map *map)
{
	struct kept_pages pages = {0};
	int sys = take_pages(map, &pages);

	if (sys == 0)
		sys = write_pages(map, &pages);
	free(pages.numbers);
	free(pages.bytes);
	return sys;
}

/* Only where the file has data. A bit past the end of the drive counts for nothing. Whether those
 * of present_at are durable is not known. */
static int load_map(struct overlay_map *map)
{
	off_t begin = (off_t)(map->present_at != 0 ? map->present_at : map->bits_at);
	off_t end = begin + (off_t)(map->n_pages * PAGE), at = begin;
	int sys = 0;

	while (sys == 0 && at < end) {
		at = lseek(map->fd, at, SEEK_DATA);
		if (at < 0 && errno != ENXIO)
			return errno;
		if (at < 0 || at >= end)
			break;
		uint64_t page = (uint64_t)(at - begin) / PAGE;

		sys = io_pread(map->fd, map->bits + page * WORDS, PAGE,
			       (uint64_t)begin + page * PAGE, NULL);
		map->has_room[page] = true;
		map->changed[page] = map->present_at != 0;
		at = begin + (off_t)((page + 1) * PAGE);
	}
	for (uint64_t i = map->n_blocks; i < map->n_pages * PAGE_BITS; i++)
		map->bits[i / 64] &= ~(UINT64_C(1) << i % 64);
	return sys;
}

int overlay_map_open(struct overlay_map *out, uint64_t size_bytes,
		     const struct overlay_place *place)
{
	*out = (struct overlay_map){
		.fd = place->fd,
		.bits_at = place->bits_at,
		.present_at = place->present_at,
		.kept = place->kept && !place->whole,
	};
	pthread_mutex_init(&out->lock, NULL);
	out->n_blocks = (size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;
	out->n_pages = n_pages_of(size_bytes);
	out->bits = calloc(out->n_pages + 1, PAGE);
	out->changed = calloc(out->n_pages + 1, sizeof(bool));
	out->has_room = calloc(out->n_pages + 1, sizeof(bool));
	if (out->bits == NULL || out->changed == NULL || out->has_room == NULL)
		return ENOMEM;
	if (place->whole)
		bits_set(out->bits, 0, out->n_blocks);
	return out->kept ? load_map(out) : 0;
}

void overlay_map_close(struct overlay_map *map)
{
	pthread_mutex_destroy(&map->lock);
	free(map->bits);
	free(map->changed);
	free(map->has_room);
}
