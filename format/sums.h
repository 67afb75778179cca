/*
 * Sums: the checksum of every cluster as one archive's instant shows it, page by page. Source:
 * spec/sums.md.
 *
 * Bytes to checked values and back, without I/O or memory of its own; as in format/format.h, what
 * parses takes untrusted bytes, and what builds asserts.
 */
#ifndef FORMAT_SUMS_H
#define FORMAT_SUMS_H

#include "format/format.h"

#define SUMS_PAGE_SIZE	  4096u /* bytes */
#define SUMS_PAGE_CONTENT 4080u /* bytes before the check */
#define SUMS_PER_PAGE	  255u	/* sums in a page */
/* A few bytes can claim drives of any size, but the maps of a file take space on disk: here 1 GiB.
 */
#define SUMS_SIZE_MAX	  (UINT64_C(1) << 45)
#define SUMS_PER_MAP_PAGE (SUMS_PAGE_CONTENT * 8) /* pages that a page of the map tells of */

/* Whether the first bytes of a file are those of a sums file. */
bool sums_recognise(const uint8_t first[SECTOR_SIZE]);
/* The size of its head in bytes, at most HEAD_SIZE_MAX. */
int sums_measure(const uint8_t first[SECTOR_SIZE], uint32_t *size, struct error *err);
/* Parses a whole head, as head_parse does: *out must be zeroed, and borrows from head. */
int sums_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err);

/* The head for an archive that archive_check accepted: its size, and its bytes. It has
 * no configs, and a note only if there is no such archive: section 2.1. */
uint32_t sums_head_size(const struct archive *archive);
void sums_head_build(const struct archive *archive, uint8_t *out);

/* Pages of a drive of so many bytes, and of its map. */
uint64_t sums_pages(uint64_t size_bytes);
uint64_t sums_map_pages(uint64_t size_bytes);
/* The position after a drive's pages and map that begin at this position; ERR_UNSUPPORTED if it is
 * above SUMS_SIZE_MAX. */
int sums_after(uint64_t at, const struct archive_drive *drive, uint64_t *after, struct error *err);

/* The check of the page at this position of the file, over its content. */
void sums_check(const uint8_t uuid[UUID_SIZE], uint64_t position, const uint8_t *content,
		uint8_t out[CHECKSUM_SIZE]);
/* Writes the check of a page to its end. */
void sums_seal(const uint8_t uuid[UUID_SIZE], uint64_t position, uint8_t page[SUMS_PAGE_SIZE]);
/* Section 2.3: a page of the map always has a right check, and no bits past n_pages, the number of
 * the drive's pages from its first bit on. */
int sums_map_check(const uint8_t uuid[UUID_SIZE], uint64_t position,
		   const uint8_t page[SUMS_PAGE_SIZE], uint64_t n_pages, struct error *err);
/* A page of sums, whose bit in the map is this one; n_clusters: of the drive, from its first sum
 * on.
 */
int sums_page_check(const uint8_t uuid[UUID_SIZE], uint64_t position,
		    const uint8_t page[SUMS_PAGE_SIZE], bool bit, uint64_t n_clusters,
		    struct error *err);

#endif
