/*
 * The stream, in which each sealed batch gets its place. Everything here runs one piece after the
 * other, so it is kept short.
 *
 * Zero runs that do not travel with data are collected over many pieces, so that an empty drive
 * does not become an extent for each piece of it.
 */
#include "base/clusterset.h"
#include "base/bytes.h"
#include "writer/internal.h"
#include "writer/output/output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_EXTENTS 64u /* VMA extents of zero clusters that are written at once */

struct writer {
	const struct archive *archive; /* borrowed */
	struct output *output;	       /* borrowed */
	struct writer_options options;
	struct totals totals;	  /* so far */
	struct cluster_set *seen; /* owned: for each drive, the clusters received */
	const struct cluster_set *const *expected; /* or NULL: all of every drive */
	uint64_t previous_index;
	uint32_t n_entries;   /* in index */
	struct section zeros; /* runs not yet written */
	struct section scratch;
	struct batch *wrapped; /* owned: for compressed heads and zeros */
	struct seal *seal;     /* owned: compresses them */
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t index[INDEX_ENTRIES_MAX * INDEX_ENTRY_SIZE];
};

const struct archive *writer_archive(const struct writer *writer)
{
	return writer->archive;
}

const struct writer_options *writer_options(const struct writer *writer)
{
	return &writer->options;
}

const struct totals *writer_totals(const struct writer *writer)
{
	return &writer->totals;
}

const struct cluster_set *writer_seen(const struct writer *writer, uint32_t drive)
{
	return &writer->seen[drive];
}

void writer_free(struct writer *writer)
{
	if (writer == NULL)
		return;
	for (uint32_t i = 0; writer->seen != NULL && i < writer->archive->n_drives; i++)
		cluster_set_free(&writer->seen[i]);
	free(writer->seen);
	batch_free(writer->wrapped);
	seal_free(writer->seal);
	free(writer);
}

static int put_bytes(struct writer *writer, struct iovec *parts, uint32_t n_parts,
		     struct error *err)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < n_parts; i++)
		size += parts[i].iov_len;
	TRY(output_write(writer->output, parts, (int)n_parts, err));
	writer->totals.archive_size += size;
	if (writer->options.counts != NULL)
		writer->options.counts->written_bytes += size;
	return 0;
}

/* Head and zeros of a VMA that is compressed as a whole: a frame of their own. */
static int put_wrapped(struct writer *writer, struct iovec *part, struct error *err)
{
	if (writer->options.wrap == WRAP_NONE)
		return put_bytes(writer, part, 1, err);
	TRY(seal_wrap(writer->seal, part, 1, writer->wrapped, err));
	struct iovec packed = {writer->wrapped->packed.at, writer->wrapped->packed.size};
	return put_bytes(writer, &packed, 1, err);
}

static int put_head(struct writer *writer, struct error *err)
{
	uint32_t size = head_size(writer->archive);
	struct iovec head = {malloc(size), size};

	if (head.iov_base == NULL)
		return fail(err, ERR_SYSTEM, "no memory for a head of %u bytes", size);
	uint8_t *bytes = head.iov_base;
	head_build(writer->archive, bytes);
	int code = put_wrapped(writer, &head, err);
	free(bytes);
	return code;
}

int writer_open(struct writer **out, const struct archive *archive, struct output *output,
		const struct writer_options *options, struct error *err)
{
	assert(options->wrap == WRAP_NONE || archive->format == FORMAT_VMA1);
	TRY(archive_check(archive, err));
	struct writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return fail_memory(err);
	writer->archive = archive;
	writer->output = output;
	writer->options = *options;
	writer->seen = calloc(archive->n_drives + 1u, sizeof(*writer->seen));
	int code = writer->seen == NULL ? fail_memory(err)
					: batch_new(&writer->wrapped, archive, NULL, err);
	if (code == 0)
		code = seal_new(&writer->seal, archive, options, err);
	if (code == 0)
		code = put_head(writer, err);
	if (code == 0)
		*out = writer;
	else
		writer_free(writer);
	return code;
}

