/* gzip (RFC 1952): any number of members, each with its checksum, then perhaps zeros. */
#include "reader/input/parts.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <zlib.h>

struct gunzip {
	z_stream stream;
	struct compressed *in; /* borrowed */
	bool between;	       /* a member has ended and no other has begun */
};

static int gunzip_open(void **out, struct compressed *in, const char *name, struct error *err)
{
	struct gunzip *gunzip = calloc(1, sizeof(*gunzip));

	(void)name;
	if (gunzip == NULL || inflateInit2(&gunzip->stream, 15 + 16) != Z_OK) {
		free(gunzip);
		return fail_memory(err);
	}
	gunzip->in = in;
	*out = gunzip;
	return 0;
}

static int refill(struct gunzip *gunzip, struct error *err)
{
	size_t got = 0;

	TRY(compressed_read(gunzip->in, &got, err));
	gunzip->stream.next_in = gunzip->in->buffer;
	gunzip->stream.avail_in = (uInt)got;
	return 0;
}

/* After a member follows another one, or the padding of the last record. *ended: neither does. */
static int next_member(struct gunzip *gunzip, uint64_t position, bool *ended, struct error *err)
{
	z_stream *stream = &gunzip->stream;

	*ended = false;
	if (stream->avail_in == 0)
		TRY(refill(gunzip, err));
	if (stream->avail_in == 0) {
		*ended = true;
		return 0;
	}
	if (*stream->next_in == 0x1f) {
		inflateReset(stream);
		gunzip->between = false;
		return 0;
	}
	DEMAND(all_zero(stream->next_in, stream->avail_in), position,
	       "bytes after the gzip stream");
	stream->avail_in = 0;
	return 0;
}

static int inflate_some(struct gunzip *gunzip, uint64_t position, struct error *err)
{
	z_stream *stream = &gunzip->stream;

	if (stream->avail_in == 0)
		TRY(refill(gunzip, err));
	if (stream->avail_in == 0)
		return fail_at(err, ERR_INCOMPLETE, position,
			       "incomplete: the gzip stream ends early");
	int code = inflate(stream, Z_NO_FLUSH);
	if (code == Z_MEM_ERROR)
		return fail_memory(err);
	DEMAND(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR, position,
	       "the gzip stream is damaged: %s", stream->msg != NULL ? stream->msg : zError(code));
	gunzip->between = code == Z_STREAM_END;
	return 0;
}

static int gunzip_read(void *state, uint64_t position, void *buffer, size_t n, size_t *got,
		       struct error *err)
{
	struct gunzip *gunzip = state;
	z_stream *stream = &gunzip->stream;
	size_t wanted = n < COMPRESSED_READ ? n : COMPRESSED_READ;
	bool ended = false;

	stream->next_out = buffer;
	stream->avail_out = (uInt)wanted;
	while (stream->avail_out == wanted && wanted != 0 && !ended)
		TRY(gunzip->between ? next_member(gunzip, position, &ended, err)
				    : inflate_some(gunzip, position, err));
	*got = wanted - stream->avail_out;
	return 0;
}

static void gunzip_close(void *state)
{
	struct gunzip *gunzip = state;

	if (gunzip == NULL)
		return;
	inflateEnd(&gunzip->stream);
	free(gunzip);
}

const struct decoder decoder_gzip = {gunzip_open, gunzip_read, gunzip_close};
