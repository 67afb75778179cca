/*
 * What a command has of an archive, of which another command of the user's, CHECK, tells the size
 * and the SHA-256. The archive is made again; once as much of it as is there has the same sum, the
 * command is started and gets the rest. Private to output/.
 *
 * A run that was killed may have left a process elsewhere that still writes. So CHECK is asked
 * again at the end, for the whole.
 */
#ifndef WRITER_OUTPUT_TOLD_H
#define WRITER_OUTPUT_TOLD_H

#include "writer/output/output.h"

#include <sys/uio.h>

struct command;
struct told;

/* Where the command that runs then is told: of the output. */
struct told_to {
	struct command **command;
	int *fd;
	mode_t *mode;
};

/* name, and check of resume: borrowed; memo is taken in any case. */
int told_open(struct told **out, const char *name, struct output_resume *resume,
	      const struct told_to *to, struct error *err);
uint64_t told_there(const struct told *told); /* bytes */
bool told_differs(const struct told *told);
/* Instead of writing, before told_there: *done of the bytes are there. After the last one the
 * command is started. */
int told_compare(struct told *told, uint64_t position, const struct iovec *bytes, size_t *done,
		 struct error *err);
/* n bytes of the vector were written to the command. */
int told_follow(struct told *told, const struct iovec *vector, size_t n, struct error *err);
/* The archive has n_bytes: finishes the command. */
int told_finish(struct told *told, uint64_t n_bytes, struct error *err);
void told_free(struct told *told); /* NULL-safe */

#endif
