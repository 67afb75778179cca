/* From the stored payload of an extent to verified clusters. */
#include "reader/reader.h"

#include "base/bytes.h"

#include <zstd.h>
#include <zstd_errors.h>

int extent_scrub(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		 struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];

	if (archive->format == FORMAT_VMA1)
		return 0; /* only its clusters have checksums, if any */
	uint32_t n_padding = extent->padded_size - extent->stored_size;
	checksum_bytes(stored, extent->padded_size, sum);
	bool same = memcmp(sum, extent->checksum, CHECKSUM_SIZE) == 0;
	DEMAND(same, extent->position, "checksum mismatch");
	bool clean = all_zero(stored + extent->stored_size, n_padding);
	DEMAND(clean, extent->position, "padding that is not zero");
	return 0;
}

/* A compressed payload is one frame that states its size and needs no dictionary. */
int extent_open(const struct archive *archive, const struct section *extent, const uint8_t *stored,
		uint8_t *raw, const uint8_t **blocks, struct error *err)
{
	size_t stored_size = extent->stored_size, raw_size = extent->raw_size;

	TRY(extent_scrub(archive, extent, stored, err));
	*blocks = extent->codec == CODEC_NONE ? stored : raw;
	if (extent->codec == CODEC_NONE)
		return 0;
	bool plain = ZSTD_findFrameCompressedSize(stored, stored_size) == stored_size &&
		     ZSTD_getFrameContentSize(stored, stored_size) == raw_size;
	size_t n = plain ? ZSTD_decompress(raw, raw_size, stored, stored_size) : 0;
	bool starved = ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation;
	DEMAND_ELSE(ERR_SYSTEM, !starved, NO_PLACE, "no memory");
	DEMAND(n == raw_size, extent->position, "a payload that does not decode");
	return 0;
}

/* Puts the stored blocks of a cluster to their places; the others are zero. */
static void lay_out(uint16_t mask, const uint8_t *blocks, uint8_t cluster[CLUSTER_SIZE])
{
	memset(cluster, 0, CLUSTER_SIZE);
	for (uint32_t j = 0; j < CLUSTER_BLOCKS; j++) {
		if ((mask >> j & 1) == 0)
			continue;
		memcpy(cluster + j * BLOCK_SIZE, blocks, BLOCK_SIZE);
		blocks += BLOCK_SIZE;
	}
}

int extent_cluster(const struct archive *archive, const struct section *extent, uint32_t slot_index,
		   const uint8_t *blocks, uint8_t scratch[CLUSTER_SIZE], const uint8_t **cluster,
		   struct error *err)
{
	const struct slot *slot = &extent->slots[slot_index];
	uint64_t left = archive->drives[slot->drive].size_bytes - slot->cluster * CLUSTER_SIZE;
	uint8_t sum[CHECKSUM_SIZE];
	bool whole = slot->mask == 0xffff && left >= CLUSTER_SIZE;

	*cluster = whole ? blocks : scratch;
	if (!whole)
		lay_out(slot->mask, blocks, scratch);
	if (archive->cluster_checksum == CLUSTER_UNPROTECTED) {
		if (left < CLUSTER_SIZE)
			memset(scratch + left, 0, CLUSTER_SIZE - left);
		return 0;
	}
	DEMAND(left >= CLUSTER_SIZE || all_zero(scratch + left, CLUSTER_SIZE - left),
	       extent->position, "bytes past the end of drive @%u are not zero", slot->drive + 1);
	checksum_cluster(archive->cluster_checksum, *cluster, sum);
	bool same = memcmp(sum, slot->checksum, CHECKSUM_SIZE) == 0;
	DEMAND(same, extent->position, "checksum mismatch of cluster %llu of drive @%u",
	       (unsigned long long)slot->cluster, slot->drive + 1);
	return 0;
}
