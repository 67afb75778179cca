/*
 * zstd: any number of frames, skippable ones before, between and after them, and zeros where the
 * last record was padded. For salvage, the next frame after damage is searched, and decoding
 * continues there.
 *
 * It does not suffice to search from where the decoder notices the damage: if bytes are missing, it
 * has run into the next frame by then. So bytes are kept from the beginning of the frame on, unless
 * that is too far back, and the search begins right after its magic. Because frames can be crafted
 * to lie within each other, going back has a budget; once it is spent, the search begins where the
 * decoder failed.
 */
#include "reader/input/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define KEPT	    (8u << 20) /* bytes of a frame that can be gone back over */
#define ROOM	    (KEPT + COMPRESSED_READ + 64u)
#define SPEND_ONCE  (64u << 20)
#define SPEND_TIMES 4u
#define MAGIC_SIZE  4u
#define BLOCK_MAX   (128u << 10) /* bytes: the most that the decoder takes at a time */
#define FIRST_BYTES 5u /* bytes that the decoder needs first; then it says how many it wants */

static const uint8_t magic[MAGIC_SIZE] = {0x28, 0xb5, 0x2f, 0xfd};

struct frames {
	ZSTD_DCtx *decoder;
	struct compressed *in; /* borrowed */
	uint8_t *bytes;	       /* owned, ROOM */
	size_t frame;	       /* offset of the frame in bytes, as far as it is kept */
	size_t at, end;	       /* not decoded yet */
	const uint8_t *more;   /* borrowed: of in, not yet copied */
	size_t n_more, hint;   /* bytes; what the decoder wants next */
	uint64_t n_read, n_back;
	bool damaged; /* somewhere before */
	bool within;  /* a frame has begun and not ended */
	bool told;    /* the damage was reported at the end */
};

static void frames_close(void *state)
{
	struct frames *frames = state;

	if (frames == NULL)
		return;
	ZSTD_freeDCtx(frames->decoder);
	free(frames->bytes);
	free(frames);
}

static int frames_open(void **out, struct compressed *in, const char *name, struct error *err)
{
	struct frames *frames = calloc(1, sizeof(*frames));

	(void)name;
	if (frames != NULL) {
		frames->in = in;
		frames->decoder = ZSTD_createDCtx();
		frames->bytes = malloc(ROOM);
	}
	if (frames == NULL || frames->decoder == NULL || frames->bytes == NULL) {
		frames_close(frames);
		return fail_memory(err);
	}
	*out = frames;
	return 0;
}

/* *got: bytes available now; 0 at the end. */
static int refill(struct frames *frames, size_t *got, struct error *err)
{
	size_t n = 0, oldest = frames->within ? frames->frame : frames->at;

	if (frames->at - oldest > KEPT)
		oldest = frames->at - KEPT;
	if (frames->end + COMPRESSED_READ > ROOM) {
		memmove(frames->bytes, frames->bytes + oldest, frames->end - oldest);
		frames->at -= oldest;
		frames->end -= oldest;
		frames->frame = frames->frame > oldest ? frames->frame - oldest : 0;
	}
	assert(frames->end + COMPRESSED_READ <= ROOM);
	if (frames->n_more == 0) {
		TRY(compressed_read(frames->in, &frames->n_more, err));
		frames->more = frames->in->buffer;
	}
	n = frames->n_more < COMPRESSED_READ ? frames->n_more : COMPRESSED_READ;
	memcpy(frames->bytes + frames->end, frames->more, n);
	frames->more += n;
	frames->n_more -= n;
	frames->end += n;
	frames->n_read += n;
	*got = frames->end - frames->at;
	return 0;
}

/* Moves to the next magic, or to the end if there is none. */
static int find_magic(struct frames *frames, struct error *err)
{
	for (size_t got = 1; got > 0;) {
		size_t n = frames->end - frames->at;
		const uint8_t *found = memmem(frames->bytes + frames->at, n, magic, MAGIC_SIZE);
		if (found != NULL) {
			frames->at = (size_t)(found - frames->bytes);
			return 0;
		}
		size_t left = n < MAGIC_SIZE - 1 ? n : MAGIC_SIZE - 1;
		frames->at = frames->end - left;
		TRY(refill(frames, &got, err));
		got -= left;
	}
	frames->at = frames->end;
	return 0;
}

