/*
 * Standard input: a drive of a size that was said, read once, in order.
 *
 * Threads ask for parts in any order. One that comes too early waits for its turn: as all of the
 * drive is data, each part before it is on its way to another thread, which asks for it soon.
 */
#include "drive/kind.h"

#include "base/human.h"
#include "base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

struct input_drive {
	struct drive drive;
	pthread_mutex_t lock; /* guards all below, and reading */
	pthread_cond_t moved;
	uint64_t at;	  /* bytes read so far */
	struct error err; /* why nothing more can be read */
};

static int fail_size(const struct input_drive *input, bool longer, struct error *err)
{
	char size[HUMAN_SIZE];

	return fail(err, ERR_SYSTEM,
		    "standard input: %s %" PRIu64 " bytes, and the drive has %" PRIu64
		    " (%s) by its ,size=",
		    longer ? "has more than" : "ended after", input->at, input->drive.size_bytes,
		    human_size(size, input->drive.size_bytes));
}

/* Waits for a pipe that is empty even if somebody made it non-blocking. 0 or errno. */
static int read_pipe(uint8_t *buffer, size_t n, size_t *got)
{
	struct pollfd empty = {.fd = STDIN_FILENO, .events = POLLIN};
	size_t more;
	int sys;

	*got = 0;
	while ((sys = io_read(STDIN_FILENO, buffer + *got, n - *got, &more)) == EAGAIN) {
		*got += more;
		poll(&empty, 1, -1);
	}
	*got += more;
	return sys;
}

/* Once the drive is complete, nothing may follow. */
static int take(struct input_drive *input, void *buffer, size_t n, struct error *err)
{
	size_t got, excess = 0;
	uint8_t byte;
	int sys = read_pipe(buffer, n, &got);

	input->at += got;
	if (sys == 0 && got < n)
		return fail_size(input, false, err);
	if (sys == 0 && input->at == input->drive.size_bytes)
		sys = read_pipe(&byte, 1, &excess);
	if (sys != 0)
		return fail_system(err, sys, "standard input: reading at byte %" PRIu64, input->at);
	return excess != 0 ? fail_size(input, true, err) : 0;
}

static int input_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		      struct error *err)
{
	struct input_drive *input = (struct input_drive *)drive;

	pthread_mutex_lock(&input->lock);
	while (input->at < offset && input->err.code == 0)
		pthread_cond_wait(&input->moved, &input->lock);
	if (input->err.code == 0 && input->at != offset)
		fail(&input->err, ERR_SYSTEM, "standard input: cannot be read twice");
	if (input->err.code == 0)
		take(input, buffer, n, &input->err);
	int code = input->err.code;
	if (code != 0)
		*err = input->err;
	pthread_cond_broadcast(&input->moved);
	pthread_mutex_unlock(&input->lock);
	return code;
}

static int input_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
			struct error *err)
{
	(void)err;
	*n = drive->size_bytes - offset;
	*zero = false;
	return 0;
}

static bool input_changed(struct drive *drive)
{
	(void)drive;
	return false;
}

static void input_close(struct drive *drive)
{
	struct input_drive *input = (struct input_drive *)drive;

	pthread_cond_destroy(&input->moved);
	pthread_mutex_destroy(&input->lock);
	free(input);
}

static const struct drive_ops input_ops = {
	.read = input_read,
	.status = input_status,
	.changed = input_changed,
	.close = input_close,
};

int drive_stdin_open(struct drive **out, const char *path, const struct drive_options *options,
		     struct error *err)
{
	struct input_drive *input;

	(void)path;
	if (isatty(STDIN_FILENO))
		return fail(err, ERR_USAGE, "standard input is a terminal, not a drive");
	input = calloc(1, sizeof(*input));
	if (input == NULL)
		return fail_memory(err);
	pthread_mutex_init(&input->lock, NULL);
	pthread_cond_init(&input->moved, NULL);
	input->drive.ops = &input_ops;
	input->drive.size_bytes = options->size_bytes;
	*out = &input->drive;
	return 0;
}
