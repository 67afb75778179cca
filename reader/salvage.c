/*
 * Salvage: forward through the input, from one intact header to the next.
 *
 * A header is found by its magic, at any byte, and then checked like that of an intact archive:
 * checksum, uuid, everything. The next header should begin where its payload ends. If it does, or
 * if the checksum of the payload matches, nothing has moved, and the search continues there.
 * Otherwise bytes were changed, lost or inserted, and the search for the next header begins right
 * behind this one. Finding that header helps: when bytes were lost or inserted, clusters before the
 * damage are in place counted from this header, and clusters behind it are in place counted back
 * from the next header. Both are tried, and the checksum of each cluster decides. So nothing has to
 * be guessed about the damage.
 *
 * Two rules prevent data inside drives from being taken for parts of this archive: a payload is
 * searched only if it is damaged, and then a section counts only if it claims to follow (sequence,
 * position).
 *
 * The time needed is bounded by the size of the input, whatever it contains: no byte is in the
 * payload of more than one header, because the next header ends the payload of the one before. Two
 * checksums are not bounded by that, those of heads and of payloads without a header behind them;
 * they have a budget.
 */
#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/reader.h"
#include "reader/salvage_parts.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define SLACK (1u << 20) /* most inserted bytes for which both ends are tried */

/* ---- one section ---- */

/* Whether the header in s->next can follow. Within the payload of s->section (strict), it must also
 * claim to do so. */
static bool may_follow(const struct salvage *s, bool strict)
{
	const struct section *now = &s->section;
	uint64_t end = now->position + now->header_size + now->padded_size;

	return !strict || s->archive->format == FORMAT_VMA1 ||
	       (s->next.sequence > now->sequence && s->next.position >= end);
}

/* The first header in this part of the window; end when there is none. Leaves it in s->next. */
static size_t find_next(struct salvage *s, size_t from, size_t end)
{
	size_t payload_end = s->section.header_size + s->section.padded_size;

	for (size_t at = salvage_find_landmark(s, from, end); at < end;
	     at = salvage_find_landmark(s, at + 1, end))
		if (salvage_check_section(s, at, &s->next) && may_follow(s, at < payload_end))
			return at;
	return end;
}

/* Whether an extent with a damaged header may begin at this offset: then no bytes were lost or
 * inserted before it. */
static bool resembles_extent(struct salvage *s, size_t at)
{
	struct landmark found;

	if (window_fill(&s->window, at + SECTOR_SIZE) < at + SECTOR_SIZE)
		return false;
	const uint8_t *bytes = window_bytes(&s->window) + at;
	return landmark_recognise(bytes, &found) ||
	       memcmp(bytes + 8, s->archive->uuid, UUID_SIZE) == 0;
}

/* Whether the next header is where it should be, or a VMA ends there. */
static bool is_in_place(struct salvage *s)
{
	size_t end = s->section.header_size + s->section.padded_size;
	size_t n = window_fill(&s->window, end + SECTION_HEADER_MAX);

	if (salvage_check_section(s, end, &s->next))
		return s->archive->format == FORMAT_VMA1 ||
		       s->next.sequence == s->section.sequence + 1;
	return s->archive->format == FORMAT_VMA1 && n >= end &&
	       all_zero(window_bytes(&s->window) + end,
			n - end < SECTOR_SIZE ? n - end : SECTOR_SIZE);
}

static bool payload_matches(struct salvage *s)
{
	struct error ignored;
	const struct section *section = &s->section;
	size_t end = section->header_size + section->padded_size;

	if (s->archive->format == FORMAT_VMA1 || window_fill(&s->window, end) < end ||
	    !salvage_may_spend(s, section->padded_size))
		return false;
	const uint8_t *payload = window_bytes(&s->window) + section->header_size;
	bool good = extent_scrub(s->archive, section, payload, &ignored) == 0;
	s->spent -= good ? section->padded_size : 0;
	return good;
}

/* What is left of the payload of s->section. */
struct remains {
	const uint8_t *blocks; /* counted from the beginning */
	size_t n;
	const uint8_t *end; /* the end to count back from; NULL: none */
	size_t n_end;	    /* bytes before that end */
	bool doubtful;	    /* bytes were lost or inserted at an unknown place */
};

/* A decoder that meets damage has written the data before it. The rest of the buffer does no harm:
 * no cluster is taken without its checksum. */
static int decode(struct salvage *s, struct remains *remains, struct error *err)
{
	const struct section *section = &s->section;

	if (section->codec != CODEC_ZSTD)
		return 0;
	size_t n = remains->n < section->stored_size ? remains->n : section->stored_size;
	if (section->raw_size > s->raw_used)
		s->raw_used = section->raw_size;
	n = ZSTD_decompress(s->raw, section->raw_size, remains->blocks, n);
	if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return fail_memory(err); /* not damage */
	remains->blocks = s->raw;
	remains->n = section->raw_size;
	remains->end = NULL;
	return 0;
}

