/* Random access through the index of a VMAB in a plain file. Private to reader/. */
#ifndef READER_RANDOM_H
#define READER_RANDOM_H

#include "reader/reader.h"

struct random;

/* The tail of an archive that ends properly. 1: found; 0: this input has none, or cannot seek. */
int random_tail(const struct archive *archive, struct input *in, struct section *tail,
		struct error *err);

/* What is wanted: clusters from begin to before end, of the drives that have a flag. */
struct random_choice {
	const bool *drives; /* borrowed: a flag for each drive of the archive */
	uint64_t begin, end;
	/* NULL, or as in struct reader_job: extents all of which newer archives held are left out,
	 * and it is the caller's affair whether every cluster came. */
	const struct reader_layer *layers;
};

/* Prepares to read the extents that hold such clusters. 1: ready; 0: this input has no index, or
 * cannot seek; negative: incomplete or damaged. Free *out in any case. Moves the input: afterwards
 * reader_next cannot be used. */
int random_open(struct random **out, struct reader *reader, struct input *in,
		const struct random_choice *wanted, struct error *err);

/* Decides by the header of an extent, which is in *extent, whether its payload is read: 1 or 0, or a
 * negative error. */
struct random_need {
	int (*ask)(void *context, struct error *err);
	void *context;
};

/* As reader_next, for these extents; 0 when every wanted cluster came once. need: NULL, or what is
 * asked; an extent whose payload is not needed comes without it. What is read ahead is as much as
 * was needed without a gap before, so that of an archive elsewhere little is fetched in vain. */
int random_next(struct random *random, struct section *extent, uint8_t *stored,
		const struct random_need *need, struct error *err);
/* How much of the archive was read so far. */
uint64_t random_read_bytes(const struct random *random);
/* For a progress display: bytes of the archive that were read or left out. It is passed over in
 * parts, the last one first. */
uint64_t random_passed(const struct random *random);
void random_close(struct random *random);

#endif
