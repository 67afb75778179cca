/*
 * The compressed stream around an archive, and what undoes it. Private to input/.
 *
 * gzip goes through zlib, because libarchive does not compare its checksums, and they are all that
 * protects the data of a stock .vma.gz; zstd through its own library, which says why it failed;
 * everything else through libarchive.
 */
#ifndef READER_INPUT_COMPRESSED_H
#define READER_INPUT_COMPRESSED_H

#include "base/error.h"
#include "reader/input/descriptor.h"

#define COMPRESSED_READ (1u << 20) /* bytes of the stream that are read at once, at least */

/* What was read of the stream to recognise it, then what the file gives. */
struct compressed {
	struct descriptor *from; /* borrowed */
	uint8_t *buffer;	 /* borrowed */
	size_t buffer_size;	 /* COMPRESSED_READ or more */
	size_t n_buffered;	 /* bytes in it that were read before */
	bool ended;		 /* a decoder asked for more than there is */
	bool tolerant; /* zstd: after damage, go on with the next frame; need not be recognised */
};

/* One read, into the buffer; *got is 0 at the end. */
int compressed_read(struct compressed *in, size_t *got, struct error *err);

/* Three decoders. *in is borrowed until they are closed. Each read gives up to n bytes, none at the
 * end; position: bytes decoded so far, for messages. */
struct gunzip;
int gunzip_open(struct gunzip **out, struct compressed *in, struct error *err);
int gunzip_read(struct gunzip *gunzip, uint64_t position, void *buffer, size_t n, size_t *got,
		struct error *err);
void gunzip_close(struct gunzip *gunzip);

/* zstd. A tolerant one gives all intact frames, and of the others what comes before the damage; the
 * error that tells of the damage comes at the end. */
struct frames;
int frames_open(struct frames **out, struct compressed *in, struct error *err);
int frames_read(struct frames *frames, uint64_t position, void *buffer, size_t n, size_t *got,
		struct error *err);
void frames_close(struct frames *frames);

struct foreign;
int foreign_open(struct foreign **out, struct compressed *in, const char *name, struct error *err);
int foreign_read(struct foreign *foreign, uint64_t position, void *buffer, size_t n, size_t *got,
		 struct error *err);
void foreign_close(struct foreign *foreign);

#endif
