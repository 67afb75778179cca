#include "writer/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define SAMPLES 16u /* blocks of a payload that are tried before all of it is */

struct seal {
	const struct archive *archive;
	struct writer_options options;
	ZSTD_CCtx *zstd;
	z_stream gzip;
	bool has_gzip;
	struct section extent; /* VMA: the current one */
};

int seal_new(struct seal **out, const struct archive *archive, const struct writer_options *options,
	     struct error *err)
{
	struct seal *seal = calloc(1, sizeof(*seal));

	if (seal == NULL)
		return fail_memory(err);
	seal->archive = archive;
	seal->options = *options;
	bool use_gzip = options->wrap == WRAP_GZIP;
	if (use_gzip)
		seal->has_gzip = deflateInit2(&seal->gzip, options->level, Z_DEFLATED, 15 + 16, 8,
					      Z_DEFAULT_STRATEGY) == Z_OK;
	else
		seal->zstd = ZSTD_createCCtx();
	if (use_gzip ? !seal->has_gzip : seal->zstd == NULL) {
		seal_free(seal);
		return fail(err, ERR_SYSTEM, "no memory for a compressor");
	}
	if (!use_gzip)
		ZSTD_CCtx_setParameter(seal->zstd, ZSTD_c_compressionLevel, options->level);
	*out = seal;
	return 0;
}

void seal_free(struct seal *seal)
{
	if (seal == NULL)
		return;
	ZSTD_freeCCtx(seal->zstd);
	if (seal->has_gzip)
		deflateEnd(&seal->gzip);
	free(seal);
}

/* ---- VMAB ---- */

/* Whether compressing is worth a try: sample blocks are compressed first. For data that is already
 * compressed or encrypted all samples fail, at next to no cost; other data passes at the first or
 * second. */
static bool seems_compressible(struct seal *seal, const uint8_t *blocks, uint32_t size)
{
	uint8_t out[BLOCK_SIZE];
	uint32_t step = size / SAMPLES / BLOCK_SIZE * BLOCK_SIZE;

	for (uint32_t i = 0; i < SAMPLES && step != 0; i++) {
		size_t n = ZSTD_compress2(seal->zstd, out, BLOCK_SIZE - BLOCK_SIZE / 64,
					  blocks + i * step, BLOCK_SIZE);
		if (!ZSTD_isError(n))
			return true;
	}
	return step == 0;
}

/* One frame, or nothing if it is not smaller than the blocks: 0. */
static uint32_t compress_blocks(struct seal *seal, const uint8_t *blocks, uint32_t size,
				uint8_t *to)
{
	size_t n;

	if (seal->options.level == 0 || !seems_compressible(seal, blocks, size))
		return 0;
	n = ZSTD_compress2(seal->zstd, to, size - 1, blocks, size);
	return ZSTD_isError(n) ? 0 : (uint32_t)n;
}

