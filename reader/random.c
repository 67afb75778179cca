/*
 * Random access: from the tail of a VMAB along the chain of index sections to the wanted extents,
 * and to no others.
 *
 * It goes from the end to the beginning, one index section at a time, so that only one section is
 * in memory, however large the archive.
 */
#include "base/clusterset.h"
#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/random.h"

#include <stdlib.h>

#define CHUNK	      (1u << 20)
#define AHEAD_MAX     (UINT64_C(32) << 20)
#define BRIDGED	      (UINT64_C(2) << 20) /* a gap that costs less than another request */
#define LIKELY_HEADER 4096u		  /* bytes: most are shorter */

/* Positions. up_to: where the wanted extents end that follow this one without a large gap. */
struct place {
	uint64_t at, up_to;
};

struct random {
	const struct archive *archive; /* borrowed */
	struct input *in;	       /* borrowed */
	struct random_choice wanted;
	struct cluster_set *seen; /* owned: for each drive, used for wanted ones */
	struct place *places;	  /* owned: of wanted extents, from the index section in memory */
	uint32_t n_places;
	uint64_t previous_index; /* position of the next index section to load, 0: none */
	uint64_t index_at, begin_at, end_at; /* positions: see check_place */
	uint64_t tail_at;		     /* position */
	uint64_t n_unindexed; /* clusters that the tail counts and the index has not named yet */
	uint64_t read_bytes;  /* of the archive: head, tail and sections */
	uint64_t ahead_to;    /* position: up to there payloads are expected to be needed */
	uint64_t n_needed;    /* bytes of payloads that were, without a gap */
	unsigned n_passed;    /* extents whose payloads were not, without a gap */
	uint8_t header[SECTION_HEADER_MAX];
};

/* ---- the tail ---- */

/* The last sector that is not all zero, which comes to the beginning of chunk; record padding
 * follows it. As a rule it is the very last one, so that one is read alone first. */
static int find_last_sector(struct input *in, uint8_t *chunk, uint64_t *position, struct error *err)
{
	uint64_t size = input_size(in), end = size - size % SECTOR_SIZE, n = SECTOR_SIZE;

	for (; end > 0 && size - end <= PADDING_SIZE_MAX; n = CHUNK) {
		n = end < n ? end : n;
		TRY(input_seek(in, end - n, end, err));
		TRY(input_read(in, chunk, n, err));
		for (; n > 0; n -= SECTOR_SIZE, end -= SECTOR_SIZE)
			if (!all_zero(chunk + n - SECTOR_SIZE, SECTOR_SIZE)) {
				memmove(chunk, chunk + n - SECTOR_SIZE, SECTOR_SIZE);
				*position = end - SECTOR_SIZE;
				return 0;
			}
	}
	return fail_at(err, ERR_INCOMPLETE, size, "incomplete: the end is missing");
}

/* What find_last_sector leaves out: a last part of less than a sector. */
static int check_rest(struct input *in, uint8_t *chunk, struct error *err)
{
	uint64_t size = input_size(in), n = size % SECTOR_SIZE;

	TRY(input_seek(in, size - n, size, err));
	TRY(input_read(in, chunk, n, err));
	DEMAND(all_zero(chunk, n), size - n, "bytes after the end of the archive");
	return 0;
}

static int read_tail(const struct archive *archive, struct input *in, uint8_t *chunk,
		     struct section *tail, struct error *err)
{
	struct error ignored;
	uint64_t position = 0;
	uint32_t header_size;

	TRY(find_last_sector(in, chunk, &position, err));
	if (section_measure(archive, chunk, position, &header_size, &ignored) == 0 &&
	    header_size == SECTOR_SIZE &&
	    section_parse(archive, chunk, position, tail, &ignored) == 0 &&
	    tail->kind == SECTION_TAIL && tail->totals.archive_size == position + SECTOR_SIZE)
		return check_rest(in, chunk, err);
	return fail_at(err, ERR_INCOMPLETE, input_size(in), "incomplete: the end is missing");
}