/* A VMAB section at the end of the stream. Its payload is padded where it lies. */
static int put_section(struct writer *writer, struct section *section, const uint8_t *payload,
		       struct error *err)
{
	section->position = writer->totals.archive_size;
	section->sequence = writer->totals.n_sections++;
	section->previous_index = writer->previous_index;
	section_build(writer->archive, section, writer->header);
	struct iovec parts[2] = {
		{writer->header, section_header_size(writer->archive, section->n_slots)},
		{(void *)payload, section->padded_size},
	};
	return put_bytes(writer, parts, section->padded_size != 0 ? 2 : 1, err);
}

/* A section that is a payload and nothing else. */
static int put_plain(struct writer *writer, enum section_kind kind, const uint8_t *payload,
		     uint32_t size, struct error *err)
{
	struct section *section = &writer->scratch;

	*section = (struct section){.kind = kind, .raw_size = size, .stored_size = size};
	section->padded_size = (size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
	checksum_bytes(payload, section->padded_size, section->checksum);
	return put_section(writer, section, payload, err);
}

static int put_index(struct writer *writer, struct error *err)
{
	uint32_t size = writer->n_entries * INDEX_ENTRY_SIZE;
	uint64_t position = writer->totals.archive_size;

	if (size == 0)
		return 0;
	memset(writer->index + size, 0, -size % SECTOR_SIZE);
	TRY(put_plain(writer, SECTION_INDEX, writer->index, size, err));
	writer->previous_index = position;
	writer->n_entries = 0;
	return 0;
}

/* An extent of VMAB. The entries of one extent go into one index: if they do not fit into the
 * current one, that is written first. */
static int put_extent(struct writer *writer, struct section *extent, const uint8_t *payload,
		      struct error *err)
{
	uint8_t entry[INDEX_ENTRY_SIZE];
	uint32_t n_entries = 0;

	for (uint32_t i = 0; index_next(extent, &i, entry);)
		n_entries++;
	if (writer->n_entries + n_entries > INDEX_ENTRIES_MAX)
		TRY(put_index(writer, err));
	extent->kind = SECTION_EXTENT;
	TRY(put_section(writer, extent, payload, err));
	for (uint32_t i = 0; i < extent->n_slots; writer->n_entries++)
		index_next(extent, &i, writer->index + INDEX_ENTRY_SIZE * writer->n_entries);
	return 0;
}

/* VMA has no runs, but a slot for each cluster. Headers are written in groups. */
static int put_zero_extents(struct writer *writer, struct error *err)
{
	struct section *extent = &writer->scratch;
	uint8_t headers[ZERO_EXTENTS * SECTOR_SIZE];
	uint32_t n_headers = 0, i = 0;

	extent->n_slots = extent->raw_size = 0;
	while (i < writer->zeros.n_slots) {
		struct slot *run = &writer->zeros.slots[i];
		struct slot *slot = &extent->slots[extent->n_slots++];
		*slot = *run;
		slot->n_clusters = 1;
		run->cluster++;
		i += --run->n_clusters == 0 ? 1 : 0;
		bool last = i == writer->zeros.n_slots;
		bool fits = slot->cluster % (VMA1_SLOTS - 1) != VMA1_SLOTS - 2 ||
			    !writer->options.by_place;
		if (extent->n_slots < VMA1_SLOTS - 1 && fits && !last)
			continue;
		section_build(writer->archive, extent, headers + n_headers++ * SECTOR_SIZE);
		writer->totals.n_sections++;
		extent->n_slots = 0;
		if (n_headers < ZERO_EXTENTS && !last)
			continue;
		struct iovec part = {headers, n_headers * SECTOR_SIZE};
		TRY(put_wrapped(writer, &part, err));
		n_headers = 0;
	}
	return 0;
}

static int put_zeros(struct writer *writer, struct error *err)
{
	struct section *zeros = &writer->zeros;

	if (zeros->n_slots == 0)
		return 0;
	if (writer->archive->format == FORMAT_VMAB) {
		checksum_bytes("", 0, zeros->checksum);
		TRY(put_extent(writer, zeros, NULL, err));
	} else {
		TRY(put_zero_extents(writer, err));
	}
	zeros->n_slots = 0;
	return 0;
}

static int keep_zeros(struct writer *writer, const struct slot *run, struct error *err)
{
	struct section *zeros = &writer->zeros;
	struct slot *last = zeros->n_slots != 0 ? &zeros->slots[zeros->n_slots - 1] : NULL;

	if (last != NULL && last->drive == run->drive &&
	    last->cluster + last->n_clusters == run->cluster) {
		last->n_clusters += run->n_clusters;
		return 0;
	}
	if (zeros->n_slots == SLOTS_MAX)
		TRY(put_zeros(writer, err));
	zeros->slots[zeros->n_slots++] = *run;
	return 0;
}

/* The source may be another program, and no reader accepts an archive with a cluster twice. */
static int note_slot(struct writer *writer, const struct slot *slot, struct error *err)
{
	char name[64];
	const struct text *drive = &writer->archive->drives[slot->drive].name;
	struct cluster_set *seen = &writer->seen[slot->drive];
	bool twice;
	uint64_t n = cluster_set_run(seen, slot->cluster, slot->n_clusters, &twice);

	if (twice || n < slot->n_clusters)
		return fail(err, ERR_SYSTEM,
			    "drive %s: cluster %llu was received twice, which no archive may hold",
			    escape_text(name, sizeof(name), drive->bytes, drive->length),
			    (unsigned long long)(slot->cluster + (twice ? 0 : n)));
	return cluster_set_add(seen, slot->cluster, slot->n_clusters, err) < 0 ? err->code : 0;
}

static void count(const struct writer *writer, const struct batch *batch)
{
	struct writer_counts *counts = writer->options.counts;

	if (counts == NULL || batch->covered_bytes == 0)
		return;
	counts->place = batch->place;
	counts->covered_bytes += batch->covered_bytes;
	counts->data_bytes += batch->data_bytes;
	counts->drive = batch->n_known > 0 ? batch->known[0].drive : batch->section.slots[0].drive;
}

/* The extents that a batch was cut into. Its slots are used up. */
static int put_cuts(struct writer *writer, struct batch *batch, struct error *err)
{
	struct section *section = &batch->section;
	const uint8_t *payload = batch->payload;
	uint32_t n_left = section->n_slots;

	for (uint32_t i = 0; i < batch->n_cuts; i++) {
		const struct cut *cut = &batch->cuts[i];

		section->n_slots = cut->n_slots;
		section->raw_size = cut->raw_size;
		section->stored_size = cut->stored_size;
		section->padded_size = cut->padded_size;
		section->codec = cut->codec;
		memcpy(section->checksum, cut->checksum, CHECKSUM_SIZE);
		TRY(put_extent(writer, section, payload, err));
		payload += cut->padded_size;
		n_left -= cut->n_slots;
		memmove(section->slots, section->slots + cut->n_slots,
			n_left * sizeof(section->slots[0]));
	}
	return 0;
}

int writer_append(struct writer *writer, struct batch *batch, struct error *err)
{
	struct section *section = &batch->section;

	for (uint32_t i = 0; i < section->n_slots + batch->n_zero_slots; i++) {
		const struct slot *slot = &section->slots[i];
		TRY(note_slot(writer, slot, err));
		*(slot->mask != 0 ? &writer->totals.n_data : &writer->totals.n_zero) +=
			slot->n_clusters;
	}
	for (uint32_t i = 0; i < batch->n_known; i++)
		TRY(note_slot(writer, &batch->known[i], err));
	writer->totals.raw_size += section->raw_size;
	if (batch->n_cuts != 0) {
		TRY(put_cuts(writer, batch, err));
	} else if (writer->archive->format == FORMAT_VMAB && section->n_slots != 0) {
		bool borrowed = batch->blocks != NULL;
		TRY(put_extent(writer, section, borrowed ? batch->blocks : batch->payload, err));
	} else if (batch->n_parts != 0) {
		struct iovec packed = {batch->packed.at, batch->packed.size};
		bool wrapped = writer->options.wrap != WRAP_NONE;
		TRY(put_bytes(writer, wrapped ? &packed : batch->parts,
			      wrapped ? 1 : batch->n_parts, err));
		writer->totals.n_sections += batch->n_parts / 2;
	}
	for (uint32_t i = 0; i < batch->n_zero_slots; i++)
		TRY(keep_zeros(writer, &section->slots[section->n_slots + i], err));
	count(writer, batch);
	return 0;
}

void writer_expect(struct writer *writer, const struct cluster_set *const *sets)
{
	writer->expected = sets;
}

/* The first cluster of a drive that was to come and did not; n_clusters: none. */
static uint64_t find_missing(const struct writer *writer, uint32_t drive, uint64_t n_clusters)
{
	/* A full archive has nobody to leave clusters to. */
	const struct cluster_set *expected = writer->expected == NULL || writer->options.parent == NULL
						     ? NULL
						     : writer->expected[drive];
	uint64_t at = 0, n, n_seen;
	bool wanted = true, in = true;

	for (; at < n_clusters; at += n) {
		n = n_clusters - at;
		if (expected != NULL)
			n = cluster_set_run(expected, at, n, &wanted);
		if (!wanted)
			continue;
		n_seen = cluster_set_run(&writer->seen[drive], at, n, &in);
		if (!in || n_seen < n)
			return in ? at + n_seen : at;
	}
	return n_clusters;
}

/* If the feed left something out, it or its source is broken: the archive must not look complete.
 */
static int check_complete(const struct writer *writer, struct error *err)
{
	bool full = all_zero(writer->archive->parent, UUID_SIZE);
	char name[64];

	if (!full && writer->options.parent == NULL)
		return 0;
	for (uint32_t i = 0; i < writer->archive->n_drives; i++) {
		const struct archive_drive *drive = &writer->archive->drives[i];
		uint64_t n_clusters = clusters_of(drive->size_bytes);
		uint64_t missing = find_missing(writer, i, n_clusters);

		if (missing < n_clusters)
			return fail(err, ERR_SYSTEM,
				    "drive %s: %llu of %llu clusters were received, cluster %llu "
				    "is missing: the archive would be incomplete",
				    escape_text(name, sizeof(name), drive->name.bytes,
						drive->name.length),
				    (unsigned long long)writer->seen[i].n_clusters,
				    (unsigned long long)n_clusters, (unsigned long long)missing);
	}
	return 0;
}

static int put_head_copy(struct writer *writer, struct error *err)
{
	uint32_t size = head_size(writer->archive), at = 0;
	uint8_t *head = malloc(size);

	if (head == NULL)
		return fail(err, ERR_SYSTEM, "no memory for a head of %u bytes", size);
	head_build(writer->archive, head);
	writer->totals.head_copy_at = writer->totals.archive_size;
	int code = 0;
	while (at < size && code == 0) {
		uint32_t n = size - at < PAYLOAD_SIZE_MAX ? size - at : PAYLOAD_SIZE_MAX;
		code = put_plain(writer, SECTION_HEAD_COPY, head + at, n, err);
		at += n;
	}
	free(head);
	return code;
}

static int put_tail(struct writer *writer, struct error *err)
{
	struct section *tail = &writer->scratch;

	*tail = (struct section){.kind = SECTION_TAIL, .totals = writer->totals};
	tail->totals.archive_size += SECTOR_SIZE;
	tail->totals.n_sections++;
	checksum_bytes("", 0, tail->checksum);
	return put_section(writer, tail, NULL, err);
}

int writer_finish(struct writer *writer, struct error *err)
{
	TRY(put_zeros(writer, err));
	TRY(check_complete(writer, err));
	if (writer->archive->format == FORMAT_VMAB) {
		TRY(put_index(writer, err));
		TRY(put_head_copy(writer, err));
		return put_tail(writer, err);
	}
	if (writer->totals.n_sections != 0)
		return 0;
	/* An archive of no drives has one extent without slots. */
	uint8_t header[SECTOR_SIZE];
	struct iovec part = {header, sizeof(header)};
	writer->scratch.n_slots = writer->scratch.raw_size = 0;
	section_build(writer->archive, &writer->scratch, header);
	return put_wrapped(writer, &part, err);
}
