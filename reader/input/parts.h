/*
 * Between the files of input/: what input.c reads from, and what it recognises and undoes there.
 * Private to input/.
 */
#ifndef READER_INPUT_PARTS_H
#define READER_INPUT_PARTS_H

#include "base/error.h"

/* ---- descriptor.c ----
 *
 * The file that an archive is read from.
 *
 * A tape drive gives a block for each read, which must have room for all of it: a read that is too
 * small fails (ENOMEM), and the block is lost, as the tape has moved past it. A read that is larger
 * than the drive, the adapter or the driver can do fails too, but before the tape moves. So it
 * begins large, and is made smaller until it works.
 */

struct descriptor {
	int fd;
	const char *name;    /* for messages; borrowed */
	size_t largest;	     /* bytes of a read, as far as is known */
	size_t unit;	     /* of which largest is a multiple */
	uint32_t block_size; /* of a tape, if each has the same; else 0 */
	bool is_tape;
	bool ended; /* a read found the end: on a tape another archive may follow the filemark */
};

/* fd: borrowed. */
struct descriptor descriptor_of(int fd, const char *name);

/* One read. *got 0 at the end, from then on always. Of a tape, n should be TAPE_READ or more. */
#define TAPE_READ (16u << 20)
int descriptor_read(struct descriptor *from, void *buffer, size_t n, size_t *got,
		    struct error *err);

/* ---- gunzip.c, frames.c, foreign.c: three decoders ----
 *
 * The compressed stream around an archive, and what undoes it.
 *
 * gzip goes through zlib, because libarchive does not compare its checksums, and they are all that
 * protects the data of a stock .vma.gz; zstd through its own library, which says why it failed;
 * everything else through libarchive.
 */

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

/* In descriptor.c: one read, into the buffer; *got is 0 at the end. */
int compressed_read(struct compressed *in, size_t *got, struct error *err);

/* What undoes it. *in is borrowed until it is closed. read gives up to n bytes, none at the end;
 * position: bytes decoded so far, for messages. name: of the compression, borrowed. close is
 * NULL-safe. */
struct decoder {
	int (*open)(void **out, struct compressed *in, const char *name, struct error *err);
	int (*read)(void *state, uint64_t position, void *buffer, size_t n, size_t *got,
		    struct error *err);
	void (*close)(void *state);
};

/* A tolerant one for zstd gives all intact frames, and of the others what comes before the damage;
 * the error that tells of the damage comes at the end. */
extern const struct decoder decoder_gzip, decoder_zstd, decoder_foreign;

/* ---- filter.c: recognises the compression around an archive, and undoes it ---- */

#define FILTER_MAGIC_MAX 9u /* bytes that tell a compressor */

struct filter;

/* Whether data that begins with these bytes is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);
/* What *in points to is borrowed until filter_close. */
int filter_open(struct filter **out, const struct compressed *in, struct error *err);
/* Up to n bytes; *got is 0 at the end. A stream that is cut short or damaged is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter); /* static text */
void filter_close(struct filter *filter);	      /* NULL-safe */

/* ---- strange.c ----
 *
 * What is no archive of ours, by its first bytes: what it is, and how to go on.
 */

#define STRANGE_LEAST 4096u /* bytes that it should be given, if there are as many */

/* Whether these bytes can be the beginning of an archive, be it one that is damaged or cut short.
 * Else ERR_UNSUPPORTED and what it is, with the command that helps. name: of the input; salvaging:
 * the command that helps is not vmabak salvage. */
int strange_check(const uint8_t *bytes, size_t n, const char *name, bool salvaging,
		  struct error *err);

#endif
