/*
 * A compressed stream, and the three ways to undo a compression. Private to input/.
 */
#ifndef READER_INPUT_COMPRESSED_H
#define READER_INPUT_COMPRESSED_H

#include "base/error.h"
#include "reader/input/descriptor.h"

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

/* position: bytes handed out so far, for messages. */
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
