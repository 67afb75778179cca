#include "tests/unit/nbd_disk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

uint8_t nbdtest_disk_bytes[DISK_SIZE];
_Atomic unsigned nbdtest_disk_flags, nbdtest_slow_us;

static int disk_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)flags;
	memcpy(to, nbdtest_disk_bytes + offset, n);
	return 0;
}

static int disk_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	(void)context;
	nbdtest_disk_flags = flags & ~(unsigned)NBDSERVER_NOW;
	memcpy(nbdtest_disk_bytes + offset, from, n);
	return 0;
}

static int disk_zero(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	(void)context;
	nbdtest_disk_flags = flags & ~(unsigned)NBDSERVER_NOW;
	memset(nbdtest_disk_bytes + offset, 0, n);
	return 0;
}

static int disk_flush(void *context, unsigned flags)
{
	(void)context;
	nbdtest_disk_flags = 0x100;
	return flags & NBDSERVER_NOW ? EAGAIN : 0;
}

/* Every other cluster. Told by halves: neighbours that are alike are put together. */
static int disk_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	(void)context;
	*zero = offset / CLUSTER_SIZE % 2 == 1;
	*n = CLUSTER_SIZE / 2 - offset % (CLUSTER_SIZE / 2);
	return 0;
}

static int disk_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set)
{
	(void)context;
	*set = which == 7 || offset / CLUSTER_SIZE % 4 == 0;
	*n = CLUSTER_SIZE - offset % CLUSTER_SIZE;
	return 0;
}

static int disk_find_bitmap(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "four") == 0 ? 4 : strcmp(name, "all") == 0 ? 7 : -1;
}

static bool disk_bitmap_name(void *context, unsigned i, char out[256])
{
	static const char *const names[] = {"four", "all"};

	(void)context;
	if (i < 2)
		strcpy(out, names[i]);
	return i < 2;
}

/* ---- fail ---- */

static int fail_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)flags;
	memset(to, 1, n);
	return offset == 0 || offset > 131072 ? offset + n > 786432 ? EIO : 0 : (int)(offset / 512);
}

static int fail_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	(void)context;
	(void)from;
	(void)n;
	(void)flags;
	return (int)(offset / 512);
}

static int fail_zero(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	(void)context;
	(void)n;
	(void)flags;
	return (int)(offset / 512);
}

static int fail_flush(void *context, unsigned flags)
{
	(void)context;
	(void)flags;
	return ENOSPC;
}

static int fail_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	(void)context;
	*n = 512;
	*zero = false;
	return offset < 4096 ? 0 : EIO;
}

/* ---- slow ---- */

static int slow_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	if (flags & NBDSERVER_NOW)
		return EAGAIN;
	usleep(nbdtest_slow_us);
	return disk_read(context, offset, to, n, flags);
}

static int slow_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	if (flags & NBDSERVER_NOW)
		return EAGAIN;
	usleep(nbdtest_slow_us);
	return disk_write(context, offset, from, n, flags);
}

static int big_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)offset;
	(void)flags;
	memset(to, 0, n);
	return 0;
}

static int big_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	(void)context;
	(void)offset;
	(void)from;
	(void)n;
	(void)flags;
	return 0;
}

#define BLOCK_STATES                                                                   \
	.status = disk_status, .bitmap = disk_bitmap, .find_bitmap = disk_find_bitmap, \
	.bitmap_name = disk_bitmap_name

static const struct nbdserver_ops disk_ops = {.read = disk_read,
					      .write = disk_write,
					      .zero = disk_zero,
					      .trim = disk_zero,
					      .flush = disk_flush,
					      BLOCK_STATES};
static const struct nbdserver_ops bare_ops = {.read = disk_read};
static const struct nbdserver_ops fail_ops = {.read = fail_read,
					      .write = fail_write,
					      .zero = fail_zero,
					      .trim = fail_zero,
					      .flush = fail_flush,
					      .status = fail_status};
