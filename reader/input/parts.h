/*
 * Between the files of input/: what input.c reads from, and what it recognises and undoes there.
 * Private to input/.
 */
#ifndef READER_INPUT_PARTS_H
#define READER_INPUT_PARTS_H

#include "base/error.h"
#include "base/tape.h"

/* ---- descriptor.c ----
 *
 * The file that an archive is read from.
 *
 * A tape drive returns one block per read. The read must have room for all of it: one that is too
 * small fails (ENOMEM), and the block is lost, because the tape has moved past it. A read that is
 * larger than the drive, the adapter or the driver supports fails too, but before the tape moves.
 * So reads begin large, and are made smaller until they work.
 */

struct descriptor {
	int fd;
	const char *name;    /* for messages; borrowed */
	size_t largest;	     /* bytes: the largest read that may work */
	size_t unit;	     /* of which largest is a multiple */
	uint32_t block_size; /* of a tape with blocks of one size; otherwise 0 */
	uint64_t taken;	     /* bytes read */
	bool is_tape;
	struct command *command;    /* NULL, or whose output it is: it has to succeed. Borrowed */
	struct store_reader *store; /* NULL, or read instead of fd. Borrowed */
	/* NULL, or through which all is read, by that function. Borrowed */
	struct volumes *volumes;
	int (*read_volumes)(struct volumes *volumes, void *buffer, size_t n, size_t *got,
			    struct error *err);
	bool ended; /* a read found the end: on a tape another archive may follow the filemark */
};

/* fd: borrowed. */
struct descriptor descriptor_of(int fd, const char *name);

/* One read. *got is 0 at the end, and from then on. For a tape, n should be TAPE_READ or more. */
int descriptor_read(struct descriptor *from, void *buffer, size_t n, size_t *got,
		    struct error *err);

/* The same without the volumes. */
int descriptor_read_below(struct descriptor *from, void *buffer, size_t n, size_t *got,
			  struct error *err);

/* ---- volumes.c: an archive on one tape or several (spec/tape.md) ----
 *
 * The records of all volumes in order, without their marks; where a volume ends, base/changer.h is
 * asked for the next one. What is read need not be a tape: files may hold copies of volumes.
 */

struct volumes;

/* first: what was read already, a mark at its beginning. tolerant: later volumes will do where one
 * is missing, and so will the end. *from is borrowed, and its volumes are set. */
int volumes_open(struct volumes **out, struct descriptor *from, const uint8_t *first,
		 size_t n_first, bool tolerant, struct error *err);
void volumes_close(struct volumes *volumes); /* NULL-safe */

/* ---- gunzip.c, frames.c, foreign.c: three decoders ----
 *
 * gzip goes through zlib, because libarchive does not compare its checksums, and nothing else
 * protects the data of a stock .vma.gz; zstd through its own library, which reports why it failed;
 * everything else through libarchive.
 */

#define COMPRESSED_READ (1u << 20) /* bytes of the stream: the smallest read */

/* The compressed stream: the bytes that were read to recognise it, then those from the file. */
struct compressed {
	struct descriptor *from; /* borrowed */
	uint8_t *buffer;	 /* borrowed */
	size_t buffer_size;	 /* COMPRESSED_READ or more */
	size_t n_buffered;	 /* bytes in it that were read before */
	bool ended;		 /* a decoder has asked for bytes past the end */
	bool tolerant; /* zstd: continue with the next frame after damage; need not be recognised */
};

/* In descriptor.c: one read, into the buffer; *got is 0 at the end. */
int compressed_read(struct compressed *in, size_t *got, struct error *err);

/* *in is borrowed until close. read returns up to n bytes, none at the end;
 * position: bytes decoded so far, for messages. name: of the compression, borrowed. close is
 * NULL-safe. */
struct decoder {
	int (*open)(void **out, struct compressed *in, const char *name, struct error *err);
	int (*read)(void *state, uint64_t position, void *buffer, size_t n, size_t *got,
		    struct error *err);
	void (*close)(void *state);
};

/* A tolerant zstd decoder returns all intact frames, and the data before the damage of others; it
 * reports the damage at the end. */
extern const struct decoder decoder_gzip, decoder_zstd, decoder_foreign;

/* ---- filter.c: recognises and undoes the compression of the whole archive ---- */

#define FILTER_MAGIC_MAX 9u /* bytes needed to recognise a compressor */

struct filter;

/* Whether data that begins with these bytes is compressed. */
bool filter_wanted(const uint8_t *bytes, size_t n);
/* What *in points to is borrowed until filter_close. */
int filter_open(struct filter **out, const struct compressed *in, struct error *err);
/* Up to n bytes; *got is 0 at the end. A truncated or damaged stream is an error. */
int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err);
const char *filter_name(const struct filter *filter); /* static text */
void filter_close(struct filter *filter);	      /* NULL-safe */

/* ---- strange.c ----
 *
 * Recognises files that are no archives by their first bytes, and says how to go on.
 */

#define STRANGE_LEAST 4096u /* bytes that the check needs, unless the input is shorter */

/* Checks whether these bytes can be the beginning of an archive, possibly damaged or truncated.
 * Otherwise ERR_UNSUPPORTED, with what it is and the command that helps. name: of the input;
 * salvaging: the command that helps is not vmabak salvage. */
int strange_check(const uint8_t *bytes, size_t n, const char *name, bool salvaging,
		  struct error *err);

#endif
