#include "reader/lookup.h"

#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/random.h"

#include <stdlib.h>

/* What one pass needs. */
struct pass {
	const struct archive *archive;
	struct input *in;
	lookup_visit *visit;
	void *context;
	struct section section;
	uint64_t n_left; /* clusters that the tail counts and were not told of yet */
	uint8_t header[SECTION_HEADER_MAX];
	uint8_t stored[PAYLOAD_SIZE_MAX];
};

static int read_header(const struct archive *archive, struct input *in, uint64_t at,
		       struct section *out, uint8_t *header, struct error *err)
{
	uint32_t header_size;

	TRY(input_read_at(in, at, header, SECTOR_SIZE, err));
	TRY(section_measure(archive, header, at, &header_size, err));
	TRY(input_read_at(in, at + SECTOR_SIZE, header + SECTOR_SIZE, header_size - SECTOR_SIZE,
			  err));
	return section_parse(archive, header, at, out, err);
}

int lookup_extent(const struct archive *archive, struct input *in, uint64_t extent_at,
		  struct section *out, uint8_t *header, struct error *err)
{
	TRY(read_header(archive, in, extent_at, out, header, err));
	DEMAND(out->kind == SECTION_EXTENT, extent_at, "the index leads to a section of kind %u",
	       out->kind);
	return 0;
}

int lookup_payload(struct input *in, const struct section *extent, uint8_t *stored,
		   struct error *err)
{
	return input_read_at(in, extent->position + extent->header_size, stored,
			     extent->padded_size, err);
}

static int tell(struct pass *pass, const uint8_t *entry, struct error *err)
{
	struct lookup_run run = {
		.cluster = get_le(entry + INDEX_CLUSTER, 8),
		.n_clusters = get_le(entry + INDEX_N_CLUSTERS, 8),
		.extent_at = get_le(entry + INDEX_EXTENT_AT, 8),
		.drive = (uint32_t)get_le(entry + INDEX_DRIVE, 4),
	};

	return pass->visit(pass->context, &run, err);
}

/* ---- VMAB ---- */

static int check_entry(struct pass *pass, const uint8_t *entry, uint64_t *last, struct error *err)
{
	const struct section *index = &pass->section;
	uint64_t extent_at = get_le(entry + INDEX_EXTENT_AT, 8);
	uint64_t drive = get_le(entry + INDEX_DRIVE, 4), n = get_le(entry + INDEX_N_CLUSTERS, 8);
	uint64_t cluster = get_le(entry + INDEX_CLUSTER, 8), n_all;

	DEMAND(extent_at < index->position && extent_at > index->previous_index &&
		       extent_at % SECTOR_SIZE == 0 && drive < pass->archive->n_drives,
	       index->position, "an entry of the index leads nowhere");
	DEMAND(extent_at >= *last, index->position, "the positions of an index do not ascend");
	*last = extent_at;
	n_all = clusters_of(pass->archive->drives[drive].size_bytes);
	DEMAND(n > 0 && cluster < n_all && n <= n_all - cluster, index->position,
	       "an entry of the index is past the end of drive @%llu",
	       (unsigned long long)drive + 1);
	DEMAND(n <= pass->n_left, index->position, "the index has more clusters than the tail");
	pass->n_left -= n;
	return 0;
}

static int pass_index(struct pass *pass, uint64_t at, struct error *err)
{
	struct section *index = &pass->section;
	uint64_t last = 0;

	TRY(read_header(pass->archive, pass->in, at, index, pass->header, err));
	DEMAND(index->kind == SECTION_INDEX, at, "the index leads to a section of kind %u",
	       index->kind);
	TRY(lookup_payload(pass->in, index, pass->stored, err));
	TRY(extent_scrub(pass->archive, index, pass->stored, err));
	DEMAND(index->previous_index < at, at, "the index is not a chain");
	for (uint32_t i = 0; i < index->raw_size; i += INDEX_ENTRY_SIZE) {
		TRY(check_entry(pass, pass->stored + i, &last, err));
		TRY(tell(pass, pass->stored + i, err));
	}
	return 0;
}

static int pass_vmab(struct pass *pass, struct error *err)
{
	uint64_t at, tail_at;
	int code = random_tail(pass->archive, pass->in, &pass->section, err);

	if (code < 0)
		return code;
	DEMAND_ELSE(ERR_UNSUPPORTED, code > 0, NO_PLACE, "this input has no index");
	tail_at = pass->section.position;
	pass->n_left = pass->section.totals.n_data + pass->section.totals.n_zero;
	at = pass->section.previous_index;
	DEMAND(at < tail_at, tail_at, "the index is not a chain");
	while (at != 0) {
		TRY(pass_index(pass, at, err));
		at = pass->section.previous_index;
	}
	DEMAND_ELSE(ERR_INCOMPLETE, pass->n_left == 0, tail_at,
		    "incomplete: the index does not have the clusters that the tail counts");
	return 0;
}

/* ---- VMA ---- */

static int pass_vma(struct pass *pass, struct error *err)
{
	uint64_t at = pass->archive->head_size, size = input_size(pass->in);
	const struct section *extent = &pass->section;
	uint8_t entry[INDEX_ENTRY_SIZE];

	while (at < size) {
		uint32_t slot = 0;

		TRY(input_read_at(pass->in, at, pass->header, SECTOR_SIZE, err));
		if (all_zero(pass->header, SECTOR_SIZE))
			return 0;
		TRY(read_header(pass->archive, pass->in, at, &pass->section, pass->header, err));
		at += extent->header_size + extent->padded_size;
		DEMAND_ELSE(ERR_INCOMPLETE, at <= size, size, "incomplete: the end is missing");
		while (index_next(extent, &slot, entry))
			TRY(tell(pass, entry, err));
	}
	return 0;
}

int lookup_runs(struct reader *reader, struct input *in, lookup_visit *visit, void *context,
		struct error *err)
{
	struct pass *pass = malloc(sizeof(*pass));
	int code;

	if (pass == NULL)
		return fail_memory(err);
	pass->archive = reader_archive(reader);
	pass->in = in;
	pass->visit = visit;
	pass->context = context;
	code = pass->archive->format == FORMAT_VMAB ? pass_vmab(pass, err) : pass_vma(pass, err);
	free(pass);
	return code;
}
