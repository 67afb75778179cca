/*
 * Files and pipes, read directly, or through a decoder if the first bytes are those of a
 * compressor.
 *
 * Both use one buffer: bytes that were read to recognise the content are read again from there, so
 * a pipe needs no seek. Large reads bypass it, but not those of a tape, which always have the size
 * of the buffer: see parts.h.
 */
#include "reader/input/input.h"

#include "base/command.h"
#include "base/name.h"
#include "base/pace.h"
#include "base/tape.h"
#include "format/layout.h"
#include "format/volume.h"
#include "reader/input/parts.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 20)
#define FIRST_READ  STRANGE_LEAST
#define READ_AHEAD \
	(64u << 10) /* what follows a small read in a file; the rest is not copied twice */

#define AT_AHEAD (8u << 20) /* behind what is read at a place: of a header its extent, and others */

struct input {
	struct descriptor from;
	struct command *command;    /* owned; NULL, or whose output is read */
	struct store_reader *store; /* owned; NULL, or an object that is read */
	struct volumes *volumes;    /* owned; NULL, or those of an archive on tapes */
	bool owns_fd;
	bool damaged;	    /* the content may be */
	bool direct_reads;  /* large reads may bypass the buffer */
	uint64_t size;	    /* of a file that can seek, else 0 */
	uint64_t file_size; /* the same, also with compression around it */
	uint64_t position;  /* of the next byte handed out */
	uint64_t end;	    /* position: see input_seek */
	struct pace pace;
	struct filter *filter;
	const char *name;
	uint8_t *buffer;     /* owned */
	uint8_t *compressed; /* owned: the filter's input, at least 1 MiB */
	size_t buffer_size, buffered, used;
	size_t ahead;	      /* at most buffer_size: what is read into it at once */
	pthread_mutex_t lock; /* guards store, for input_read_at */
	struct error later;   /* code != 0: found by input_check, for the next read to return */
};

/* One read of the file, or of the filter's output. */
static int read_below(struct input *in, void *buffer, size_t n, size_t *got, struct error *err)
{
	if (in->later.code != 0) {
		*err = in->later;
		return err->code;
	}
	size_t slice = pace_slice(&in->pace);
	if (in->direct_reads && n > slice)
		n = slice;
	if (in->filter != NULL)
		TRY(filter_read(in->filter, buffer, n, got, err));
	else
		TRY(descriptor_read(&in->from, buffer, n, got, err));
	pace_wait(&in->pace, *got);
	return 0;
}

/* How much to read into the empty buffer, when this much is asked for. */
static size_t refill_size(const struct input *in, size_t asked)
{
	uint64_t left = in->end > in->position ? in->end - in->position : 0;

	left = left > asked ? left : asked;
	return left < in->ahead ? (size_t)left : in->ahead;
}

int input_read_some(struct input *in, void *buffer, size_t n, size_t *got, struct error *err)
{
	uint8_t *out = buffer;

	*got = 0;
	while (*got < n) {
		size_t left = n - *got, part = in->buffered - in->used;
		if (part > 0) {
			part = part < left ? part : left;
			memcpy(out + *got, in->buffer + in->used, part);
			in->used += part;
		} else if (in->direct_reads && left >= refill_size(in, left)) {
			in->used = in->buffered = 0;
			TRY(read_below(in, out + *got, left, &part, err));
		} else {
			in->used = in->buffered = 0;
			TRY(read_below(in, in->buffer, refill_size(in, left), &in->buffered, err));
			part = 0;
			if (in->buffered != 0)
				continue;
		}
		if (part == 0)
			break;
		*got += part;
		in->position += part;
	}
	return 0;
}

int input_read(struct input *in, void *buffer, size_t n, struct error *err)
{
	size_t got;

	TRY(input_read_some(in, buffer, n, &got, err));
	if (got < n)
		return fail_at(err, ERR_INCOMPLETE, in->position, "incomplete: %s",
			       in->position == 0 ? "it is empty" : "the end is missing");
	return 0;
}

/* A pipe may return the bytes one by one. An error is returned once the bytes before it are used.
 */
int input_check(struct input *in, struct error *err)
{
	size_t got = 1;

	while (got > 0 && in->buffered < STRANGE_LEAST && in->later.code == 0) {
		got = 0;
		read_below(in, in->buffer + in->buffered, in->buffer_size - in->buffered, &got,
			   &in->later);
		in->buffered += got;
	}
	if (in->buffered == 0 && in->later.code != 0)
		return 0;
	return strange_check(in->buffer, in->buffered, in->name, in->damaged, err);
}

