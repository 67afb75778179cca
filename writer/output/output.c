/*
 * Two ways to write: freely, in the caller's vectors, without a copy; or in records, collected in a
 * buffer of one record, for tapes, where each write() makes a block on the medium, and where data
 * is safe once a filemark was written after it.
 */
#include "writer/output/output.h"
#include "writer/output/behind.h"
#include "writer/output/compare.h"
#include "writer/output/told.h"
#include "writer/output/volumes.h"
#include "base/command.h"
#include "base/pace.h"
#include "base/newfile.h"
#include "base/tape.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_UNIT  512u
#define RECORD_MAX   16777216u /* what readers take as padding */
#define WARNINGS_MAX 3u	       /* of early warning, within a record */

struct output {
	char *name; /* for messages; owned */
	int fd;
	bool is_stdout;		    /* not ours to close */
	struct command *command;    /* NULL, or whose input fd is */
	struct told *told;	    /* NULL, or what it has already; then it may not run yet */
	struct store_writer *store; /* NULL, or written instead of fd */
	bool force;
	bool sync;
	mode_t mode;	     /* of the file, pipe or device */
	uint64_t written_at; /* bytes written */
	struct pace pace;
	struct behind behind;
	struct newfile *temp;  /* a regular file, or NULL */
	struct kept_file kept; /* and its is_damaged: NULL: nothing is kept */
	struct tape tape;
	struct volumes *volumes; /* owned; of a tape */
	uint8_t *record;	 /* owned; NULL: written freely */
	size_t record_size;
	size_t n_record; /* bytes in it */
	bool no_padding; /* the last record may be shorter */
};

/* ---- opening ---- */

static int open_stdout(struct output *output, struct error *err)
{
	struct stat st;

	output->fd = STDOUT_FILENO;
	output->is_stdout = true;
	if (fstat(output->fd, &st) != 0)
		return fail_system(err, errno, "%s", output->name);
	output->mode = st.st_mode;
	return 0;
}

/* A pipe or a tape. Not a block device: it does not end where the archive ends, so its old content
 * would follow, and the archive would look damaged. */
static int open_stream(struct output *output, const char *path, struct error *err)
{
	if (S_ISBLK(output->mode))
		return fail(err, ERR_USAGE,
			    "%s: is a block device: an archive goes to a file, a pipe or a tape",
			    path);
	output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (output->fd < 0 && S_ISCHR(output->mode))
		return tape_fail_open(path, errno, err);
	if (output->fd < 0)
		return fail_system(err, errno, "%s", path);
	return 0;
}

/* Replaces the file that a link points to, not the link. */
static int open_existing(struct output *output, const char *path, struct error *err)
{
	if (!output->force)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", path);
	char *real = realpath(path, NULL);
	if (real == NULL)
		return fail_system(err, errno, "%s", path);
	int code = newfile_create(&output->temp, &output->fd, real, err);
	free(real);
	return code;
}

static int open_new(struct output *output, const char *path, struct error *err)
{
	struct stat st;

	output->mode = S_IFREG;
	if (lstat(path, &st) == 0)
		return fail(err, ERR_USAGE, "%s: is a dangling symbolic link", path);
	return newfile_create(&output->temp, &output->fd, path, err);
}

static int open_path(struct output *output, const char *path, struct error *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
		return open_stdout(output, err);
	if (command_of(path) != NULL) {
		output->mode = S_IFIFO;
		return command_write(&output->command, command_of(path), &output->fd, err);
	}
	if (stat(path, &st) != 0) {
		if (errno != ENOENT)
			return fail_system(err, errno, "%s", path);
		return open_new(output, path, err);
	}
	output->mode = st.st_mode;
	if (S_ISREG(st.st_mode))
		return open_existing(output, path, err);
	if (S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode))
		return fail(err, ERR_USAGE, "%s: is a %s", path,
			    S_ISDIR(st.st_mode) ? "folder" : "socket");
	return open_stream(output, path, err);
}

static void open_kept(struct output *output, struct output_resume *resume)
{
	output->mode = S_IFREG;
	output->fd = resume->fd;
	output->temp = resume->file;
	output->kept.n_bytes = resume->n_bytes;
	output->kept.is_damaged = resume->is_damaged;
	resume->file = NULL;
}

