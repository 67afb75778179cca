/*
 * Reads an archive in sequence: the head, then section after section, until the whole archive has
 * been checked.
 *
 * A section cannot prove everything by itself. So the reader keeps what must hold between sections:
 * how many there were, which clusters they held, the index they make, the part of the head copy
 * already seen.
 */
#include "reader/reader.h"

#include "base/bytes.h"
#include "base/clusterset.h"
#include "reader/input/input.h"

#include <stdlib.h>

/* Large; pages that are never touched take no memory. */
struct reader {
	struct input *in;	 /* borrowed */
	uint64_t previous_index; /* position, 0: none */
	uint32_t n_entries;	 /* of the index, since the last index section */
	uint32_t head_copied;	 /* bytes of the head copy read so far */
	struct totals totals;	 /* so far */
	struct archive archive;	 /* borrows from head */
	/* The clusters read of each drive: the only memory that grows with the archive. */
	struct cluster_set seen[DRIVES_MAX]; /* owned */
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t entries[INDEX_ENTRIES_MAX * INDEX_ENTRY_SIZE];
	uint8_t head[HEAD_SIZE_MAX];
};

const struct archive *reader_archive(const struct reader *reader)
{
	return &reader->archive;
}

const struct totals *reader_totals(const struct reader *reader)
{
	return &reader->totals;
}

const struct cluster_set *reader_seen(const struct reader *reader, uint32_t drive)
{
	return &reader->seen[drive];
}

void reader_free(struct reader *reader)
{
	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < reader->archive.n_drives; i++)
		cluster_set_free(&reader->seen[i]);
	free(reader);
}

int reader_open(struct reader **out, struct input *in, struct error *err)
{
	uint32_t size;
	struct reader *reader = *out = calloc(1, sizeof(*reader));

	if (reader == NULL)
		return fail(err, ERR_SYSTEM, "no memory");
	reader->in = in;
	TRY(input_read(in, reader->head, SECTOR_SIZE, err));
	TRY(head_measure(reader->head, &size, err));
	TRY(input_read(in, reader->head + SECTOR_SIZE, size - SECTOR_SIZE, err));
	reader->totals.archive_size = size;
	return head_parse(reader->head, size, &reader->archive, err);
}

/* What the next index section must say of this extent. */
static int note_entries(struct reader *reader, const struct section *extent, struct error *err)
{
	uint8_t entry[INDEX_ENTRY_SIZE];
	uint32_t slot = 0;

	while (index_next(extent, &slot, entry)) {
		uint32_t n = reader->n_entries;
		DEMAND(n < INDEX_ENTRIES_MAX, extent->position, "the index comes too late");
		memcpy(reader->entries + n * INDEX_ENTRY_SIZE, entry, INDEX_ENTRY_SIZE);
		reader->n_entries++;
	}
	return 0;
}

static int note_extent(struct reader *reader, const struct section *extent, struct error *err)
{
	struct totals *totals = &reader->totals;

	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		int new = cluster_set_add(&reader->seen[slot->drive], slot->cluster,
					  slot->n_clusters, err);
		if (new < 0)
			return new;
		DEMAND(new != 0, extent->position, "clusters of drive @%u twice, at or after %llu",
		       slot->drive + 1, (unsigned long long)slot->cluster);
		if (slot->mask != 0)
			totals->n_data += slot->n_clusters;
		else
			totals->n_zero += slot->n_clusters;
	}
	totals->raw_size += extent->raw_size;
	if (reader->archive.format == FORMAT_VMAB)
		TRY(note_entries(reader, extent, err));
	return 1;
}

static int check_index(struct reader *reader, const struct section *index, const uint8_t *payload,
		       struct error *err)
{
	bool same = index->raw_size == reader->n_entries * INDEX_ENTRY_SIZE &&
		    memcmp(payload, reader->entries, index->raw_size) == 0;

	DEMAND(same, index->position, "the index does not fit the extents");
	reader->n_entries = 0;
	reader->previous_index = index->position;
	return 0;
}

static int check_head_copy(struct reader *reader, const struct section *copy,
			   const uint8_t *payload, struct error *err)
{
	uint32_t left = reader->archive.head_size - reader->head_copied;
	uint32_t n = left < PAYLOAD_SIZE_MAX ? left : PAYLOAD_SIZE_MAX;
	const uint8_t *part = reader->head + reader->head_copied;
	bool same = copy->raw_size == n && memcmp(payload, part, n) == 0;

	DEMAND(reader->n_entries == 0, copy->position, "a head copy before the index");
	DEMAND(same, copy->position, "the copy of the head differs from it");
	if (reader->head_copied == 0)
		reader->totals.head_copy_at = copy->position;
	reader->head_copied += n;
	return 0;
}

