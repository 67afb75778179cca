/*
 * Standard output: a drive that leaves in order, window by window.
 *
 * What is written into a window waits there until the window is complete. Then a thread writes it
 * out while the next one is filled. Clusters that were not written are zeros. In a file they become
 * holes, but only where nothing was before: at its end.
 */
#include "drive/target_parts.h"

#include "base/bits.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_CLUSTERS 256u /* 16 MiB, of which there are two */
#define ZEROS_SIZE	(256u << 10)

struct window {
	uint64_t begin, n;				    /* in clusters */
	uint8_t *bytes;					    /* owned */
	_Atomic uint64_t written[WINDOW_CLUSTERS / 64 + 1]; /* which of its clusters */
};

struct stream {
	struct target target;
	struct window windows[2];
	struct window *filling, *leaving;
	pthread_t writer; /* of the one that is leaving */
	bool has_writer;
	/* The writer's, until it was joined. */
	struct error err;    /* why a window could not be written */
	bool may_skip;	     /* an empty end of a file: zeros become holes */
	uint64_t hole_bytes; /* skipped, with nothing written behind yet */
};

static const uint8_t zeros[ZEROS_SIZE];

static uint64_t place_window(struct stream *stream, struct window *window, uint64_t begin)
{
	uint64_t left = clusters_of(stream->target.size_bytes) - begin;

	window->begin = begin;
	window->n = left < WINDOW_CLUSTERS ? left : WINDOW_CLUSTERS;
	memset(window->written, 0, sizeof(window->written));
	return window->n;
}

/* What lies outside of the window is left out. */
static int stream_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
			struct error *err)
{
	struct window *window = ((struct stream *)target)->filling;
	uint64_t first = window->begin * CLUSTER_SIZE, end = first + window->n * CLUSTER_SIZE;
	uint64_t from = offset > first ? offset : first;
	uint64_t to = offset + n < end ? offset + n : end;

	(void)err;
	if (from >= to)
		return 0;
	memcpy(window->bytes + (from - first), (const uint8_t *)bytes + (from - offset), to - from);
	bits_set_atomic(window->written, (from - first) / CLUSTER_SIZE, clusters_of(to - first));
	return 0;
}

static int put(struct stream *stream, const uint8_t *bytes, uint64_t n, struct error *err)
{
	int sys = 0;

	if (stream->hole_bytes != 0 &&
	    lseek(STDOUT_FILENO, (off_t)stream->hole_bytes, SEEK_CUR) < 0)
		sys = errno;
	stream->hole_bytes = 0;
	if (sys == 0)
		sys = io_write(STDOUT_FILENO, bytes, n);
	return sys == 0 ? 0 : fail_system(err, sys, "standard output: writing");
}

static int put_zeros(struct stream *stream, uint64_t n, struct error *err)
{
	if (stream->may_skip) {
		stream->hole_bytes += n;
		return 0;
	}
	for (; n > ZEROS_SIZE; n -= ZEROS_SIZE)
		TRY(put(stream, zeros, ZEROS_SIZE, err));
	return put(stream, zeros, n, err);
}

static int put_window(struct stream *stream, const struct window *window, struct error *err)
{
	uint64_t size = stream->target.size_bytes - window->begin * CLUSTER_SIZE, at = 0;

	for (bool data = true; at < window->n; data = !data) {
		uint64_t next = bits_find_atomic(window->written, at, window->n, !data);
		uint64_t from = at * CLUSTER_SIZE, to = next * CLUSTER_SIZE;

		to = to < size ? to : size;
		if (to > from)
			TRY(data ? put(stream, window->bytes + from, to - from, err)
				 : put_zeros(stream, to - from, err));
		at = next;
	}
	return 0;
}

static void *write_out(void *context)
{
	struct stream *stream = context;

	put_window(stream, stream->leaving, &stream->err);
	return NULL;
}

static int await_writer(struct stream *stream, struct error *err)
{
	if (stream->has_writer)
		pthread_join(stream->writer, NULL);
	stream->has_writer = false;
	if (stream->err.code != 0)
		*err = stream->err;
	return stream->err.code;
}

int target_advance(struct target *target, struct error *err)
{
	struct stream *stream = (struct stream *)target;
	struct window *next = stream->leaving;

	TRY(await_writer(stream, err));
	stream->leaving = stream->filling;
	stream->filling = next;
	place_window(stream, next, stream->leaving->begin + stream->leaving->n);
	stream->has_writer = pthread_create(&stream->writer, NULL, write_out, stream) == 0;
	if (!stream->has_writer)
		write_out(stream);
	return 0;
}

uint64_t target_window(const struct target *target, uint64_t *begin)
{
	const struct window *window = ((const struct stream *)target)->filling;

	*begin = window->begin;
	return window->n;
}

bool target_is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

static int stream_finish(struct target *target, struct error *err)
{
	struct stream *stream = (struct stream *)target;

	TRY(await_writer(stream, err));
	if (stream->hole_bytes != 0) {
		off_t end = lseek(STDOUT_FILENO, (off_t)stream->hole_bytes, SEEK_CUR);

		if (end < 0 || ftruncate(STDOUT_FILENO, end) != 0)
			return fail_system(err, errno, "standard output: setting its size");
	}
	int sys = target->sync ? io_sync(STDOUT_FILENO) : 0;
	return sys != 0 ? fail_system(err, sys, "standard output: syncing") : 0;
}

static void stream_close(struct target *target)
{
	struct stream *stream = (struct stream *)target;
	struct error ignored;

	await_writer(stream, &ignored);
	free(stream->windows[0].bytes);
	free(stream->windows[1].bytes);
}

static int stream_open(struct target *target, const struct target_options *options,
		       struct error *err)
{
	struct stream *stream = (struct stream *)target;
	struct stat found;

	if (options->format != NULL && strcmp(options->format, "raw") != 0)
		return fail(err, ERR_USAGE,
			    "standard output takes the bytes of a drive, not a %s image",
			    options->format);
	if (isatty(STDOUT_FILENO))
		return fail(err, ERR_USAGE,
			    "standard output is a terminal: send the drive to a file or pipe");
	if (fstat(STDOUT_FILENO, &found) != 0)
		return fail_system(err, errno, "standard output");
	stream->may_skip = S_ISREG(found.st_mode) &&
			   (fcntl(STDOUT_FILENO, F_GETFL) & O_APPEND) == 0 &&
			   lseek(STDOUT_FILENO, 0, SEEK_CUR) == found.st_size;
	stream->filling = &stream->windows[0];
	stream->leaving = &stream->windows[1];
	for (unsigned i = 0; i < 2; i++) {
		uint64_t n = place_window(stream, &stream->windows[i], 0);

		stream->windows[i].bytes = malloc(n * CLUSTER_SIZE + 1);
		if (stream->windows[i].bytes == NULL)
			return fail_memory(err);
	}
	return 0;
}

const struct target_kind target_stream = {
	.size = sizeof(struct stream),
	.open = stream_open,
	.write = stream_write,
	.finish = stream_finish,
	.close = stream_close,
};
