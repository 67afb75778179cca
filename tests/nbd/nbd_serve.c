/*
 * An NBD server over files, for tests of nbd/ alone, with clients of other makers.
 *
 *   nbd-serve -a PLACE [OPTION]... FILE...     until SIGTERM; prints "ready" when clients may come
 *
 * Each file is an export, named as its last part. It has two bitmaps: in "odd" every other 64 KiB
 * is set, in "all" everything.
 */
#include "nbd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORTS_MAX 16u

struct file {
	int fd;
	unsigned delay_us; /* of every read and write, and then never at once */
};

static void delay(const struct file *file)
{
	if (file->delay_us > 0)
		usleep(file->delay_us);
}

static int file_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	const struct file *file = context;
	struct iovec part = {.iov_base = to, .iov_len = n};

	if (flags & NBDSERVER_NOW && file->delay_us > 0)
		return EAGAIN;
	if (flags & NBDSERVER_NOW) {
		ssize_t got = preadv2(file->fd, &part, 1, (off_t)offset, RWF_NOWAIT);
		if (got == (ssize_t)n)
			return 0;
		if (got >= 0 || errno != EOPNOTSUPP) /* as a file system in memory says */
			return EAGAIN;
	}
	delay(file);
	while (part.iov_len > 0) {
		ssize_t got = preadv(file->fd, &part, 1, (off_t)offset);
		if (got < 0)
			return errno;
		if (got == 0)
			return EIO;
		part.iov_base = (uint8_t *)part.iov_base + got;
		part.iov_len -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int file_flush(void *context, unsigned flags)
{
	const struct file *file = context;

	if (flags & NBDSERVER_NOW)
		return EAGAIN;
	return fdatasync(file->fd) == 0 ? 0 : errno;
}

/* The page cache takes writes without waiting. */
static int file_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	const struct file *file = context;

	if (flags & NBDSERVER_NOW && (flags & NBDSERVER_FUA || file->delay_us > 0))
		return EAGAIN;
	delay(file);
	for (uint32_t at = 0; at < n;) {
		ssize_t done =
			pwrite(file->fd, (const uint8_t *)from + at, n - at, (off_t)(offset + at));
		if (done < 0)
			return errno;
		at += (uint32_t)done;
	}
	return flags & NBDSERVER_FUA ? file_flush(context, 0) : 0;
}

static int file_zero(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	const struct file *file = context;
	int mode = flags & NBDSERVER_MAY_TRIM ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (flags & NBDSERVER_NOW && (flags & NBDSERVER_FUA || file->delay_us > 0))
		return EAGAIN;
	delay(file);
	if (fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n) == 0)
		return flags & NBDSERVER_FUA ? file_flush(context, 0) : 0;
	if (errno != EOPNOTSUPP || flags & NBDSERVER_FAST)
		return errno;
	static const uint8_t zeros[65536];
	for (uint64_t at = 0; at < n; at += sizeof zeros) {
		uint32_t part = n - at < sizeof zeros ? (uint32_t)(n - at) : sizeof zeros;
		int error = file_write(context, offset + at, zeros, part, flags & NBDSERVER_FUA);
		if (error != 0)
			return error;
	}
	return 0;
}

static int file_trim(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	return file_zero(context, offset, n, flags | NBDSERVER_MAY_TRIM);
}

static int file_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	const struct file *file = context;
	off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);

	if (data < 0 && errno != ENXIO)
		return errno;
	*zero = data != (off_t)offset;
	off_t end = *zero ? data : lseek(file->fd, (off_t)offset, SEEK_HOLE);
	if (end > 0)
		*n = (uint64_t)end - offset;
	return 0;
}

static int file_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set)
{
	(void)context;
	*set = which == 1 || offset / CLUSTER_SIZE % 2 == 1;
	*n = CLUSTER_SIZE - offset % CLUSTER_SIZE;
	return 0;
}

static const char *const bitmaps[] = {"odd", "all"};

static int file_find_bitmap(void *context, const char *name)
{
	(void)context;
	for (int i = 0; i < 2; i++)
		if (strcmp(name, bitmaps[i]) == 0)
			return i;
	return -1;
}