static bool judge(struct salvage *s, uint32_t slot, const struct remains *remains, size_t at,
		  const uint8_t **cluster)
{
	struct error ignored;
	size_t size = (size_t)__builtin_popcount(s->section.slots[slot].mask) * BLOCK_SIZE;
	size_t from_end = s->section.padded_size - at;

	if (remains->doubtful)
		return false;
	if (at + size <= remains->n &&
	    extent_cluster(s->archive, &s->section, slot, remains->blocks + at, s->scratch, cluster,
			   &ignored) == 0)
		return true;
	return remains->end != NULL && from_end <= remains->n_end &&
	       extent_cluster(s->archive, &s->section, slot, remains->end - from_end, s->scratch,
			      cluster, &ignored) == 0;
}

static int deliver(struct salvage *s, struct remains *remains, struct error *err)
{
	bool sure = s->archive->cluster_checksum != CLUSTER_UNPROTECTED, damaged = false;
	size_t at = 0;

	TRY(decode(s, remains, err));
	for (uint32_t i = 0; i < s->section.n_slots; i++) {
		const struct slot *slot = &s->section.slots[i];
		const uint8_t *cluster = NULL;
		enum salvage_state state = SALVAGE_GOOD;
		if (slot->mask != 0) {
			bool had = judge(s, i, remains, at, &cluster);
			state = !had ? SALVAGE_BAD : sure ? SALVAGE_GOOD : SALVAGE_UNVERIFIED;
			cluster = had ? cluster : NULL;
			damaged |= !had;
		}
		TRY(s->sink->put(s->sink->context, slot, state, cluster, err));
		at += (size_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	}
	s->totals.n_damaged += damaged ? 1 : 0;
	return 0;
}

/* For incremental archives, where absent clusters are not lost, an index tells which ones the
 * archive held. */
static int tell_index(struct salvage *s, const uint8_t *entries, struct error *err)
{
	for (uint32_t at = 0; at < s->section.raw_size; at += INDEX_ENTRY_SIZE) {
		struct slot run = {.cluster = get_le(entries + at + INDEX_CLUSTER, 8),
				   .n_clusters = get_le(entries + at + INDEX_N_CLUSTERS, 8),
				   .drive = (uint32_t)get_le(entries + at + INDEX_DRIVE, 4)};
		if (run.drive >= s->archive->n_drives)
			continue;
		uint64_t n = clusters_of(s->archive->drives[run.drive].size_bytes);
		if (run.n_clusters > 0 && run.cluster < n && run.n_clusters <= n - run.cluster)
			TRY(s->sink->put(s->sink->context, &run, SALVAGE_NAMED, NULL, err));
	}
	return 0;
}

/* A section whose payload is in place. */
static int take_section(struct salvage *s, struct error *err)
{
	struct error ignored;
	const struct section *section = &s->section;
	const uint8_t *payload = window_bytes(&s->window) + section->header_size;
	struct remains remains = {.blocks = payload, .n = section->padded_size};

	if (section->kind == SECTION_TAIL) {
		s->totals.n_expected = section->totals.n_sections;
		s->totals.n_clusters = section->totals.n_data + section->totals.n_zero;
	}
	if (section->kind == SECTION_EXTENT && s->surveying)
		salvage_note_extent(s);
	else if (section->kind == SECTION_EXTENT)
		return deliver(s, &remains, err);
	if (section->kind == SECTION_EXTENT || section->kind == SECTION_TAIL)
		return 0;
	if (extent_scrub(s->archive, section, payload, &ignored) != 0)
		s->totals.n_damaged++;
	else if (section->kind == SECTION_HEAD_COPY && s->surveying)
		salvage_note_head_copy(s, payload);
	else if (section->kind == SECTION_INDEX && !s->surveying &&
		 !all_zero(s->archive->parent, UUID_SIZE))
		return tell_index(s, payload, err);
	return 0;
}

/* What can be used of the payload of s->section. The next header is at next; end: there is none
 * before end. */
static struct remains find_remains(struct salvage *s, size_t next, size_t end)
{
	size_t header_size = s->section.header_size;
	size_t payload_end = header_size + s->section.padded_size;
	size_t n = window_fill(&s->window, payload_end);
	bool vma = s->archive->format == FORMAT_VMA1, shifted = next < end && next != payload_end;

	n = n < next ? n : next;
	/* A whole extent, damaged beyond recognition, may lie in between. */
	bool gap = next > payload_end && (next - payload_end) % BLOCK_SIZE == SECTOR_SIZE &&
		   next - payload_end != SECTOR_SIZE;
	bool moved = shifted && !gap && !resembles_extent(s, payload_end);
	const uint8_t *bytes = window_bytes(&s->window);
	struct remains remains = {
		.blocks = bytes + header_size,
		.n = (n < payload_end ? n : payload_end) - header_size,
		.doubtful = moved && s->archive->cluster_checksum == CLUSTER_UNPROTECTED,
	};
	if (shifted && (vma || s->next.sequence == s->section.sequence + 1)) {
		remains.end = bytes + next;
		remains.n_end = next - header_size;
	}
	return remains;
}

/* A section whose payload is damaged or not in place. Skips what was searched in vain. */
static int take_damaged(struct salvage *s, struct error *err)
{
	size_t payload_end = s->section.header_size + s->section.padded_size;

	if (s->surveying) { /* the payload may contain a head */
		if (s->section.kind == SECTION_EXTENT)
			salvage_note_extent(s);
		window_skip(&s->window, s->section.header_size);
		return 0;
	}
	size_t end = salvage_searchable(s, payload_end + SLACK);
	size_t next = find_next(s, s->section.header_size, end);
	struct remains remains = find_remains(s, next, end);
	int code = 0;
	if (s->section.kind == SECTION_EXTENT)
		code = deliver(s, &remains, err);
	else
		s->totals.n_damaged++;
	s->totals.passed_bytes += next > payload_end ? next - payload_end : 0;
	window_skip(&s->window, next);
	return code;
}

/* The section at the beginning of the window, in s->section. */
static int handle_section(struct salvage *s, struct error *err)
{
	size_t end = s->section.header_size + s->section.padded_size;

	s->totals.n_sections++;
	bool whole = is_in_place(s) || s->section.padded_size == 0 || payload_matches(s);
	if (!whole)
		return take_damaged(s, err);
	int code = take_section(s, err);
	window_skip(&s->window, end);
	return code;
}

static int walk(struct salvage *s, struct error *err)
{
	while (!s->whole_head) {
		size_t end = salvage_searchable(s, SALVAGE_STEP),
		       at = end == 0 ? 0 : salvage_find_landmark(s, 0, end);
		bool found = false;
		if (end == 0)
			break;
		for (; at < end; at = salvage_find_landmark(s, at + 1, end)) {
			found = salvage_check_section(s, at, &s->section);
			s->whole_head = s->surveying && !found && salvage_meet_head(s, at);
			if (found || s->whole_head)
				break;
		}
		at = at < end ? at : end;
		s->totals.passed_bytes += at;
		window_skip(&s->window, at);
		if (found)
			TRY(handle_section(s, err));
		s->totals.archive_bytes = s->window.at;
		s->read_at = s->window.at;
	}
	return 0;
}

/* ---- all of it ---- */

static int make_new(struct salvage **out, struct error *err)
{
	struct salvage *s = *out = calloc(1, sizeof(*s));

	if (s == NULL)
		return fail_memory(err);
	s->archive = calloc(1, sizeof(*s->archive));
	s->candidate = calloc(1, sizeof(*s->candidate));
	if (s->archive == NULL || s->candidate == NULL)
		return fail_memory(err);
	return window_open(&s->window, err);
}

static void make_like_new(struct salvage *s)
{
	salvage_clear_archive(s->archive);
	salvage_clear_archive(s->candidate);
	memset(s->sizes, 0, sizeof(s->sizes));
	memset(s->raw, 0, s->raw_used);
	free(s->names);
	s->names = NULL;
	s->head = SALVAGE_HEAD_FOUND;
	s->imagined = s->surveying = s->whole_head = false;
	s->n_copied = s->n_checked = s->n_plain = 0;
	s->spent = s->begin = 0;
	s->read_at = 0;
	s->refused = (struct error){0};
	s->totals = (struct salvage_totals){0};
}

int salvage_open(struct salvage **out, struct input *in, const uint8_t *uuid, struct error *err)
{
	if (*out == NULL)
		TRY(make_new(out, err));
	else
		make_like_new(*out);
	(*out)->uuid = uuid;
	window_start(&(*out)->window, in);
	TRY(salvage_find_begin(*out, err));
	if ((*out)->head == SALVAGE_HEAD_FOUND)
		(*out)->totals.passed_bytes = (*out)->begin;
	return 0;
}

int salvage_survey(struct salvage *s, struct error *err)
{
	s->surveying = true;
	TRY(walk(s, err));
	s->head = s->whole_head ? SALVAGE_HEAD_FOUND : SALVAGE_HEAD_LOST;
	return s->whole_head ? 0 : salvage_imagine_drives(s, err);
}

void salvage_free(struct salvage *salvage)
{
	if (salvage == NULL)
		return;
	window_close(&salvage->window);
	free(salvage->names);
	free(salvage->archive);
	free(salvage->candidate);
	free(salvage);
}

void salvage_again(struct salvage *s, struct input *in)
{
	window_start(&s->window, in);
	s->surveying = s->whole_head = false;
	s->spent = 0;
	s->totals = (struct salvage_totals){0};
}

int salvage_run(struct salvage *s, const struct salvage_sink *sink, struct error *ended,
		struct error *err)
{
	s->sink = sink;
	TRY(walk(s, err));
	*ended = s->window.why;
	return 0;
}

enum salvage_head salvage_head(const struct salvage *salvage)
{
	return salvage->head;
}

uint64_t salvage_begin(const struct salvage *salvage)
{
	return salvage->begin;
}

const struct archive *salvage_archive(const struct salvage *salvage)
{
	return salvage->archive;
}

const struct salvage_totals *salvage_totals(const struct salvage *salvage)
{
	return &salvage->totals;
}

_Atomic uint64_t *salvage_read_at(struct salvage *salvage)
{
	return &salvage->read_at;
}