int random_tail(const struct archive *archive, struct input *in, struct section *tail,
		struct error *err)
{
	if (archive->format != FORMAT_VMAB || input_size(in) == 0)
		return 0;
	uint8_t *chunk = malloc(CHUNK);
	if (chunk == NULL)
		return fail_memory(err);
	int code = read_tail(archive, in, chunk, tail, err);
	free(chunk);
	return code != 0 ? code : 1;
}

int reader_find_tail(struct reader *reader, struct input *in, struct totals *out, struct error *err)
{
	struct section *tail = calloc(1, sizeof(*tail));

	if (tail == NULL)
		return fail_memory(err);
	int code = random_tail(reader_archive(reader), in, tail, err);
	if (code > 0)
		*out = tail->totals;
	free(tail);
	return code;
}

/* ---- the index ---- */

void random_close(struct random *random)
{
	if (random == NULL)
		return;
	for (uint32_t i = 0; random->seen != NULL && i < random->archive->n_drives; i++)
		cluster_set_free(&random->seen[i]);
	free(random->seen);
	free(random->places);
	free(random);
}

static int prepare(struct random *random, struct error *err)
{
	random->seen = calloc(random->archive->n_drives + 1u, sizeof(*random->seen));
	random->places = calloc(INDEX_ENTRIES_MAX, sizeof(*random->places));
	if (random->seen == NULL || random->places == NULL)
		return fail_memory(err);
	return 0;
}

int random_open(struct random **out, struct reader *reader, struct input *in,
		const struct random_choice *wanted, struct error *err)
{
	struct section *tail = calloc(1, sizeof(*tail));
	struct random *random = *out = calloc(1, sizeof(*random));
	int code = tail == NULL || random == NULL
			   ? fail_memory(err)
			   : random_tail(reader_archive(reader), in, tail, err);

	if (code > 0) {
		random->archive = reader_archive(reader);
		random->in = in;
		random->wanted = *wanted;
		random->previous_index = tail->previous_index;
		random->tail_at = random->end_at = random->index_at = tail->position;
		random->begin_at = tail->previous_index;
		random->n_unindexed = tail->totals.n_data + tail->totals.n_zero;
		random->read_bytes = random->archive->head_size + SECTOR_SIZE;
		if (tail->previous_index >= tail->position)
			code = fail_at(err, ERR_DAMAGED, tail->position,
				       "the index is not a chain");
		else if (prepare(random, err) != 0)
			code = err->code;
	}
	free(tail);
	return code;
}

uint64_t random_passed(const struct random *random)
{
	/* All from index_at on, and the extents before it from previous_index on. */
	return random->tail_at - random->index_at + random->begin_at - random->previous_index;
}

/* Reads a section's header at a position that another section states. */
static int read_header_at(struct random *random, struct place place, enum section_kind kind,
			  struct section *out, struct error *err)
{
	uint32_t header_size;
	uint8_t *header = random->header;
	uint64_t position = place.at;

	TRY(input_seek(random->in, position, place.up_to, err));
	TRY(input_read(random->in, header, SECTOR_SIZE, err));
	TRY(section_measure(random->archive, header, position, &header_size, err));
	TRY(input_read(random->in, header + SECTOR_SIZE, header_size - SECTOR_SIZE, err));
	TRY(section_parse(random->archive, header, position, out, err));
	DEMAND(out->kind == kind, position, "the index leads to a section of kind %u", out->kind);
	random->read_bytes += header_size;
	return 0;
}

static int read_payload(struct random *random, const struct section *section, uint8_t *stored,
			struct error *err)
{
	random->read_bytes += section->padded_size;
	return input_read(random->in, stored, section->padded_size, err);
}

static int read_section_at(struct random *random, struct place place, enum section_kind kind,
			   struct section *out, uint8_t *stored, struct error *err)
{
	TRY(read_header_at(random, place, kind, out, err));
	return read_payload(random, out, stored, err);
}

