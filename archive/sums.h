/*
 * Sums files: written while an archive is made or read, and read by whoever compares with it.
 * Source: spec/sums.md.
 */
#ifndef ARCHIVE_SUMS_H
#define ARCHIVE_SUMS_H

#include "format/sums.h"

/* ---- writing ---- */

struct sums_writer;

/* Begins a file that will have this name; the archive's head is copied. Free *out even after an
 * error. */
int sums_create(struct sums_writer **out, const char *path, const struct archive *archive,
		struct error *err);
/* The same for drives that no archive has. */
int sums_create_loose(struct sums_writer **out, const char *path, const struct archive *archive,
		      struct error *err);
/* The same for a file in this folder that has no name and is gone once it is closed. */
int sums_create_unnamed(struct sums_writer **out, const char *folder, const struct archive *archive,
			struct error *err);
/* The data clusters of an extent. Any thread. A cluster never put is one of zeros. */
int sums_put(struct sums_writer *writer, const struct section *extent, struct error *err);
/* A run of sums that lies within a page; 16 zero bytes for zeros. Any thread. */
int sums_put_run(struct sums_writer *writer, uint32_t drive, uint64_t cluster, const uint8_t *sums,
		 uint64_t n, struct error *err);
/* All has been put: writes checks, maps and head, and with sync waits until the file is durable. */
int sums_finish(struct sums_writer *writer, bool sync, struct error *err);
/* Its descriptor, borrowed. */
int sums_writer_fd(const struct sums_writer *writer);
/* Gives the file its name, as newfile_publish. */
int sums_publish(struct sums_writer *writer, bool replace, bool sync, struct error *err);
/* Removes what was not published. NULL-safe. */
void sums_writer_free(struct sums_writer *writer);

/* ---- reading ---- */

struct sums;

/* 1: this file begins like one, 0: it does not, negative: it cannot be read. */
int sums_is(const char *path, struct error *err);
/* Opens a file and checks its head and size; path is borrowed. *out is NULL after an error. */
int sums_open(struct sums **out, const char *path, struct error *err);
/* A file that is finished and will have no name: sums for this process alone. name: for messages,
 * borrowed. */
int sums_of_writer(struct sums **out, const struct sums_writer *writer, const char *name,
		   struct error *err);
/* Borrowed: drives, uuids, instant and checkpoints of the archive that the sums are of. */
const struct archive *sums_archive(const struct sums *sums);
/* Of drives that no archive has: nothing can stand on them. */
bool sums_are_loose(const struct sums *sums);
/* The two pages read last; all zero before its first use, and of use to one thread and one file. */
struct sums_cursor {
	uint64_t at, map_at; /* positions; 0: none */
	uint8_t page[SUMS_PAGE_SIZE], map[SUMS_PAGE_SIZE];
};
/* A page of sums, checked: SUMS_PER_PAGE of CHECKSUM_SIZE bytes, of which 16 zero bytes mean zeros.
 * *page lies in the cursor. Any thread. */
int sums_page(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive, uint64_t number,
	      const uint8_t **page, struct error *err);
/* How many pages of the drive from this one on are known by the map to have no sums: up to where a
 * page of the map ends, so that large holes take few reads. 0: this page may have some. */
int sums_empty(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive, uint64_t number,
	       uint64_t *n_pages, struct error *err);
/* Checks every page that the map says has sums, and counts the clusters of data. */
int sums_verify(const struct sums *sums, uint64_t *n_data, struct error *err);
/* NULL-safe. */
void sums_close(struct sums *sums);

#endif