static int open_object(struct output *output, const char *path,
		       const struct output_options *options, struct error *err)
{
	struct store_options how = {.force = options->force,
				    .expected_bytes = options->expected_bytes,
				    .n_parts_max = options->n_parts_max,
				    .retain_until = options->retain_until};

	if (options->resume != NULL) {
		how.resume = options->resume->store;
		how.uuid = options->uuid;
		how.created_ns = options->resume->created_ns;
		options->resume->store = NULL;
	}
	output->mode = S_IFIFO;
	return store_writer_open(&output->store, path, &how, err);
}

static int check_record_size(uint32_t size, struct error *err)
{
	if (size > RECORD_MAX || size % RECORD_UNIT != 0)
		return fail(err, ERR_USAGE,
			    "record size %" PRIu32
			    ": must be a multiple of 512, from 512 to 16777216",
			    size);
	return 0;
}

static int set_up(struct output *output, const char *path, const struct output_options *options,
		  struct error *err)
{
	output->fd = -1;
	output->force = options->force;
	output->sync = options->sync;
	output->record_size = options->record_size;
	output->no_padding = options->no_padding;
	output->name = strdup(strcmp(path, "-") == 0 ? "standard output" : path);
	return output->name != NULL ? 0 : fail_memory(err);
}

/* A tape always has records; a drive that is set to blocks of one size accepts nothing else. */
static int plan_records(struct output *output, struct error *err)
{
	output->tape = tape_of(output->fd);
	size_t block = output->tape.block_size;

	if (output->tape.is_tape && output->record_size == 0)
		output->record_size = block > OUTPUT_TAPE_RECORD ? block
				      : block != 0 ? OUTPUT_TAPE_RECORD / block * block
						   : OUTPUT_TAPE_RECORD;
	if (block != 0 && output->record_size % block != 0)
		return fail(
			err, ERR_USAGE,
			"%s: record size %zu: must be a multiple of %zu, the block size that "
			"the drive is set to: use another --record-size, or mt -f TAPE setblk 0",
			output->name, output->record_size, block);
	if (output->record_size == 0)
		return 0;
	output->record = malloc(output->record_size);
	return output->record != NULL ? 0 : fail_memory(err);
}

static int begin_volume(struct output *output, const uint8_t *uuid, struct error *err)
{
	static const uint8_t unknown[UUID_SIZE];
	const struct volumes_options how = {.name = output->name,
					    .uuid = uuid != NULL ? uuid : unknown,
					    .record_size = (uint32_t)output->record_size,
					    .block_size = output->tape.block_size,
					    .is_stdout = output->is_stdout,
					    .force = output->force};

	output->no_padding = false; /* readers of a labelled tape know the padding */
	return volumes_begin(&output->volumes, &how, &output->fd, err);
}

int output_open(struct output **out, const char *path, const struct output_options *options,
		struct error *err)
{
	struct output *output;

	TRY(check_record_size(options->record_size, err));
	output = calloc(1, sizeof(*output));
	if (output == NULL)
		return fail_memory(err);
	const struct told_to to = {&output->command, &output->fd, &output->mode};
	int code = set_up(output, path, options, err);
	if (code == 0 && options->resume != NULL && options->resume->file != NULL)
		open_kept(output, options->resume);
	else if (code == 0 && options->resume != NULL && options->resume->check != NULL)
		code = told_open(&output->told, path, options->resume, &to, err);
	else if (code == 0)
		code = store_is_name(path) ? open_object(output, path, options, err)
					   : open_path(output, path, err);
	if (code == 0 && output->temp != NULL && output->kept.n_bytes == 0)
		code = kept_cut(&output->kept, output->fd, output->name, output->written_at, err);
	if (code == 0 && output->fd >= 0 && isatty(output->fd))
		code = fail(err, ERR_USAGE, "%s: is a terminal, not a place for an archive",
			    output->name);
	if (code == 0)
		code = plan_records(output, err);
	if (code == 0 && output->tape.is_tape)
		code = begin_volume(output, options->uuid, err);
	if (code != 0) {
		output_close(output);
		return code;
	}
	pace_start(&output->pace, options->bytes_per_s);
	*out = output;
	return 0;
}

