/*
 * An archive being read: the input, the reader, and the name to call it by.
 */
#ifndef ARCHIVE_SOURCE_H
#define ARCHIVE_SOURCE_H

#include "format/format.h"

#include <sys/stat.h>

struct input;
struct reader;

struct source {
	const char *name; /* as given; borrowed */
	struct input *input;
	struct reader *reader;
	const struct archive *archive;
};

/* Opens the archive and reads its head. rate: bytes a second, 0: no limit. *out can be closed even
 * after a failure. */
int source_open(struct source *out, const char *path, uint64_t rate, struct error *err);
/* The same, for a command that opens nothing else: that is given up before the head is read. */
int source_open_alone(struct source *out, const char *path, uint64_t rate, struct error *err);
void source_close(struct source *source);

/* Whether the archive is this file, by device and number; for "-" what standard input is. */
bool source_is(const char *path, const struct stat *file);

/* Bytes of all drives. */
uint64_t archive_drive_bytes(const struct archive *archive);
bool archive_is_incremental(const struct archive *archive);
/* "vmab" or "vma" */
const char *archive_format_name(const struct archive *archive);

/* What was asked for, or with 0 one a processor, at most 64. */
unsigned threads_wanted(uint64_t asked);

#endif