/* Pads a payload where it lies. Returns its padded size. */
static uint32_t end_payload(uint8_t *stored, uint32_t size, uint8_t checksum[CHECKSUM_SIZE])
{
	uint32_t padded = (size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;

	memset(stored + size, 0, padded - size);
	checksum_bytes(stored, padded, checksum);
	return padded;
}

static void seal_payload(struct seal *seal, struct batch *batch)
{
	struct section *section = &batch->section;
	uint32_t n = compress_blocks(seal, batch->blocks, section->raw_size, batch->payload);

	section->codec = n != 0 ? CODEC_ZSTD : CODEC_NONE;
	section->stored_size = n != 0 ? n : section->raw_size;
	section->padded_size = end_payload(n != 0 ? batch->payload : batch->blocks,
					   section->stored_size, section->checksum);
}

/* ---- VMAB, in several extents ---- */

/* Clusters from this slot on that fit into an extent, at least one, and what lies between them. */
static struct cut next_cut(const struct seal *seal, const struct section *section, uint32_t first)
{
	struct cut cut = {0};

	for (uint32_t i = first; i < section->n_slots; i++) {
		uint32_t n = (uint32_t)__builtin_popcount(section->slots[i].mask) * BLOCK_SIZE;

		if (cut.raw_size != 0 && cut.raw_size + n > seal->options.extent_size)
			break;
		cut.raw_size += n;
		cut.n_slots++;
	}
	return cut;
}

/* No payload is longer than its blocks, so all of them fit into the batch's. */
static int seal_cuts(struct seal *seal, struct batch *batch, struct error *err)
{
	struct section *section = &batch->section;
	const uint8_t *blocks = batch->blocks;
	uint8_t *to = batch->payload;

	if (batch->cuts == NULL)
		batch->cuts = calloc(CUTS_MAX, sizeof(*batch->cuts));
	if (batch->cuts == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < section->n_slots;) {
		struct cut *cut = &batch->cuts[batch->n_cuts++];

		assert(batch->n_cuts <= CUTS_MAX);
		*cut = next_cut(seal, section, i);
		cut->stored_size = compress_blocks(seal, blocks, cut->raw_size, to);
		cut->codec = cut->stored_size != 0 ? CODEC_ZSTD : CODEC_NONE;
		if (cut->codec == CODEC_NONE) {
			cut->stored_size = cut->raw_size;
			memcpy(to, blocks, cut->raw_size);
		}
		cut->padded_size = end_payload(to, cut->stored_size, cut->checksum);
		to += cut->padded_size;
		blocks += cut->raw_size;
		i += cut->n_slots;
	}
	section->codec = CODEC_ZSTD; /* what is to be written is in payload */
	return 0;
}

/* ---- VMA ---- */

/* Saved memory has to be in order. Of other drives, zero clusters are held back and fill extents of
 * their own. */
static bool is_vmstate(const struct archive *archive, uint32_t drive)
{
	const struct text *name = &archive->drives[drive].name;

	return name->length == 7 && memcmp(name->bytes, "vmstate", 7) == 0;
}

static int add_parts(struct batch *batch, const uint8_t *blocks, size_t blocks_size,
		     struct error *err)
{
	if (batch->n_parts + 2 > batch->parts_capacity) {
		uint32_t capacity = batch->parts_capacity * 2 + 64;
		struct iovec *bigger = realloc(batch->parts, capacity * sizeof(*bigger));
		if (bigger == NULL)
			return fail_memory(err);
		batch->parts = bigger;
		batch->parts_capacity = capacity;
	}
	/* The headers may still move, so seal_extents sets their addresses. */
	batch->parts[batch->n_parts++] = (struct iovec){NULL, SECTOR_SIZE};
	batch->parts[batch->n_parts++] = (struct iovec){(void *)blocks, blocks_size};
	return 0;
}

static int end_extent(struct seal *seal, struct batch *batch, const uint8_t **blocks,
		      struct error *err)
{
	struct bytes *headers = &batch->headers;

	if (seal->extent.n_slots == 0)
		return 0;
	if (headers->size + SECTOR_SIZE > headers->capacity)
		TRY(bytes_reserve(headers, headers->size * 2 + 64 * SECTOR_SIZE, err));
	section_build(seal->archive, &seal->extent, headers->at + headers->size);
	headers->size += SECTOR_SIZE;
	TRY(add_parts(batch, *blocks, seal->extent.raw_size, err));
	*blocks += seal->extent.raw_size;
	seal->extent.n_slots = 0;
	seal->extent.raw_size = 0;
	return 0;
}

static bool has_room(const struct seal *seal, uint32_t n_data, bool is_data)
{
	uint32_t n_slots = seal->extent.n_slots + 1;

	n_data += is_data ? 1 : 0;
	if (seal->archive->cluster_checksum == CLUSTER_UNPROTECTED)
		return n_slots < VMA1_SLOTS; /* the original writer leaves one free, too */
	return n_slots <= VMA1_SLOTS && n_data * 8 <= (VMA1_SLOTS - n_slots) * 7;
}

/* Splits the slots into extents; the blocks follow in the same order. */
static int seal_extents(struct seal *seal, struct batch *batch, struct error *err)
{
	const uint8_t *blocks = batch->blocks;
	uint32_t n_data = 0;

	for (uint32_t i = 0; i < batch->section.n_slots; i++) {
		struct slot slot = batch->section.slots[i];
		uint64_t n_left = slot.n_clusters;
		for (slot.n_clusters = 1; n_left > 0; n_left--, slot.cluster++) {
			if (!has_room(seal, n_data, slot.mask != 0)) {
				TRY(end_extent(seal, batch, &blocks, err));
				n_data = 0;
			}
			n_data += slot.mask != 0 ? 1 : 0;
			seal->extent.slots[seal->extent.n_slots++] = slot;
			seal->extent.raw_size +=
				(uint32_t)__builtin_popcount(slot.mask) * BLOCK_SIZE;
		}
	}
	TRY(end_extent(seal, batch, &blocks, err));
	for (uint32_t i = 0; i < batch->n_parts; i += 2)
		batch->parts[i].iov_base = batch->headers.at + (size_t)i / 2 * SECTOR_SIZE;
	return 0;
}

/* Puts the zero runs behind all other slots. */
static void part_slots(struct seal *seal, struct batch *batch)
{
	struct section *section = &batch->section;
	uint32_t n_first = 0, n_zeros = 0;

	for (uint32_t i = 0; i < section->n_slots; i++) {
		const struct slot *slot = &section->slots[i];
		if (slot->mask != 0 || is_vmstate(seal->archive, slot->drive))
			section->slots[n_first++] = *slot;
		else
			seal->extent.slots[n_zeros++] = *slot;
	}
	memcpy(section->slots + n_first, seal->extent.slots, n_zeros * sizeof(*section->slots));
	section->n_slots = n_first;
	batch->n_zero_slots = n_zeros;
}

/* ---- compression of the archive as a whole ---- */

static int wrap_zstd(struct seal *seal, const struct iovec *parts, uint32_t n_parts,
		     struct batch *out, struct error *err)
{
	size_t size = 0;

	for (uint32_t i = 0; i < n_parts; i++)
		size += parts[i].iov_len;
	TRY(bytes_reserve(&out->packed, ZSTD_compressBound(size), err));
	ZSTD_outBuffer to = {out->packed.at, out->packed.capacity, 0};
	ZSTD_CCtx_reset(seal->zstd, ZSTD_reset_session_only);
	ZSTD_CCtx_setPledgedSrcSize(seal->zstd, size);
	for (uint32_t i = 0; i < n_parts; i++) {
		ZSTD_inBuffer from = {parts[i].iov_base, parts[i].iov_len, 0};
		ZSTD_EndDirective directive = i + 1 < n_parts ? ZSTD_e_continue : ZSTD_e_end;
		size_t left;
		do {
			left = ZSTD_compressStream2(seal->zstd, &to, &from, directive);
			if (ZSTD_isError(left))
				return fail(err, ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(left));
		} while (from.pos < from.size || (directive == ZSTD_e_end && left != 0));
	}
	out->packed.size = to.pos;
	return 0;
}

static int wrap_gzip(struct seal *seal, const struct iovec *parts, uint32_t n_parts,
		     struct batch *out, struct error *err)
{
	size_t size = 0;

	for (uint32_t i = 0; i < n_parts; i++)
		size += parts[i].iov_len;
	deflateReset(&seal->gzip);
	TRY(bytes_reserve(&out->packed, deflateBound(&seal->gzip, size), err));
	seal->gzip.next_out = out->packed.at;
	seal->gzip.avail_out = (uInt)out->packed.capacity;
	int code = Z_OK;
	for (uint32_t i = 0; i < n_parts; i++) {
		seal->gzip.next_in = parts[i].iov_base;
		seal->gzip.avail_in = (uInt)parts[i].iov_len;
		code = deflate(&seal->gzip, i + 1 < n_parts ? Z_NO_FLUSH : Z_FINISH);
	}
	if (code != Z_STREAM_END)
		return fail(err, ERR_SYSTEM, "gzip: deflate ended with %d", code);
	out->packed.size = out->packed.capacity - seal->gzip.avail_out;
	return 0;
}

int seal_wrap(struct seal *seal, const struct iovec *parts, uint32_t n_parts, struct batch *out,
	      struct error *err)
{
	return seal->options.wrap == WRAP_ZSTD ? wrap_zstd(seal, parts, n_parts, out, err)
					       : wrap_gzip(seal, parts, n_parts, out, err);
}

int seal_batch(struct seal *seal, struct batch *batch, struct error *err)
{
	struct section *section = &batch->section;

	TRY(batch_check(batch, err));
	if (batch->as_stored)
		return 0;
	if (seal->archive->format == FORMAT_VMAB) {
		if (seal->options.extent_size != 0 && section->raw_size > seal->options.extent_size)
			return seal_cuts(seal, batch, err);
		if (section->raw_size != 0) {
			seal_payload(seal, batch);
			return 0;
		}
		batch->n_zero_slots = section->n_slots;
		section->n_slots = 0;
		return 0;
	}
	part_slots(seal, batch);
	TRY(seal_extents(seal, batch, err));
	if (seal->options.wrap == WRAP_NONE || batch->n_parts == 0)
		return 0;
	return seal_wrap(seal, batch->parts, batch->n_parts, batch, err);
}