/* A full archive holds every cluster. end_at: the position where the archive ends. */
static int check_complete(struct reader *reader, uint64_t end_at, struct error *err)
{
	if (!all_zero(reader->archive.parent, UUID_SIZE))
		return 0;
	for (uint32_t i = 0; i < reader->archive.n_drives; i++) {
		uint64_t n_clusters = clusters_of(reader->archive.drives[i].size_bytes);
		if (reader->seen[i].n_clusters == n_clusters)
			continue;
		bool has_first;
		uint64_t n = cluster_set_run(&reader->seen[i], 0, n_clusters, &has_first);
		uint64_t missing = has_first ? n : 0;
		return fail_at(err, ERR_INCOMPLETE, end_at,
			       "incomplete: cluster %llu of drive @%u is missing",
			       (unsigned long long)missing, i + 1);
	}
	return 0;
}

/* After the end only zeros may follow, as many as the last record of a tape may have. */
static int check_padding(struct reader *reader, uint8_t *buffer, struct error *err)
{
	size_t got = 0;

	for (;;) {
		uint64_t place = input_position(reader->in);
		TRY(input_read_some(reader->in, buffer, SECTOR_SIZE, &got, err));
		if (got == 0)
			return 0;
		bool near = place + got - reader->totals.archive_size <= PADDING_SIZE_MAX;
		DEMAND(near && all_zero(buffer, got), place, "bytes after the end of the archive");
	}
}

static int check_tail(struct reader *reader, const struct section *tail, uint8_t *buffer,
		      struct error *err)
{
	bool ready = reader->n_entries == 0 && reader->head_copied == reader->archive.head_size;
	bool fits = memcmp(&tail->totals, &reader->totals, sizeof(reader->totals)) == 0;

	DEMAND(ready, tail->position, "a tail before index and head copy");
	DEMAND(fits, tail->position, "the tail does not fit the archive");
	TRY(check_complete(reader, tail->position, err));
	return check_padding(reader, buffer, err);
}

/* Reads a header and its payload. 1: done; 0: end of file, or zeros, where a VMA may end. */
static int read_section(struct reader *reader, struct section *out, uint8_t *stored,
			struct error *err)
{
	uint8_t *header = reader->header;
	uint64_t position = input_position(reader->in);
	bool may_end = reader->archive.format == FORMAT_VMA1;
	uint32_t header_size;
	size_t got;

	TRY(input_read_some(reader->in, header, SECTOR_SIZE, &got, err));
	if (may_end && (got == 0 || (got == SECTOR_SIZE && all_zero(header, SECTOR_SIZE))))
		return 0;
	DEMAND_ELSE(ERR_INCOMPLETE, got == SECTOR_SIZE, position + got, "incomplete: it ends here");
	TRY(section_measure(&reader->archive, header, position, &header_size, err));
	TRY(input_read(reader->in, header + SECTOR_SIZE, header_size - SECTOR_SIZE, err));
	TRY(section_parse(&reader->archive, header, position, out, err));
	TRY(input_read(reader->in, stored, out->padded_size, err));
	bool next = may_end || (out->sequence == reader->totals.n_sections &&
				out->previous_index == reader->previous_index);
	DEMAND(next, position, "a section out of sequence");
	reader->totals.n_sections++;
	reader->totals.archive_size = input_position(reader->in);
	return 1;
}

int reader_next(struct reader *reader, struct section *extent, uint8_t *stored, struct error *err)
{
	for (;;) {
		int got = read_section(reader, extent, stored, err);
		if (got < 0)
			return got;
		if (got == 0) {
			TRY(check_padding(reader, stored, err));
			return check_complete(reader, input_position(reader->in), err);
		}
		bool in_order = reader->head_copied == 0 || extent->kind >= SECTION_HEAD_COPY;
		DEMAND(in_order, extent->position, "a section after the head copy");
		if (extent->kind == SECTION_EXTENT)
			return note_extent(reader, extent, err);
		TRY(extent_scrub(&reader->archive, extent, stored, err));
		if (extent->kind == SECTION_INDEX)
			TRY(check_index(reader, extent, stored, err));
		if (extent->kind == SECTION_HEAD_COPY)
			TRY(check_head_copy(reader, extent, stored, err));
		if (extent->kind == SECTION_TAIL)
			return check_tail(reader, extent, stored, err);
	}
}
