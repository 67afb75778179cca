#include "base/bytes.h"
#include "writer/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int bytes_reserve(struct bytes *bytes, size_t capacity, struct error *err)
{
	if (bytes->capacity >= capacity)
		return 0;
	uint8_t *bigger = realloc(bytes->at, capacity);
	if (bigger == NULL)
		return fail_memory(err);
	bytes->at = bigger;
	bytes->capacity = capacity;
	return 0;
}

int batch_new(struct batch **out, const struct archive *archive, const struct parent_sums *parent,
	      struct error *err)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return fail_memory(err);
	batch->payload = blocks_new();
	batch->archive = archive;
	batch->parent = parent;
	if (parent != NULL) {
		batch->parent_state = calloc(1, parent->state_size);
		batch->known = malloc(SLOTS_MAX * sizeof(*batch->known));
	}
	if (batch->payload == NULL ||
	    (parent != NULL && (batch->parent_state == NULL || batch->known == NULL))) {
		batch_free(batch);
		return fail_memory(err);
	}
	*out = batch;
	return 0;
}

void batch_borrow(struct batch *batch, uint8_t *bytes, void (*give_back)(void *context, void *loan),
		  void *context, void *loan)
{
	assert(batch->section.n_slots == 0 && batch->borrowed.give_back == NULL);
	batch->blocks = bytes;
	batch->borrowed.give_back = give_back;
	batch->borrowed.context = context;
	batch->borrowed.loan = loan;
}

static void give_back(struct batch *batch)
{
	if (batch->borrowed.give_back == NULL)
		return;
	batch->borrowed.give_back(batch->borrowed.context, batch->borrowed.loan);
	batch->borrowed.give_back = NULL;
	batch->blocks = NULL;
}

void batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	give_back(batch);
	free(batch->payload);
	free(batch->packed.at);
	free(batch->headers.at);
	free(batch->parts);
	free(batch->parent_state);
	free(batch->known);
	free(batch->cuts);
	free(batch);
}

void batch_reset(struct batch *batch)
{
	give_back(batch);
	batch->covered_bytes = batch->data_bytes = batch->place = 0;
	batch->section.n_slots = 0;
	batch->section.raw_size = 0;
	batch->section.codec = CODEC_NONE;
	batch->stray.n_clusters = 0;
	batch->as_stored = false;
	batch->n_cuts = 0;
	batch->n_zero_slots = 0;
	batch->packed.size = 0;
	batch->headers.size = 0;
	batch->n_parts = 0;
	batch->n_known = 0;
}

/* Aligned for O_DIRECT. */
uint8_t *blocks_new(void)
{
	return aligned_alloc(BLOCK_SIZE, PAYLOAD_SIZE_MAX);
}

void batch_return(struct batch *batch, uint8_t **blocks)
{
	bool compressed = !batch->as_stored &&
			  (batch->section.codec == CODEC_ZSTD || batch->packed.size != 0);

	if (batch->borrowed.give_back != NULL) {
		if (compressed || batch->section.raw_size == 0)
			give_back(batch);
		return;
	}
	*blocks = batch->blocks;
	if (!compressed) {
		*blocks = batch->payload;
		batch->payload = batch->blocks;
	}
	batch->blocks = NULL;
}

uint8_t *batch_buffer(struct batch *batch)
{
	return batch->blocks;
}

/* Returns at the first byte that is not zero; otherwise as fast as memory. */
static bool is_zero_block(const uint8_t *block)
{
	static const uint8_t zeros[16];

	return memcmp(block, zeros, sizeof(zeros)) == 0 &&
	       memcmp(block, block + sizeof(zeros), BLOCK_SIZE - sizeof(zeros)) == 0;
}

static uint16_t find_data(const uint8_t *cluster)
{
	uint16_t mask = 0;

	for (uint32_t j = 0; j < CLUSTER_BLOCKS; j++)
		if (!is_zero_block(cluster + j * BLOCK_SIZE))
			mask |= (uint16_t)(1u << j);
	return mask;
}