static const struct nbdserver_ops slow_ops = {
	.read = slow_read, .write = slow_write, .flush = disk_flush, BLOCK_STATES};
static const struct nbdserver_ops big_ops = {
	.read = big_read, .write = big_write, .flush = disk_flush};

struct nbdserver_export nbdtest_disks[N_DISKS] = {
	[DISK] = {.name = "disk", .size_bytes = DISK_SIZE, .ops = &disk_ops},
	[READ_ONLY_DISK] = {.name = "ro",
			    .description = "for readers",
			    .size_bytes = DISK_SIZE,
			    .read_only = true,
			    .multi_conn = true,
			    .ops = &disk_ops},
	[WRITE_ONLY_DISK] = {.name = "wo",
			     .size_bytes = DISK_SIZE,
			     .write_only = true,
			     .ops = &disk_ops},
	[BARE] = {.name = "bare", .size_bytes = DISK_SIZE, .ops = &bare_ops},
	[SECTOR] = {.name = "sector",
		    .size_bytes = DISK_SIZE,
		    .block_min = 512,
		    .block_preferred = 4096,
		    .block_max = 65536,
		    .ops = &disk_ops},
	[FAIL] = {.name = "fail", .size_bytes = DISK_SIZE, .ops = &fail_ops},
	[SLOW] = {.name = "slow", .size_bytes = DISK_SIZE, .multi_conn = true, .ops = &slow_ops},
	[BIG] = {.name = "big", .size_bytes = 64ull << 20, .ops = &big_ops},
};

void nbdtest_disks_reset(void)
{
	for (unsigned i = 0; i < DISK_SIZE / BLOCK_SIZE; i++)
		memset(nbdtest_disk_bytes + i * BLOCK_SIZE, (int)i, BLOCK_SIZE);
	nbdtest_disk_flags = 0;
	nbdtest_slow_us = 1000;
}

/* ---- words ---- */

static size_t put_integer(uint8_t *out, unsigned n, const char *text)
{
	uint64_t value = strtoull(text, NULL, 0);

	for (unsigned i = n; i > 0; value >>= 8)
		out[--i] = (uint8_t)value;
	return n;
}

static size_t put_word(uint8_t *out, const char *word)
{
	switch (*word) {
	case 'h':
		return put_integer(out, 2, word + 2);
	case 'w':
		return put_integer(out, 4, word + 2);
	case 'q':
		return put_integer(out, 8, word + 2);
	case 's': {
		size_t n = strcspn(word + 2, " ");
		memcpy(out, word + 2, n);
		return n;
	}
	default: {
		char *end;
		size_t n = strtoul(word + 2, &end, 0);
		memset(out, (int)strtoul(end + 1, NULL, 0), n);
		return n;
	}
	}
}

size_t nbdtest_words(const char *words, uint8_t **out)
{
	size_t n = strlen(words), at = 0;

	for (const char *x = strstr(words, "x:"); x; x = strstr(x + 1, "x:"))
		n += strtoul(x + 2, NULL, 0);
	*out = malloc(n + 1);
	while (*words) {
		at += put_word(*out + at, words);
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	return at;
}

/* ---- by a socket ---- */

void nbdtest_say(int fd, const char *words)
{
	uint8_t *bytes;
	size_t n = nbdtest_words(words, &bytes);

	if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n) {
		/* it may be cut already */
	}
	free(bytes);
}

bool nbdtest_hear(int fd, const char *words)
{
	uint8_t *expected;
	size_t n = nbdtest_words(words, &expected);
	uint8_t *got = malloc(n + 1);
	bool same = recv(fd, got, n, MSG_WAITALL) == (ssize_t)n && memcmp(got, expected, n) == 0;

	free(expected);
	free(got);
	return same;
}

bool nbdtest_is_closed(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&poll_fd, 1, 10000) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}