uint64_t input_position(const struct input *in)
{
	return in->position;
}

uint64_t input_size(const struct input *in)
{
	return in->size;
}

uint64_t input_taken(const struct input *in)
{
	return in->from.taken;
}

uint64_t input_file_size(const struct input *in)
{
	return in->file_size;
}

bool input_is_far(const struct input *in)
{
	return in->store != NULL;
}

int input_seek(struct input *in, uint64_t position, uint64_t end, struct error *err)
{
	uint64_t begin = in->position - in->used; /* of what is in the buffer */

	if (position >= begin && position - begin <= in->buffered && in->size != 0) {
		in->used = (size_t)(position - begin);
		if (in->store != NULL) /* which goes on behind the buffer, as far as is said now */
			store_reader_seek(in->store, begin + in->buffered, end);
	} else {
		if (in->store != NULL)
			store_reader_seek(in->store, position, end);
		else if (in->size == 0 || lseek(in->from.fd, (off_t)position, SEEK_SET) < 0)
			return fail_system(err, in->size == 0 ? ESPIPE : errno, "%s: cannot seek",
					   in->name);
		in->used = in->buffered = 0;
	}
	in->from.ended = false;
	in->position = position;
	in->end = end;
	return 0;
}

void input_expect(struct input *in, const uint64_t *positions, unsigned n)
{
	if (in->store != NULL)
		store_reader_expect(in->store, positions, n);
}

/* Some of it; 0: the end. */
static int read_some_at(struct input *in, uint64_t position, void *to, size_t n, size_t *got,
			struct error *err)
{
	ssize_t result;
	int code;

	if (in->store == NULL) {
		do
			result = pread(in->from.fd, to, n, (off_t)position);
		while (result < 0 && errno == EINTR);
		*got = result < 0 ? 0 : (size_t)result;
		return result < 0 ? fail_system(err, errno, "%s: cannot be read", in->name) : 0;
	}
	pthread_mutex_lock(&in->lock);
	store_reader_seek(in->store, position, position + n + AT_AHEAD);
	code = store_read(in->store, to, n, got, err);
	pthread_mutex_unlock(&in->lock);
	return code;
}

int input_read_at(struct input *in, uint64_t position, void *to, size_t n, struct error *err)
{
	uint8_t *out = to;
	size_t got = 1;

	for (; n > 0; n -= got, out += got, position += got) {
		TRY(read_some_at(in, position, out, n, &got, err));
		if (got == 0)
			return fail_at(err, ERR_INCOMPLETE, position,
				       "incomplete: the end is missing");
	}
	return 0;
}

void input_expect_random(struct input *in)
{
	if (in->from.fd >= 0)
		posix_fadvise(in->from.fd, 0, 0, POSIX_FADV_RANDOM);
}

void input_limit(struct input *in, uint64_t bytes_per_s)
{
	pace_start(&in->pace, bytes_per_s);
}

const char *input_filter(const struct input *in)
{
	return in->filter != NULL ? filter_name(in->filter) : NULL;
}

void input_close(struct input *in)
{
	if (in == NULL)
		return;
	filter_close(in->filter);
	if (in->owns_fd && in->from.fd >= 0)
		close(in->from.fd);
	volumes_close(in->volumes);
	command_free(in->command);
	store_reader_close(in->store);
	pthread_mutex_destroy(&in->lock);
	free(in->buffer);
	free(in->compressed);
	free(in);
}

static int open_path(struct input *in, const char *path, int *fd, struct error *err)
{
	if (command_of(path) != NULL)
		return command_read(&in->command, command_of(path), fd, err);
	in->owns_fd = strcmp(path, "-") != 0;
	*fd = in->owns_fd ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	return 0;
}

static int open_object(struct input *in, const char *path, struct error *err)
{
	TRY(store_reader_open(&in->store, path, err));
	in->from = descriptor_of(-1, in->name);
	in->from.store = in->store;
	in->size = in->file_size = store_reader_size(in->store);
	in->buffer_size = BUFFER_SIZE;
	in->direct_reads = true;
	in->end = UINT64_MAX;
	in->buffer = malloc(in->buffer_size);
	return in->buffer != NULL ? 0 : fail_memory(err);
}