static struct slot *add_slot(struct batch *batch, uint32_t drive, uint64_t cluster)
{
	assert(batch->section.n_slots < SLOTS_MAX);
	struct slot *slot = &batch->section.slots[batch->section.n_slots++];
	*slot = (struct slot){.drive = drive, .cluster = cluster, .n_clusters = 1};
	return slot;
}

/* The source may be another program. A cluster that no drive has is remembered instead of added. */
static bool is_within(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	uint64_t n_all = drive < batch->archive->n_drives
				 ? clusters_of(batch->archive->drives[drive].size_bytes)
				 : 0;

	if (cluster < n_all && n_clusters <= n_all - cluster)
		return true;
	batch->stray = (struct slot){.drive = drive, .cluster = cluster, .n_clusters = n_clusters};
	return false;
}

int batch_check(const struct batch *batch, struct error *err)
{
	const struct slot *stray = &batch->stray;
	const struct archive_drive *drives = batch->archive->drives;
	const struct text *drive;
	char name[64];

	if (batch->parent_error.code != 0) {
		*err = batch->parent_error;
		return err->code;
	}
	if (stray->n_clusters == 0)
		return 0;
	if (stray->drive >= batch->archive->n_drives)
		return fail(err, ERR_SYSTEM,
			    "received a cluster of drive @%llu, but there are only %u",
			    stray->drive + 1ull, batch->archive->n_drives);
	drive = &drives[stray->drive].name;
	return fail(err, ERR_SYSTEM,
		    "drive %s: received %llu clusters from cluster %llu on, past its end",
		    escape_text(name, sizeof(name), drive->bytes, drive->length),
		    (unsigned long long)stray->n_clusters, (unsigned long long)stray->cluster);
}

void batch_tell(const struct batch *batch, const struct checksum_sink *to)
{
	if (to == NULL)
		return;
	to->stored(to->context, &batch->section);
	for (uint32_t i = 0; i < batch->n_known; i++)
		to->unchanged(to->context, batch->known[i].drive, batch->known[i].cluster,
			      batch->known[i].n_clusters);
}

/* Returns how many bytes of the drive they are. */
static uint64_t count(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	uint64_t left = batch->archive->drives[drive].size_bytes - cluster * CLUSTER_SIZE;
	uint64_t n = n_clusters * CLUSTER_SIZE;

	n = n < left ? n : left;
	batch->covered_bytes += n;
	return n;
}

/* Of how many clusters from this one on the parent has what the checksum, NULL for zeros, is of.
 * Data whose checksum happens to be that of zeros never counts: spec/sums.md, section 2.2. */
static uint64_t count_known(struct batch *batch, uint32_t drive, uint64_t cluster,
			    const uint8_t *checksum)
{
	const uint8_t *sum = NULL;
	uint64_t n = 0;
	bool same;

	if (batch->parent == NULL || batch->parent_error.code != 0)
		return 0;
	if (batch->parent->get(batch->parent->context, batch->parent_state, drive, cluster, &sum,
			       &n, &batch->parent_error) != 0 ||
	    sum == NULL)
		return 0;
	if (checksum == NULL)
		same = all_zero(sum, CHECKSUM_SIZE);
	else
		same = !all_zero(sum, CHECKSUM_SIZE) && memcmp(sum, checksum, CHECKSUM_SIZE) == 0;
	return same ? n : 0;
}

/* Left out, but received: the writer counts that every cluster came. */
static void add_known(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	struct slot *last = batch->n_known != 0 ? &batch->known[batch->n_known - 1] : NULL;

	if (last != NULL && last->drive == drive && last->cluster + last->n_clusters == cluster) {
		last->n_clusters += n_clusters;
		return;
	}
	assert(batch->n_known < SLOTS_MAX);
	batch->known[batch->n_known++] =
		(struct slot){.drive = drive, .cluster = cluster, .n_clusters = n_clusters};
}

static void add_zeros(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	struct slot *last = batch->section.n_slots != 0
				    ? &batch->section.slots[batch->section.n_slots - 1]
				    : NULL;
	uint64_t n = 0, more = 1;

	/* A run is left out as a whole or not at all: so it is one slot whatever the parent has. */
	for (; n < n_clusters && more > 0; n += more)
		more = count_known(batch, drive, cluster + n, NULL);
	if (n >= n_clusters) {
		add_known(batch, drive, cluster, n_clusters);
		return;
	}
	if (last != NULL && last->mask == 0 && last->drive == drive &&
	    last->cluster + last->n_clusters == cluster)
		last->n_clusters += n_clusters;
	else
		add_slot(batch, drive, cluster)->n_clusters = n_clusters;
}