/* ---- writing ---- */

/* Whether to try again: interrupted, or a full pipe that another process made non-blocking. */
static bool try_again(const struct output *output)
{
	struct pollfd poll_fd = {.fd = output->fd, .events = POLLOUT};

	if (errno == EAGAIN)
		return poll(&poll_fd, 1, -1) >= 0 || errno == EINTR;
	return errno == EINTR;
}

/* One call; writing nothing is an error. */
static int write_some(struct output *output, const struct iovec *vector, int n, size_t *done,
		      struct error *err)
{
	ssize_t written;

	if (output->store != NULL) {
		TRY(store_write(output->store, vector->iov_base, vector->iov_len, err));
		output->written_at += vector->iov_len;
		*done = vector->iov_len;
		pace_wait(&output->pace, *done);
		return 0;
	}
	if (output->told != NULL && output->written_at < told_there(output->told)) {
		TRY(told_compare(output->told, output->written_at, vector, done, err));
		output->written_at += *done;
		return 0;
	}
	if (output->written_at < output->kept.n_bytes) {
		TRY(kept_compare(&output->kept, output->fd, output->name, output->written_at,
				 vector, done, err));
		output->written_at += *done;
		return 0;
	}
	do
		written = writev(output->fd, vector, n);
	while (written < 0 && try_again(output));
	if (written <= 0) {
		fail_system(err, written < 0 ? errno : EIO, "%s: writing at byte %" PRIu64,
			    output->name, output->written_at);
		return output->command != NULL ? command_explain(output->command, err) : err->code;
	}
	output->written_at += (uint64_t)written;
	*done = (size_t)written;
	if (output->told != NULL)
		TRY(told_follow(output->told, vector, *done, err));
	int sys = output->sync && S_ISREG(output->mode)
			  ? behind_follow(&output->behind, output->fd, output->written_at)
			  : 0;
	if (sys != 0)
		return fail_system(err, sys, "%s: writing back before byte %" PRIu64, output->name,
				   output->written_at);
	pace_wait(&output->pace, *done);
	return 0;
}

static void advance(struct iovec **vector, int *n, size_t done)
{
	for (; *n > 0 && (*vector)->iov_len <= done; ++*vector, --*n)
		done -= (*vector)->iov_len;
	if (*n > 0) {
		(*vector)->iov_base = (uint8_t *)(*vector)->iov_base + done;
		(*vector)->iov_len -= done;
	}
}

/* With a limit on the rate, one vector at a time and in slices: fast enough for any limit that
 * matters. */
static int write_freely(struct output *output, struct iovec *vector, int n, struct error *err)
{
	size_t slice = pace_slice(&output->pace), done;

	for (advance(&vector, &n, 0); n > 0; advance(&vector, &n, done)) {
		struct iovec first = {(*vector).iov_base, least((*vector).iov_len, slice)};
		if (pace_limits(&output->pace))
			TRY(write_some(output, &first, 1, &done, err));
		else
			TRY(write_some(output, vector, n < IOV_MAX ? n : IOV_MAX, &done, err));
	}
	return 0;
}

/* Whether the tape is full, and the record goes on another. What early warning cut in two, which
 * only blocks of one size can be, is tried on: mostly there is room behind it. */
static int change_tape(struct output *output, size_t *at, unsigned *warned, struct error *err)
{
	if (err->sys != ENOSPC || output->volumes == NULL)
		return err->code;
	*err = (struct error){0};
	if (*at > 0 && ++*warned <= WARNINGS_MAX)
		return 0;
	output->written_at -= *at;
	TRY(volumes_change(output->volumes, &output->fd, output->written_at, *at, err));
	*at = 0;
	return 0;
}

/* A pipe may accept less at a time; the rest follows. A device has then written a block of the
 * wrong size. */
