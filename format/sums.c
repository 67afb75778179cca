/* spec/sums.md, as written. */
#include "format/sums.h"

#include "format/layout.h"

#include <xxhash.h>

#define SUMS_MAGIC "\x89VMS\r\n\x1a\n"

static_assert(SUMS_PAGE_CONTENT + CHECKSUM_SIZE == SUMS_PAGE_SIZE &&
		      SUMS_PER_PAGE * CHECKSUM_SIZE == SUMS_PAGE_CONTENT,
	      "spec/sums.md section 2.2");
static_assert(HEAD_SIZE_MAX % SUMS_PAGE_SIZE == 0, "the largest head is whole pages");

bool sums_recognise(const uint8_t first[SECTOR_SIZE])
{
	return memcmp(first, SUMS_MAGIC, 8) == 0;
}

int sums_measure(const uint8_t first[SECTOR_SIZE], uint32_t *size, struct error *err)
{
	DEMAND(sums_recognise(first), 0, "not a sums file");
	*size = (uint32_t)get_le(first + HEAD_SIZE, 4);
	bool whole = *size >= SUMS_PAGE_SIZE && *size % SUMS_PAGE_SIZE == 0;
	DEMAND(whole && *size <= HEAD_SIZE_MAX, HEAD_SIZE, "a head of %u bytes", *size);
	return 0;
}

int sums_head_parse(uint8_t *head, uint32_t size, struct archive *out, struct error *err)
{
	out->head_size = size;
	TRY(vmab_head_parse(head, size, out, err));
	DEMAND(out->n_configs == 0, HEAD_RECORDS, "configs in a sums file");
	return 0;
}

uint32_t sums_head_size(const struct archive *archive)
{
	return ROUND_UP(vmab_head_size(archive), SUMS_PAGE_SIZE);
}

void sums_head_build(const struct archive *archive, uint8_t *out)
{
	uint32_t built = vmab_head_size(archive), size = sums_head_size(archive);

	assert(archive->n_configs == 0);
	vmab_head_build(archive, out);
	memset(out + built, 0, size - built);
	memcpy(out, SUMS_MAGIC, 8);
	put_le(out + HEAD_SIZE, 4, size);
	checksum_in_place(out, size, HEAD_CHECKSUM);
}

static uint64_t divide_up(uint64_t n, uint64_t by)
{
	return n / by + (n % by != 0);
}

uint64_t sums_pages(uint64_t size_bytes)
{
	return divide_up(clusters_of(size_bytes), SUMS_PER_PAGE);
}

uint64_t sums_map_pages(uint64_t size_bytes)
{
	return divide_up(sums_pages(size_bytes), SUMS_PER_MAP_PAGE);
}

/* A drive of 2^63 bytes has 2^39 pages and their map: no sum here overflows before it is judged. */
int sums_after(uint64_t at, const struct archive_drive *drive, uint64_t *after, struct error *err)
{
	uint64_t n_pages = sums_pages(drive->size_bytes) + sums_map_pages(drive->size_bytes);

	*after = at + n_pages * SUMS_PAGE_SIZE;
	if (*after > SUMS_SIZE_MAX)
		return fail(err, ERR_UNSUPPORTED, "drives too large for a file of sums");
	return 0;
}

void sums_check(const uint8_t uuid[UUID_SIZE], uint64_t position, const uint8_t *content,
		uint8_t out[CHECKSUM_SIZE])
{
	uint64_t seed = get_le(uuid, 8) ^ position;

	XXH128_canonicalFromHash((XXH128_canonical_t *)out,
				 XXH3_128bits_withSeed(content, SUMS_PAGE_CONTENT, seed));
}

void sums_seal(const uint8_t uuid[UUID_SIZE], uint64_t position, uint8_t page[SUMS_PAGE_SIZE])
{
	sums_check(uuid, position, page, page + SUMS_PAGE_CONTENT);
}

static bool check_is_right(const uint8_t uuid[UUID_SIZE], uint64_t position, const uint8_t *page)
{
	uint8_t check[CHECKSUM_SIZE];

	sums_check(uuid, position, page, check);
	return memcmp(check, page + SUMS_PAGE_CONTENT, CHECKSUM_SIZE) == 0;
}

int sums_map_check(const uint8_t uuid[UUID_SIZE], uint64_t position,
		   const uint8_t page[SUMS_PAGE_SIZE], uint64_t n_pages, struct error *err)
{
	uint64_t used = n_pages < SUMS_PER_MAP_PAGE ? n_pages : SUMS_PER_MAP_PAGE;
	uint64_t whole = divide_up(used, 8);
	bool past = used % 8 != 0 && page[whole - 1] >> used % 8 != 0;

	DEMAND(check_is_right(uuid, position, page), position, "wrong check of a page of the map");
	DEMAND(!past && all_zero(page + whole, SUMS_PAGE_CONTENT - whole), position,
	       "the map has bits past the end of a drive");
	return 0;
}

int sums_page_check(const uint8_t uuid[UUID_SIZE], uint64_t position,
		    const uint8_t page[SUMS_PAGE_SIZE], bool bit, uint64_t n_clusters,
		    struct error *err)
{
	uint64_t used = n_clusters < SUMS_PER_PAGE ? n_clusters : SUMS_PER_PAGE;
	const uint8_t *end = page + used * CHECKSUM_SIZE;

	if (!bit) {
		DEMAND(all_zero(page, SUMS_PAGE_SIZE), position, "sums that the map lacks");
		return 0;
	}
	DEMAND(check_is_right(uuid, position, page), position, "wrong check of a page of sums");
	DEMAND(!all_zero(page, SUMS_PAGE_CONTENT), position, "a page of no sums in the map");
	DEMAND(all_zero(end, SUMS_PAGE_CONTENT - used * CHECKSUM_SIZE), position,
	       "sums past the end of a drive");
	return 0;
}