/* More and more headers at once, as long as nothing else is needed. */
static void expect_headers(struct random *random, struct place first)
{
	uint64_t positions[INPUT_EXPECTED_MAX];
	uint32_t left = random->n_places;
	unsigned n = 0, most = random->n_passed * 2;

	if (most > INPUT_EXPECTED_MAX)
		most = INPUT_EXPECTED_MAX;
	for (struct place place = first; n < most; place = random->places[--left]) {
		if (place.at + LIKELY_HEADER > random->ahead_to)
			positions[n++] = place.at;
		if (left == 0)
			break;
	}
	if (n > 1)
		input_expect(random->in, positions, n);
}

/* The same, without a payload that is not needed. */
static int read_needed_at(struct random *random, struct place place, struct section *out,
			  uint8_t *stored, const struct random_need *need, struct error *err)
{
	uint64_t begin, end, n, likely = place.at + LIKELY_HEADER;
	struct place expected = place;
	int needed;

	if (random->ahead_to > likely)
		likely = random->ahead_to;
	if (likely < place.up_to)
		expected.up_to = likely;
	expect_headers(random, place);
	TRY(read_header_at(random, expected, SECTION_EXTENT, out, err));
	needed = need->ask(need->context, err);
	if (needed <= 0) {
		random->n_needed = 0;
		random->n_passed++;
		return needed;
	}
	random->n_passed = 0;
	random->n_needed += out->padded_size;
	begin = place.at + out->header_size;
	end = begin + out->padded_size;
	n = random->n_needed < AHEAD_MAX ? random->n_needed : AHEAD_MAX;
	if (end + n / 2 > random->ahead_to) {
		random->ahead_to = end + n < place.up_to ? end + n : place.up_to;
		TRY(input_seek(random->in, begin, random->ahead_to, err));
	}
	return read_payload(random, out, stored, err);
}

/* Whatever an index states, no byte is read twice: an index section must lie before all extents
 * read so far, and its extents must follow each other between the previous index section and it. */
static int check_place(const struct section *section, uint64_t begin, uint64_t end,
		       struct error *err)
{
	uint64_t at = section->position, size = section->header_size + section->padded_size;

	DEMAND(at >= begin && at < end && size <= end - at, at,
	       "the index leads to a section that overlaps others");
	return 0;
}

/* Cuts a run of clusters to the wanted ones; false: none of them is. */
static bool cut(const struct random *random, struct slot *run)
{
	const struct random_choice *wanted = &random->wanted;
	uint64_t skip = run->cluster < wanted->begin ? wanted->begin - run->cluster : 0;

	if (run->cluster >= wanted->end || run->n_clusters <= skip)
		return false;
	run->cluster += skip;
	run->n_clusters -= skip;
	if (run->n_clusters > wanted->end - run->cluster)
		run->n_clusters = wanted->end - run->cluster;
	return true;
}

/* Whether newer archives held all of it, or the drive is smaller by now. */
static bool superseded(const struct random *random, uint64_t drive, const struct slot *run)
{
	const struct reader_layer *layer;
	uint64_t n_all, n;
	bool held;

	if (random->wanted.layers == NULL)
		return false;
	layer = &random->wanted.layers[drive];
	n_all = layer->n_clusters;
	if (run->cluster >= n_all)
		return true;
	n = run->n_clusters < n_all - run->cluster ? run->n_clusters : n_all - run->cluster;
	return cluster_set_run(layer->newer, run->cluster, n, &held) == n && held;
}

/* An extent before those that are on the stack already. next_at: the position of what follows it.
 */
static void push_place(struct random *random, uint64_t position, uint64_t next_at)
{
	struct place *place = &random->places[random->n_places];

	*place = (struct place){position, next_at};
	if (random->n_places > 0 && place[-1].at - next_at <= BRIDGED)
		place->up_to = place[-1].up_to;
	random->n_places++;
	random->end_at = position;
}

/* Collects the wanted extents of an index section on a stack, the last one first. */
static int load_index(struct random *random, struct section *index, uint8_t *stored,
		      struct error *err)
{
	uint64_t position = random->previous_index;

