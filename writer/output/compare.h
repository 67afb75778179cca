/*
 * A file that a run that broke off has left of an archive, and which is compared with what is
 * written now. Private to output/.
 */
#ifndef WRITER_OUTPUT_COMPARE_H
#define WRITER_OUTPUT_COMPARE_H

#include "base/error.h"

#include <sys/uio.h>

struct kept_file {
	uint64_t n_bytes; /* were there; after these, which are the same, the file is written */
	bool (*is_damaged)(int fd, uint64_t position); /* as in struct output_resume */
	bool differs;
};

/* Instead of writing, before n_bytes: *done of the bytes are there already. What is damaged there
 * is cut off. name: for messages. */
int kept_compare(struct kept_file *kept, int fd, const char *name, uint64_t position,
		 const struct iovec *bytes, size_t *done, struct error *err);
/* Nothing that is behind position counts; the next write goes there. */
int kept_cut(struct kept_file *kept, int fd, const char *name, uint64_t position,
	     struct error *err);

#endif
