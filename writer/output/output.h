/*
 * Where an archive goes: a file under a temporary name until it is complete, a pipe, a tape, the
 * input of a command, an object store.
 */
#ifndef WRITER_OUTPUT_OUTPUT_H
#define WRITER_OUTPUT_OUTPUT_H

#include "base/error.h"

#include <sys/uio.h>

struct output;

#define OUTPUT_TAPE_RECORD 262144u

struct newfile;
struct store_writer;
struct upload_note;

/* What a run that broke off has left of the archive, all of which it wrote itself. */
struct output_resume {
	struct newfile *file; /* of newfile_resume, with its descriptor; NULL: nothing */
	int fd;
	uint64_t n_bytes; /* of it that may count */
	/* Whether it is damaged at this position or before. */
	bool (*is_damaged)(int fd, uint64_t position);
	struct store_writer *store; /* of store_writer_find, instead; NULL: a file */
	int64_t created_ns;	    /* for that: of the archive */
	/* Of a command instead (writer/output/told.h): */
	const char *check;	  /* NULL: it is none */
	bool asks;		  /* a run before has left something */
	struct upload_note *memo; /* of store/memo.h */
};

struct output_options {
	bool force;	      /* replace an existing file, or what follows on a tape */
	bool sync;	      /* output_finish makes the data durable */
	uint32_t record_size; /* bytes: each write is exactly this long, the last one padded; 0: any
				 length, or OUTPUT_TAPE_RECORD to a tape */
	bool no_padding; /* zeros at the end would do harm, but on a tape; not with record_size */
	const uint8_t *uuid;  /* of the archive, for the label of a tape; NULL: zeros. Borrowed */
	uint64_t bytes_per_s; /* 0: no limit */
	/* Of an object store, as in store/store.h: */
	uint64_t expected_bytes, n_parts_max;
	const char *retain_until;
	/* NULL, or what is compared with the archive instead of being written again; it is kept if
	 * this run, too, does not finish. output_open takes what it owns. */
	struct output_resume *resume;
};

/* path "-" is standard output, "exec:COMMAND" the input of a command (base/command.h), which has to
 * succeed, "s3://BUCKET/KEY" an object (store/store.h). A regular file gets a temporary name in the
 * same folder; fifos and character devices are written directly. Terminals and block devices are
 * refused. A tape is labelled, and written behind what is on it; when it is full base/changer.h is
 * asked for the next one (spec/tape.md). */
int output_open(struct output **out, const char *path, const struct output_options *options,
		struct error *err);
/* Writes all of it, in order. One caller at a time. The vector is used up. */
int output_write(struct output *output, struct iovec *vector, int n, struct error *err);
/* That output_write failed because what was there is of another archive: the output is then removed
 * when it is closed, and all can begin anew. */
bool output_differs(const struct output *output);
/* Bytes that were there already. */
uint64_t output_kept_bytes(const struct output *output);
/* The archive is complete: pads the last record, syncs, gives the file its name, syncs the folder.
 * On a tape it writes a filemark, after which the whole archive is on the medium. */
int output_finish(struct output *output, struct error *err);
/* Closes and frees; without output_finish before, a temporary file is removed, unless it has
 * something to be taken up. NULL-safe. */
void output_close(struct output *output);

#endif