void batch_zeros(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	if (n_clusters == 0 || !is_within(batch, drive, cluster, n_clusters))
		return;
	count(batch, drive, cluster, n_clusters);
	add_zeros(batch, drive, cluster, n_clusters);
}

void batch_place(struct batch *batch, uint64_t place)
{
	batch->place = place;
}

/* Moves the stored blocks behind those before them. They may be there already. */
static void pack_blocks(struct batch *batch, uint16_t mask, const uint8_t *cluster)
{
	for (uint32_t j = 0; j < CLUSTER_BLOCKS;) {
		uint32_t n = 0;
		while (j + n < CLUSTER_BLOCKS && (mask >> (j + n) & 1) != 0)
			n++;
		uint8_t *to = batch->blocks + batch->section.raw_size;
		assert(batch->section.raw_size + n * BLOCK_SIZE <= PAYLOAD_SIZE_MAX);
		if (n != 0 && to != cluster + j * BLOCK_SIZE)
			memmove(to, cluster + j * BLOCK_SIZE, n * BLOCK_SIZE);
		batch->section.raw_size += n * BLOCK_SIZE;
		j += n + 1;
	}
}

void batch_cluster(struct batch *batch, uint32_t drive, uint64_t cluster, const uint8_t *bytes)
{
	uint16_t mask = find_data(bytes);

	if (!is_within(batch, drive, cluster, 1))
		return;
	batch->data_bytes += count(batch, drive, cluster, 1);
	if (mask == 0) {
		add_zeros(batch, drive, cluster, 1);
		return;
	}
	uint8_t checksum[CHECKSUM_SIZE];
	checksum_cluster(batch->archive->cluster_checksum, bytes, checksum);
	if (count_known(batch, drive, cluster, checksum) > 0) {
		add_known(batch, drive, cluster, 1);
		return;
	}
	struct slot *slot = add_slot(batch, drive, cluster);
	slot->mask = mask;
	memcpy(slot->checksum, checksum, CHECKSUM_SIZE);
	pack_blocks(batch, mask, bytes);
}

void batch_checked(struct batch *batch, const struct slot *slot, const uint8_t *blocks)
{
	uint32_t n = (uint32_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	struct section *section = &batch->section;

	assert(batch->parent == NULL && batch->archive->format == FORMAT_VMAB);
	assert(slot->mask != 0 && section->raw_size + n <= PAYLOAD_SIZE_MAX);
	if (!is_within(batch, slot->drive, slot->cluster, 1))
		return;
	batch->data_bytes += count(batch, slot->drive, slot->cluster, 1);
	*add_slot(batch, slot->drive, slot->cluster) = *slot;
	if (blocks != batch->blocks + section->raw_size)
		memmove(batch->blocks + section->raw_size, blocks, n);
	section->raw_size += n;
}

void batch_extent(struct batch *batch, const struct section *extent, uint8_t **stored)
{
	struct section *section = &batch->section;
	uint8_t *blocks = batch->blocks;

	assert(section->n_slots == 0 && batch->parent == NULL &&
	       batch->archive->format == FORMAT_VMAB);
	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];

		if (!is_within(batch, slot->drive, slot->cluster, slot->n_clusters))
			return;
		uint64_t n = count(batch, slot->drive, slot->cluster, slot->n_clusters);
		batch->data_bytes += slot->mask != 0 ? n : 0;
		section->slots[i] = *slot;
	}
	section->n_slots = extent->n_slots;
	section->codec = extent->codec;
	section->raw_size = extent->raw_size;
	section->stored_size = extent->stored_size;
	section->padded_size = extent->padded_size;
	memcpy(section->checksum, extent->checksum, CHECKSUM_SIZE);
	batch->blocks = *stored;
	*stored = blocks;
	batch->as_stored = true;
}
