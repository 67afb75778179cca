/*
 * A checkpoint as a stream, into a file or a pipe, or to a program that answers.
 */
#include "base/io.h"
#include "cow/mapstream.h"
#include "machine/moves.h"
#include "machine/moves_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (4 * MAPSTREAM_RECORD_MAX)

struct move_stream {
	struct move_sink *sink; /* borrowed */
	int fd;
	uint64_t id;
	bool answered; /* there are answers */
	struct move_reader reader;
	uint32_t n_ahead;	    /* records without an answer */
	uint32_t chunk_bytes;	    /* of the drive */
	struct mapstream_run *runs; /* owned: what the other side has of the drive */
	uint32_t n_runs;
	struct error refused; /* why a drive's checkpoint stays incomplete; the others go on */
	uint32_t n_bytes;     /* in the buffer */
	uint8_t buffer[BUFFER_BYTES];
};

/* ---- bytes ---- */

static int lose(struct move_stream *stream, struct error *err)
{
	stream->sink->lost = true;
	return err->code;
}

static int flush(struct move_stream *stream, struct error *err)
{
	int sys = io_write(stream->fd, stream->buffer, stream->n_bytes);

	stream->n_bytes = 0;
	if (sys == 0)
		return 0;
	fail_system(err, sys, "writing the checkpoint");
	return lose(stream, err);
}

static int put(struct move_stream *stream, const struct mapstream_record *record, struct error *err)
{
	if (BUFFER_BYTES - stream->n_bytes < MAPSTREAM_RECORD_MAX)
		TRY(flush(stream, err));
	stream->n_bytes +=
		mapstream_put(stream->buffer + stream->n_bytes, stream->id, record, NULL);
	return 0;
}

/* ---- answers ---- */

static int get(struct move_stream *stream, struct mapstream_record *out, struct error *err)
{
	int got = move_read(&stream->reader, out, err);

	if (got > 0)
		return 0;
	if (got == 0 || err->code == ERR_INCOMPLETE)
		fail(err, ERR_SYSTEM, "the other side has ended");
	else
		error_prefix(err, "what the other side answers");
	return lose(stream, err);
}

static int get_kind(struct move_stream *stream, enum mapstream_kind kind,
		    struct mapstream_record *out, struct error *err)
{
	TRY(get(stream, out, err));
	return out->kind == kind ? 0
				 : fail(err, ERR_DAMAGED, "the other side answers out of order");
}

/* Until at most so many are without an answer. */
static int await(struct move_stream *stream, uint32_t n_ahead, struct error *err)
{
	struct mapstream_record record;

	if (stream->answered && stream->n_ahead > n_ahead)
		TRY(flush(stream, err));
	for (; stream->answered && stream->n_ahead > n_ahead; stream->n_ahead--)
		TRY(get_kind(stream, MAPSTREAM_TAKEN, &record, err));
	return 0;
}

static int take_have(struct move_stream *stream, struct error *err)
{
	struct mapstream_record record;

	TRY(get_kind(stream, MAPSTREAM_HAVE, &record, err));
	for (uint32_t i = 0; i < record.n_runs; i++)
		stream->runs[i] = mapstream_run(&record, i);
	stream->n_runs = record.n_runs;
	return 0;
}

/* ---- the sink ---- */

static int put_drive(void *context, uint32_t number, const struct outline *outline,
		     uint32_t chunk_bytes, struct error *err)
{
	struct move_stream *stream = context;
	struct mapstream_record record = {.kind = MAPSTREAM_DRIVE,
					  .drive = number,
					  .outline = *outline,
					  .chunk_bytes = chunk_bytes};

	stream->chunk_bytes = chunk_bytes;
	stream->n_runs = 0;
	TRY(put(stream, &record, err));
	if (!stream->answered)
		return 0;
	TRY(flush(stream, err));
	return take_have(stream, err);
}

static int tell_has(void *context, uint32_t number, uint64_t chunk, uint64_t *n, bool *has,
		    struct error *err)
{
	const struct move_stream *stream = context;

	(void)number;
	(void)err;
	*has = false;
	*n = UINT64_MAX;
	for (uint32_t i = 0; i < stream->n_runs; i++) {
		const struct mapstream_run *run = &stream->runs[i];

		if (chunk < run->chunk)
			*n = least(*n, run->chunk - chunk);
		else if (chunk - run->chunk < run->n) {
			*has = true;
			*n = run->n - (chunk - run->chunk);
			return 0;
		}
	}
	return 0;
}