	TRY(read_section_at(random, (struct place){position, random->end_at}, SECTION_INDEX, index,
			    stored, err));
	TRY(extent_scrub(random->archive, index, stored, err));
	DEMAND(index->previous_index < position, position, "the index is not a chain");
	TRY(check_place(index, 0, random->end_at, err));
	random->index_at = random->end_at = position;
	random->begin_at = random->previous_index = index->previous_index;
	uint64_t last = position, next_at = position;
	for (uint32_t at = index->raw_size; at > 0; at -= INDEX_ENTRY_SIZE) {
		const uint8_t *entry = stored + at - INDEX_ENTRY_SIZE;
		uint64_t extent_at = get_le(entry + INDEX_EXTENT_AT, 8);
		uint64_t drive = get_le(entry + INDEX_DRIVE, 4);
		uint32_t n = random->n_places;
		DEMAND(extent_at < position && extent_at > index->previous_index &&
			       drive < random->archive->n_drives,
		       position, "an entry of the index leads nowhere");
		DEMAND(extent_at <= last, position, "the positions of an index do not ascend");
		next_at = extent_at < last ? last : next_at;
		last = extent_at;
		bool known = n > 0 && random->places[n - 1].at == extent_at;
		struct slot run = {.cluster = get_le(entry + INDEX_CLUSTER, 8),
				   .n_clusters = get_le(entry + INDEX_N_CLUSTERS, 8)};
		random->n_unindexed -= run.n_clusters;
		if (!known && random->wanted.drives[drive] && cut(random, &run) &&
		    !superseded(random, drive, &run))
			push_place(random, extent_at, next_at);
	}
	return 0;
}

uint64_t random_read_bytes(const struct random *random)
{
	return random->read_bytes;
}

static int check_complete(const struct random *random, struct error *err)
{
	bool partial =
		random->wanted.layers != NULL || !all_zero(random->archive->parent, UUID_SIZE);

	/* What an incremental archive does not name is taken from its parents: it must name all. */
	DEMAND(!partial || random->n_unindexed == 0, random->tail_at,
	       "the index does not have the clusters that the tail counts");
	for (uint32_t i = 0; !partial && i < random->archive->n_drives; i++) {
		struct slot all = {.n_clusters =
					   clusters_of(random->archive->drives[i].size_bytes)};

		if (random->wanted.drives[i] && cut(random, &all) &&
		    random->seen[i].n_clusters != all.n_clusters)
			return fail_at(err, ERR_INCOMPLETE, random->tail_at,
				       "incomplete: the index has %llu of %llu clusters of drive "
				       "@%u",
				       (unsigned long long)random->seen[i].n_clusters,
				       (unsigned long long)all.n_clusters, i + 1);
	}
	return 0;
}

static int note_extent(struct random *random, const struct section *extent, struct error *err)
{
	for (uint32_t i = 0; i < extent->n_slots; i++) {
		struct slot slot = extent->slots[i];
		if (!random->wanted.drives[slot.drive] || !cut(random, &slot))
			continue;
		int new = cluster_set_add(&random->seen[slot.drive], slot.cluster, slot.n_clusters,
					  err);
		if (new < 0)
			return new;
		DEMAND(new != 0, extent->position, "clusters of drive @%u twice", slot.drive + 1);
	}
	return 1;
}

/* A part of a drive, all of which has come: the rest of the index tells of others. */
static bool has_all(const struct random *random)
{
	struct error ignored;

	return random->wanted.end != UINT64_MAX && check_complete(random, &ignored) == 0;
}

int random_next(struct random *random, struct section *extent, uint8_t *stored,
		const struct random_need *need, struct error *err)
{
	while (random->n_places == 0 && random->previous_index != 0 && !has_all(random))
		TRY(load_index(random, extent, stored, err));
	if (random->n_places == 0)
		return check_complete(random, err);
	struct place place = random->places[--random->n_places];
	if (need != NULL)
		TRY(read_needed_at(random, place, extent, stored, need, err));
	else
		TRY(read_section_at(random, place, SECTION_EXTENT, extent, stored, err));
	TRY(check_place(extent, random->begin_at, random->index_at, err));
	random->begin_at = place.at + extent->header_size + extent->padded_size;
	return note_extent(random, extent, err);
}