static bool file_bitmap_name(void *context, unsigned i, char out[256])
{
	(void)context;
	if (i < 2)
		strcpy(out, bitmaps[i]);
	return i < 2;
}

static const struct nbdserver_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero,
	.trim = file_trim,
	.flush = file_flush,
	.status = file_status,
	.bitmap = file_bitmap,
	.find_bitmap = file_find_bitmap,
	.bitmap_name = file_bitmap_name,
};

struct settings {
	const char *place;
	bool read_only, write_only, plain;
	unsigned delay_us;
	uint32_t block_max;
	struct nbdserver_tls tls;
	struct nbdserver_options options;
};

static void log_line(void *context, const char *text)
{
	(void)context;
	fprintf(stderr, "nbd-serve: %s\n", text);
}

static int parse_options(int argc, char **argv, struct settings *settings)
{
	int letter;

	while ((letter = getopt(argc, argv, "a:rwpvd:m:x:k:ct:n:")) != -1)
		switch (letter) {
		case 'a': /* where */
			settings->place = optarg;
			break;
		case 'r': /* read-only */
			settings->read_only = true;
			break;
		case 'w': /* write-only */
			settings->write_only = true;
			break;
		case 'p': /* plain TCP on loopback */
			settings->plain = true;
			break;
		case 'v': /* tells of clients */
			settings->options.log = log_line;
			break;
		case 'd': /* microseconds for every request */
			settings->delay_us = (unsigned)atoi(optarg);
			break;
		case 'm': /* largest block */
			settings->block_max = (uint32_t)atoi(optarg);
			break;
		case 'x': /* folder of certificates */
			settings->tls.certificates = optarg;
			break;
		case 'k': /* file of keys */
			settings->tls.psk = optarg;
			break;
		case 'c': /* clients need certificates */
			settings->tls.verify_peer = true;
			break;
		case 't': /* seconds for a handshake */
			settings->options.handshake_s = (unsigned)atoi(optarg);
			break;
		case 'n': /* clients at most */
			settings->options.n_connections = (unsigned)atoi(optarg);
			break;
		default:
			return -1;
		}
	if (settings->tls.certificates || settings->tls.psk)
		settings->options.tls = &settings->tls;
	return settings->place && optind < argc && argc - optind <= (int)EXPORTS_MAX ? 0 : -1;
}

static bool open_export(struct nbdserver_export *export, struct file *file, const char *path,
			const struct settings *settings)
{
	struct stat st;
	const char *slash = strrchr(path, '/');

	file->fd = open(path, (settings->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	file->delay_us = settings->delay_us;
	if (file->fd < 0 || fstat(file->fd, &st) != 0) {
		perror(path);
		return false;
	}
	*export = (struct nbdserver_export){.name = slash ? slash + 1 : path,
					    .description = "a file",
					    .size_bytes = (uint64_t)st.st_size,
					    .read_only = settings->read_only,
					    .write_only = settings->write_only,
					    .multi_conn = true,
					    .block_max = settings->block_max,
					    .ops = &file_ops,
					    .context = file};
	return true;
}

static int serve(const struct nbdserver_export *exports, unsigned n,
		 const struct settings *settings)
{
	struct nbdserver *server;
	struct error err;
	sigset_t signals;
	int got;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (nbdserver_new(&server, exports, n, &settings->options, &err) != 0) {
		fprintf(stderr, "nbd-serve: %s\n", err.text);
		return 1;
	}
	int code = nbdserver_listen(server, settings->place, settings->plain, &err);
	if (code == 0) {
		puts("ready");
		fflush(stdout);
		sigwait(&signals, &got);
	} else {
		fprintf(stderr, "nbd-serve: %s\n", err.text);
	}
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
	return -code;
}

int main(int argc, char **argv)
{
	struct nbdserver_export exports[EXPORTS_MAX];
	struct file files[EXPORTS_MAX];
	struct settings settings = {0};
	unsigned n = 0;

	if (parse_options(argc, argv, &settings) != 0) {
		fprintf(stderr, "nbd-serve: see the source\n");
		return 2;
	}
	for (char **path = argv + optind; *path; path++, n++)
		if (!open_export(&exports[n], &files[n], *path, &settings))
			return 1;
	int code = serve(exports, n, &settings);
	while (n > 0)
		close(files[--n].fd);
	return code;
}
