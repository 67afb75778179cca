/*
 * Decompression of what is around an archive. Private to input/.
 *
 * gzip through zlib, because libarchive does not compare its checksums, and they are all that
 * protects the data of a stock .vma.gz; zstd through its own library, which says why it failed; all
 * else through libarchive.
 */
#ifndef READER_INPUT_FILTER_H
#define READER_INPUT_FILTER_H

#include "base/error.h"
#include "reader/input/descriptor.h"

#define FILTER_MAGIC_MAX   9u	      /* bytes to look at */
#define FILTER_BUFFER_SIZE (1u << 20) /* bytes of the compressed stream that are read at least */

/* The compressed stream: what was read of it to recognise it, then what the file gives. */
struct compressed {
	struct descriptor *from; /* borrowed */
	uint8_t *buffer;	 /* borrowed */
	size_t buffer_size;	 /* FILTER_BUFFER_SIZE or more */
	size_t n_buffered;	 /* bytes in it that were read before */
	bool ended;		 /* more was asked for than there is */
	bool tolerant; /* zstd: go on with the next frame after damage; it need not be recognised */
};

/* What one read gives, into the buffer; *got 0 at the end. */
int compressed_read(struct compressed *in, size_t *got, struct error *err);

struct filter;

/* Whether data that begins like this is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);
/* What is in *in is borrowed until filter_close. */
int filter_open(struct filter **out, const struct compressed *in, struct error *err);
/* Up to n bytes; *got 0 at the end. A stream that is cut short or damaged is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter); /* static text */
void filter_close(struct filter *filter);

/* The three ways to undo a compression. position: bytes handed out so far, for messages. */
struct gunzip;
int gunzip_open(struct gunzip **out, struct compressed *in, struct error *err);
int gunzip_read(struct gunzip *gunzip, uint64_t position, void *buffer, size_t n, size_t *got,
		struct error *err);
void gunzip_close(struct gunzip *gunzip);

/* zstd. When tolerant, all frames that are intact and what the others give before damage; that there
 * was damage is the error that ends it. */
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
