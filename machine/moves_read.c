#include "machine/moves_read.h"

#include "base/patience.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM (2 * MAPSTREAM_RECORD_MAX)

/* 1: more is there, 0: the end. */
static int fill(struct move_reader *reader, struct error *err)
{
	struct pollfd one = {.fd = reader->fd, .events = POLLIN};
	ssize_t got;

	if (reader->at > 0) {
		memmove(reader->buffer, reader->buffer + reader->at, reader->end - reader->at);
		reader->end -= reader->at;
		reader->at = 0;
	}
	if (reader->is_awaited && poll(&one, 1, PATIENCE_ANSWER_S * 1000) == 0)
		return fail(err, ERR_SYSTEM, "the other side has not answered within %d s",
			    PATIENCE_ANSWER_S);
	do {
		got = read(reader->fd, reader->buffer + reader->end, ROOM - reader->end);
		if (got < 0 && errno == EAGAIN)
			(void)poll(&one, 1, -1);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	if (got < 0)
		return fail_system(err, errno, "reading the checkpoint");
	reader->end += (size_t)got;
	return got > 0;
}

/* 1: n bytes are there; 0: the stream ends before the first. */
static int need(struct move_reader *reader, size_t n, struct error *err)
{
	int got = 1;

	while (got > 0 && reader->end - reader->at < n)
		got = fill(reader, err);
	if (got == 0 && reader->end > reader->at)
		return fail(err, ERR_INCOMPLETE, "ends within a record");
	return got;
}

static int begin(struct move_reader *reader, struct error *err)
{
	int got;

	reader->buffer = malloc(ROOM);
	if (reader->buffer == NULL)
		return fail_memory(err);
	got = need(reader, MAPSTREAM_HEAD, err);
	if (got == 0)
		return fail(err, ERR_INCOMPLETE, "is empty");
	if (got < 0)
		return got;
	TRY(mapstream_get_head(reader->buffer, &reader->id, err));
	reader->at = MAPSTREAM_HEAD;
	reader->begun = true;
	return 0;
}

int move_read(struct move_reader *reader, struct mapstream_record *out, struct error *err)
{
	const uint8_t *from;
	uint32_t n;
	int got;

	if (!reader->begun)
		TRY(begin(reader, err));
	got = need(reader, MAPSTREAM_HEAD, err);
	if (got <= 0)
		return got;
	TRY(mapstream_length(reader->buffer + reader->at, &n, err));
	got = need(reader, MAPSTREAM_HEAD + n, err);
	if (got <= 0)
		return got;
	from = reader->buffer + reader->at;
	reader->at += MAPSTREAM_HEAD + n;
	TRY(mapstream_get(out, from, MAPSTREAM_HEAD + n, reader->id, err));
	return 1;
}

bool move_is_ready(const struct move_reader *reader)
{
	size_t n = reader->end - reader->at;
	struct error ignored;
	uint32_t length;

	return n >= MAPSTREAM_HEAD &&
	       mapstream_length(reader->buffer + reader->at, &length, &ignored) == 0 &&
	       n - MAPSTREAM_HEAD >= length;
}

void move_reader_free(struct move_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}