static int open_file(struct input *in, const char *path, struct error *err)
{
	struct stat st;
	int fd = -1;

	if (store_is_name(path))
		return open_object(in, path, err);
	TRY(open_path(in, path, &fd, err));
	in->from.fd = fd;
	if (fd < 0 || fstat(fd, &st) < 0)
		return tape_fail_open(path, errno, err);
	if (S_ISDIR(st.st_mode))
		return fail_system(err, EISDIR, "%s", path);
	if (isatty(fd))
		return fail(err, ERR_USAGE, "%s is a terminal, not an archive", in->name);
	bool tape = S_ISCHR(st.st_mode);
	in->from = descriptor_of(fd, in->name);
	in->from.command = in->command;
	in->buffer_size = tape ? TAPE_READ : BUFFER_SIZE;
	in->direct_reads = !tape;
	in->ahead = in->buffer_size;
	in->end = UINT64_MAX;
	if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0)
		in->size = in->file_size = (uint64_t)st.st_size;
	if (in->size != 0)
		in->ahead = READ_AHEAD;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	in->buffer = malloc(in->buffer_size);
	return in->buffer != NULL ? 0 : fail_memory(err);
}

/* The filter keeps the buffer with the bytes read; its output goes to a new one. */
static int put_filter(struct input *in, struct error *err)
{
	in->compressed = in->buffer;
	in->buffer = malloc(in->buffer_size);
	if (in->buffer == NULL)
		return fail_memory(err);
	struct compressed from = {.from = &in->from,
				  .buffer = in->compressed,
				  .buffer_size = in->buffer_size,
				  .n_buffered = in->buffered,
				  .tolerant = in->damaged};
	TRY(filter_open(&in->filter, &from, err));
	in->size = 0;
	in->ahead = in->buffer_size;
	in->buffered = 0;
	return 0;
}

/* Enough to recognise the content; a pipe may return it byte by byte. */
static int read_magic(struct input *in, struct error *err)
{
	size_t got = 1, room = in->size != 0 ? FIRST_READ : in->buffer_size;

	while (got > 0 && in->buffered < FILTER_MAGIC_MAX) {
		TRY(descriptor_read(&in->from, in->buffer + in->buffered, room - in->buffered, &got,
				    err));
		in->buffered += got;
	}
	return 0;
}

/* What follows is the archive without the marks of tapes, which cannot seek. */
static int take_volumes(struct input *in, struct error *err)
{
	if (!volume_is_mark(in->buffer, in->buffered))
		return 0;
	TRY(volumes_open(&in->volumes, &in->from, in->buffer, in->buffered, in->damaged, err));
	in->size = 0;
	in->buffered = 0;
	in->buffer_size = in->ahead = BUFFER_SIZE;
	return read_magic(in, err);
}

/* The first bytes decide. Of a VMAB that can seek perhaps only a few parts will be wanted. */
static int read_first(struct input *in, struct error *err)
{
	size_t got;

	TRY(read_magic(in, err));
	TRY(take_volumes(in, err));
	if (in->size == 0 || (in->buffered >= 8 && memcmp(in->buffer, VMAB_MAGIC, 8) == 0))
		return 0;
	TRY(descriptor_read(&in->from, in->buffer + in->buffered, in->buffer_size - in->buffered,
			    &got, err));
	in->buffered += got;
	return 0;
}

static int open_input(struct input **out, const char *path, bool damaged, struct error *err)
{
	struct input *in = calloc(1, sizeof(*in));

	if (in == NULL)
		return fail_memory(err);
	pthread_mutex_init(&in->lock, NULL);
	in->from.fd = -1;
	in->damaged = damaged;
	in->name = strcmp(path, "-") == 0 ? "standard input" : path;
	int code = open_file(in, path, err);
	if (code == 0)
		code = read_first(in, err);
	bool wanted =
		filter_wanted(in->buffer, in->buffered) || (damaged && has_ending(path, ".zst"));
	if (code == 0 && wanted)
		code = put_filter(in, err);
	if (code == 0)
		*out = in;
	else
		input_close(in);
	return code;
}

int input_open(struct input **out, const char *path, struct error *err)
{
	return open_input(out, path, false, err);
}

int input_open_damaged(struct input **out, const char *path, struct error *err)
{
	return open_input(out, path, true, err);
}