/* The decoder failed. */
static int resume(struct frames *frames, struct error *err)
{
	size_t back = frames->at - frames->frame;

	ZSTD_DCtx_reset(frames->decoder, ZSTD_reset_session_only);
	frames->damaged = true;
	frames->n_back += back + BLOCK_MAX;
	if (frames->n_back <= SPEND_ONCE + SPEND_TIMES * frames->n_read)
		frames->at = frames->frame + 1;
	else
		frames->at +=
			frames->end - frames->at < BLOCK_MAX ? frames->end - frames->at : BLOCK_MAX;
	frames->within = false;
	return find_magic(frames, err);
}

/* The decoder failed. 0: the input is tolerant, so decoding continues after the damage. */
static int fail_frame(const struct frames *frames, uint64_t position, size_t result,
		      struct error *err)
{
	ZSTD_ErrorCode code = ZSTD_getErrorCode(result);

	if (code == ZSTD_error_memory_allocation)
		return fail(err, ERR_SYSTEM, "no memory to decompress zstd");
	if (code == ZSTD_error_frameParameter_windowTooLarge)
		return fail(
			err, ERR_UNSUPPORTED,
			"%s: was compressed with a window above 128 MiB (zstd --long): zstd -dc "
			"--long=31 FILE | vmabak COMMAND -",
			frames->in->from->name);
	if (frames->in->tolerant)
		return 0;
	return fail_at(err, ERR_DAMAGED, position, "the zstd stream is damaged: %s",
		       ZSTD_getErrorName(result));
}

/* At the end: 0, or the damage that was found. */
static int tell(struct frames *frames, uint64_t position, struct error *err)
{
	bool cut = frames->within;

	if (frames->told || (!cut && !frames->damaged))
		return 0;
	frames->told = true;
	if (!frames->damaged)
		return fail_at(err, ERR_INCOMPLETE, position,
			       "incomplete: the zstd stream ends early");
	return fail_at(err, ERR_DAMAGED, position, "the zstd stream is damaged%s",
		       cut ? " and ends early" : "");
}

/* There may be zeros between frames, from the padding of the last record. */
static void begin_frame(struct frames *frames)
{
	while (frames->at < frames->end && frames->bytes[frames->at] == 0)
		frames->at++;
	if (frames->at == frames->end)
		return;
	frames->frame = frames->at;
	frames->within = true;
	frames->hint = FIRST_BYTES;
}

/* Gives the decoder no more than it wants, a block, so that it returns all data before damage. At
 * the end of the input that is nothing, but the decoder may still hold data. */
static int decode(struct frames *frames, uint64_t position, ZSTD_outBuffer *to, struct error *err)
{
	size_t there = frames->end - frames->at;
	size_t n = there < frames->hint ? there : frames->hint;
	ZSTD_inBuffer from = {frames->bytes + frames->at, n, 0};
	size_t result = ZSTD_decompressStream(frames->decoder, to, &from);

	if (ZSTD_isError(result)) {
		TRY(fail_frame(frames, position, result, err));
		return resume(frames, err);
	}
	frames->at += from.pos;
	frames->within = result != 0;
	frames->hint = result < BLOCK_MAX ? result : BLOCK_MAX;
	return 0;
}

static int frames_read(void *state, uint64_t position, void *buffer, size_t n, size_t *got,
		       struct error *err)
{
	struct frames *frames = state;
	ZSTD_outBuffer to = {buffer, n, 0};

	*got = 0;
	while (to.pos == 0 && n > 0) {
		size_t there = frames->end - frames->at;
		if (there == 0)
			TRY(refill(frames, &there, err));
		if (!frames->within)
			begin_frame(frames);
		if (frames->within)
			TRY(decode(frames, position, &to, err));
		if (there == 0 && to.pos == 0)
			return tell(frames, position, err);
	}
	*got = to.pos;
	return 0;
}

const struct decoder decoder_zstd = {frames_open, frames_read, frames_close};