static int write_record(struct output *output, struct error *err)
{
	size_t at = 0, block = output->tape.block_size;
	unsigned warned = 0;

	while (at < output->n_record) {
		struct iovec rest = {output->record + at, output->n_record - at};
		size_t done = 0;
		if (write_some(output, &rest, 1, &done, err) != 0)
			TRY(change_tape(output, &at, &warned, err));
		at += done;
		if (at < output->n_record && S_ISCHR(output->mode) &&
		    (block == 0 ? done > 0 : at % block != 0))
			return fail(err, ERR_SYSTEM,
				    "%s: wrote only %zu of the %zu bytes of the record before byte "
				    "%" PRIu64,
				    output->name, at, output->n_record, output->written_at);
	}
	output->n_record = 0;
	if (output->volumes != NULL)
		volumes_count(output->volumes);
	return 0;
}

static int write_records(struct output *output, const struct iovec *part, struct error *err)
{
	const uint8_t *from = part->iov_base;
	size_t left = part->iov_len;

	while (left > 0) {
		size_t room = output->record_size - output->n_record;
		size_t n = least(left, room);
		memcpy(output->record + output->n_record, from, n);
		output->n_record += n;
		from += n;
		left -= n;
		if (output->n_record < output->record_size)
			break;
		TRY(write_record(output, err));
	}
	return 0;
}

int output_write(struct output *output, struct iovec *vector, int n, struct error *err)
{
	if (output->record == NULL)
		return write_freely(output, vector, n, err);
	for (int i = 0; i < n; i++)
		TRY(write_records(output, &vector[i], err));
	return 0;
}

/* ---- the end ---- */

static int pad_record(struct output *output, struct error *err)
{
	if (output->n_record == 0)
		return 0;
	if (!output->no_padding) {
		memset(output->record + output->n_record, 0,
		       output->record_size - output->n_record);
		output->n_record = output->record_size;
	}
	return write_record(output, err);
}

/* Pipes and some devices cannot be synced, and report that. */
static int sync_output(struct output *output, struct error *err)
{
	if (output->volumes != NULL)
		return volumes_finish(output->volumes, &output->fd, output->written_at, err);
	if (!output->sync || S_ISFIFO(output->mode) || S_ISSOCK(output->mode) ||
	    fsync(output->fd) == 0) {
		if (output->sync && S_ISREG(output->mode))
			behind_end(&output->behind, output->fd);
		return 0;
	}
	if (!S_ISREG(output->mode) && (errno == EINVAL || errno == EROFS))
		return 0;
	return fail_system(err, errno, "%s: syncing", output->name);
}

/* Some file systems report failed writes only here. */
static int close_file(struct output *output, struct error *err)
{
	if (output->told != NULL)
		return told_finish(output->told, output->written_at, err);
	if (output->command != NULL)
		return command_finish(output->command, err);
	if (output->store != NULL)
		return store_writer_finish(output->store, err);
	int code = output->is_stdout ? 0 : close(output->fd);

	output->fd = -1;
	return code != 0 ? fail_system(err, errno, "%s: closing", output->name) : 0;
}

int output_finish(struct output *output, struct error *err)
{
	TRY(pad_record(output, err));
	if (output->written_at < output->kept.n_bytes)
		TRY(kept_cut(&output->kept, output->fd, output->name, output->written_at, err));
	TRY(sync_output(output, err));
	TRY(close_file(output, err));
	return output->temp != NULL
		       ? newfile_publish(output->temp, output->force, output->sync, err)
		       : 0;
}

bool output_differs(const struct output *output)
{
	if (output->told != NULL)
		return told_differs(output->told);
	return output->store != NULL ? store_writer_differs(output->store) : output->kept.differs;
}

uint64_t output_kept_bytes(const struct output *output)
{
	if (output->store != NULL)
		return store_writer_kept(output->store);
	if (output->told != NULL)
		return told_there(output->told);
	return output->kept.is_damaged != NULL ? output->kept.n_bytes : 0;
}

void output_close(struct output *output)
{
	if (output == NULL)
		return;
	bool nothing = output->written_at == 0 && output->kept.n_bytes == 0;
	if (output->temp != NULL && (nothing || output->kept.differs))
		newfile_give_up(output->temp);
	if (output->command != NULL)
		command_free(output->command);
	else if (output->store != NULL)
		store_writer_free(output->store);
	else if (output->fd >= 0 && !output->is_stdout)
		close(output->fd);
	told_free(output->told);
	newfile_free(output->temp);
	volumes_free(output->volumes);
	free(output->record);
	free(output->name);
	free(output);
}