static int put_part(struct move_stream *stream, const struct mapstream_record *record,
		    struct error *err)
{
	/* Not one at a time: each of these is a system call here and there. */
	if (stream->n_ahead == MAPSTREAM_AHEAD)
		TRY(await(stream, MAPSTREAM_AHEAD / 2, err));
	stream->n_ahead += stream->answered;
	return put(stream, record, err);
}

/* Each chunk that has bits has a checksum of its own. */
static int put_chunks(void *context, uint32_t number, uint64_t chunk, uint64_t n,
		      const uint8_t *bits, uint32_t n_bytes, struct error *err)
{
	struct move_stream *stream = context;
	struct mapstream_record record = {
		.kind = MAPSTREAM_CHUNKS, .drive = number, .chunk = chunk, .n = n};

	if (bits == NULL)
		return put_part(stream, &record, err);
	for (record.n = 1; n > 0; n--, record.chunk++) {
		record.bits = bits;
		record.n_bytes = n_bytes < stream->chunk_bytes ? n_bytes : stream->chunk_bytes;
		TRY(put_part(stream, &record, err));
		bits += record.n_bytes;
		n_bytes -= record.n_bytes;
	}
	return 0;
}

static int put_end(void *context, uint32_t number, const struct outline *outline, struct error *err)
{
	struct move_stream *stream = context;
	struct mapstream_record record = {
		.kind = MAPSTREAM_END, .drive = number, .outline = *outline};

	TRY(await(stream, 0, err));
	TRY(put(stream, &record, err));
	if (!stream->answered)
		return 0;
	TRY(flush(stream, err));
	TRY(get_kind(stream, MAPSTREAM_RESULT, &record, err));
	if (record.code != 0 && stream->refused.code == 0)
		fail(&stream->refused, record.code, "%s", record.text);
	return 0;
}

static int put_done(void *context, uint32_t n_parts, struct error *err)
{
	struct move_stream *stream = context;
	struct mapstream_record record = {.kind = MAPSTREAM_DONE, .drive = n_parts};

	TRY(put(stream, &record, err));
	TRY(flush(stream, err));
	*err = stream->refused;
	return err->code;
}

static int begin(struct move_stream *stream, struct error *err)
{
	stream->runs = calloc(MAPSTREAM_RUNS_MAX, sizeof(*stream->runs));
	if (stream->runs == NULL)
		return fail_memory(err);
	if (getrandom(&stream->id, sizeof(stream->id), 0) != sizeof(stream->id))
		return fail_system(err, errno, "random numbers");
	mapstream_put_head(stream->buffer, stream->id);
	stream->n_bytes = MAPSTREAM_HEAD;
	return 0;
}

int move_stream_new(struct move_stream **out, struct move_sink *sink, int fd, int answers,
		    struct error *err)
{
	struct move_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		return fail_memory(err);
	stream->sink = sink;
	stream->fd = fd;
	stream->answered = answers >= 0;
	stream->reader = (struct move_reader){.fd = answers, .is_awaited = true};
	*sink = (struct move_sink){
		.drive = put_drive,
		.has = tell_has,
		.chunks = put_chunks,
		.end = put_end,
		.done = put_done,
		.context = stream,
	};
	if (begin(stream, err) == 0) {
		*out = stream;
		return 0;
	}
	move_stream_free(stream);
	return err->code;
}

void move_stream_free(struct move_stream *stream)
{
	if (stream == NULL)
		return;
	move_reader_free(&stream->reader);
	free(stream->runs);
	free(stream);
}

int moves_check_path(const char *path, struct error *err)
{
	uint8_t head[MAPSTREAM_HEAD];
	struct error ignored;
	struct stat found;
	uint64_t id;
	int fd, sys;

	if (lstat(path, &found) != 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	fd = S_ISREG(found.st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	sys = fd < 0 ? EINVAL : io_pread(fd, head, sizeof(head), 0, NULL);
	if (fd >= 0)
		close(fd);
	if (sys == 0 && mapstream_get_head(head, &id, &ignored) == 0)
		return 0;
	return fail(err, ERR_USAGE, "%s: exists already, and is no checkpoint that was exported",
		    path);
}
