/*
 * The store of a device-mapper snapshot: chunks that were copied before they were overwritten.
 * Source: spec/changes.md, section 4.
 */
#include "base/bytes.h"
#include "format/changelist.h"

#define MAGIC	  0x70416e53u /* "SnAp" */
#define SECTOR	  512u
#define EXCEPTION 16u
#define CHUNK_MAX (4u << 20)

static int take_header(struct changelist *list, uint32_t *chunk_bytes, struct error *err)
{
	const uint8_t *header;
	uint64_t sectors;

	TRY(changelist_take(list, SECTOR, &header, err));
	DEMAND(get_le(header, 4) == MAGIC, 0, "is no store of a device-mapper snapshot");
	DEMAND(get_le(header + 4, 4) == 1, 4,
	       "the kernel has given this snapshot up: it was full, or could not be written");
	SUPPORTED(get_le(header + 8, 4) == 1, 8, "version %llu of snapshot stores",
		  (unsigned long long)get_le(header + 8, 4));
	sectors = get_le(header + 12, 4);
	DEMAND(sectors > 0 && (sectors & (sectors - 1)) == 0 && sectors <= CHUNK_MAX / SECTOR, 12,
	       "chunks of %llu sectors", (unsigned long long)sectors);
	*chunk_bytes = (uint32_t)sectors * SECTOR;
	return changelist_skip(list, *chunk_bytes - SECTOR, err);
}

/* A chunk of exceptions. *ended: the last of them was in it. */
static int take_area(struct changelist *list, uint32_t chunk_bytes, bool *ended, struct error *err)
{
	const uint8_t *bytes;

	TRY(changelist_take(list, chunk_bytes, &bytes, err));
	for (uint32_t i = 0; i < chunk_bytes && !*ended; i += EXCEPTION) {
		*ended = get_le(bytes + i + 8, 8) == 0;
		if (!*ended)
			TRY(changelist_blocks(list, get_le(bytes + i, 8), 1, chunk_bytes, err));
	}
	return 0;
}

int changelist_cow(struct changelist *list, struct error *err)
{
	uint32_t chunk_bytes = 0;
	bool ended = false;

	TRY(take_header(list, &chunk_bytes, err));
	while (!ended) {
		TRY(take_area(list, chunk_bytes, &ended, err));
		if (!ended)
			TRY(changelist_skip(list, (uint64_t)chunk_bytes / EXCEPTION * chunk_bytes,
					    err));
	}
	return 0;
}
