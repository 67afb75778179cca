/*
 * An archive that is read: the input, the reader, and its name in messages.
 */
#ifndef ARCHIVE_OPEN_H
#define ARCHIVE_OPEN_H

#include "format/format.h"

#include <sys/stat.h>

struct input;
struct progress_view;
struct reader;
struct reader_counts;

struct opened_archive {
	const char *name; /* as given; borrowed */
	struct input *input;
	struct reader *reader;
	const struct archive *archive;
};

/* Opens the archive and reads its head. rate: bytes a second, 0: no limit. *out can be closed even
 * after a failure. */
int archive_open(struct opened_archive *out, const char *path, uint64_t rate, struct error *err);
/* The same for a command that opens no other files: the process gives up the right to before it
 * reads the head. */
int archive_open_alone(struct opened_archive *out, const char *path, uint64_t rate,
		       struct error *err);
/* The i-th of several that are opened one after the other. From the first one on the process can
 * change no files any more, from the last one on it cannot open any. */
int archive_open_next(struct opened_archive *out, const struct strings *names, unsigned i,
		      uint64_t rate, struct error *err);
/* ERR_USAGE: standard input twice. */
int archive_check_names(const struct strings *names, struct error *err);
void archive_close(struct opened_archive *opened);

/* How far the reading of it is, by its reader's counts. */
struct progress_view archive_view(const struct opened_archive *opened,
				  struct reader_counts *counts);
/* For a progress view: the name of a drive of an archive. */
void archive_drive_name(const void *archive, uint32_t drive, char *out, size_t out_size);

/* Whether it can be read but once: standard input, a pipe, a tape. */
bool archive_is_stream(const char *path);
/* Whether the archive is this file, by device and number; "-": what standard input is. */
bool archive_is_file(const char *path, const struct stat *file);
/* Whether both names are that of one object of a store. */
bool archive_is_object(const char *path, const char *object);

/* Bytes of all drives. */
uint64_t archive_drive_bytes(const struct archive *archive);
bool archive_is_incremental(const struct archive *archive);
/* "vmab" or "vma" */
const char *archive_format_name(const struct archive *archive);

/* The number asked for; 0: one thread a processor, at most 64. */
unsigned threads_wanted(uint64_t asked);

#endif
