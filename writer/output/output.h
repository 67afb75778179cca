/*
 * Where an archive goes: a file under a temporary name until it is complete, a pipe, a tape.
 */
#ifndef WRITER_OUTPUT_OUTPUT_H
#define WRITER_OUTPUT_OUTPUT_H

#include "base/error.h"

#include <sys/uio.h>

struct output;

#define OUTPUT_TAPE_RECORD 262144u

struct output_options {
	bool force;	      /* replace an existing file */
	bool sync;	      /* output_finish makes the data durable */
	uint32_t record_size; /* bytes: every write is exactly this long, the end padded; 0: free,
				 or OUTPUT_TAPE_RECORD to a tape */
	bool no_padding;      /* zeros at the end would hurt; not with record_size */
	uint64_t bytes_per_s; /* 0: as fast as it goes */
};

/* path "-" is standard output. A terminal is refused. A regular file gets a temporary name in the
 * same folder; fifos and character devices are written as they are, block devices are refused. */
int output_open(struct output **out, const char *path, const struct output_options *options,
		struct error *err);
/* Writes all of it, in order. One caller at a time. The vector is used up. */
int output_write(struct output *output, struct iovec *vector, int n, struct error *err);
/* The archive is complete: pad the last record, sync, give it its name, sync the folder. On a tape
 * a filemark follows it, before which all of it is on the medium. */
int output_finish(struct output *output, struct error *err);
/* Closes and frees; without output_finish before, a temporary file is removed. NULL-safe. */
void output_close(struct output *output);

#endif
