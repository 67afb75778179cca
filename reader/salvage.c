/*
 * Salvage: forward through the input, from one header that proves good to the next.
 *
 * A header is found by its magic, at any byte, and then checked in full: checksum, uuid, everything
 * that an intact archive is held to. Where its payload should end the next header must begin; if it
 * does, or if the checksum of the payload matches, all is well with the place of things, and the
 * search goes on from there. Otherwise bytes changed, were lost or came in between, and the next
 * header is looked for from the end of this one on. That it is found tells more: with bytes lost or
 * added, the clusters before the damage lie where they should when counted from the header, and
 * those behind it when counted back from the next one. Both are tried, and the checksum of each
 * cluster decides. So no guess about the damage is needed.
 *
 * Two rules keep what is inside drives from being taken for a part of this archive: bytes within a
 * payload are searched only when that is damaged, and then a section counts only if it claims to
 * lie behind (sequence, position).
 *
 * Time is bounded by the size of the input, whatever it holds: no byte is the payload of more than
 * one header, as the next header ends what belongs to the one before. The two checksums for which
 * that is not so, of heads and of payloads that are not followed by a header, have a budget.
 */
#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/reader.h"
#include "reader/salvage_parts.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define SLACK	    (1u << 20) /* bytes that may have come in between for both ends to be used */
#define SPEND_ONCE  (256u << 20)
#define SPEND_TIMES 8u

/* ---- headers ---- */

bool salvage_may_spend(struct salvage *s, uint64_t n_bytes)
{
	s->spent += n_bytes;
	return s->spent <= SPEND_ONCE || s->spent / SPEND_TIMES <= s->window.at;
}

bool salvage_check_section(struct salvage *s, size_t at, struct section *out)
{
	struct error ignored;
	struct landmark found;
	uint32_t size = 0;
	size_t n = window_fill(&s->window, at + SECTION_HEADER_MAX);
	const uint8_t *bytes = window_bytes(&s->window) + at;
	if (n < at + SECTOR_SIZE || !landmark_recognise(bytes, &found) || found.is_head ||
	    found.format != s->archive->format ||
	    memcmp(found.uuid, s->archive->uuid, UUID_SIZE) != 0 ||
	    section_measure(s->archive, bytes, 0, &size, &ignored) != 0 || n - at < size)
		return false;
	uint64_t position = found.format == FORMAT_VMAB ? found.position : s->window.at + at;
	memcpy(s->header, bytes, size);
	return section_parse(s->archive, s->header, position, out, &ignored) == 0;
}

size_t salvage_searchable(struct salvage *s, size_t wanted)
{
	size_t n = window_fill(&s->window, wanted + SECTION_HEADER_MAX);
	return n < wanted ? n : wanted;
}

size_t salvage_find_landmark(struct salvage *s, size_t from, size_t end)
{
	size_t n = s->window.end - s->window.begin;
	n = n < end + 8 ? n : end + 8;
	return landmark_find(window_bytes(&s->window), from, n);
}

/* ---- one section ---- */

/* Whether the header in s->next is one that can follow. Where the payload of s->section should be
 * (strict), only what claims to lie behind it. */
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

/* Whether an extent may begin at this offset, though its header is damaged: bytes missing or added
 * before it would have moved it. */
static bool resembles_extent(struct salvage *s, size_t at)
{
	struct landmark found;
	if (window_fill(&s->window, at + SECTOR_SIZE) < at + SECTOR_SIZE)
		return false;
	const uint8_t *bytes = window_bytes(&s->window) + at;
	return landmark_recognise(bytes, &found) ||
	       memcmp(bytes + 8, s->archive->uuid, UUID_SIZE) == 0;
}

/* The header that follows this section lies where it should, or a VMA ends there. */
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

/* The payload of s->section as far as it is there. */
struct remains {
	const uint8_t *blocks; /* counted from the beginning */
	size_t n;
	const uint8_t *end; /* of what counts from the end, NULL: nothing does */
	size_t n_end;	    /* bytes before that end */
	bool doubtful;	    /* bytes are missing or came in between, nobody knows where */
};

/* A decoder that meets damage has written what came before it. What else the buffer holds does no
 * harm: nothing of it is taken without its checksum. */
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
		return fail(err, ERR_SYSTEM, "no memory"); /* that is no damage */
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

/* An index is of use where absent clusters are not lost: it tells which the archive held. */
static int tell_index(struct salvage *s, const uint8_t *entries, struct error *err)
{
	for (uint32_t at = 0; at < s->section.raw_size; at += INDEX_ENTRY_SIZE) {
		struct slot run = {.cluster = get_le(entries + at, 8),
				   .n_clusters = get_le(entries + at + 8, 8),
				   .drive = (uint32_t)get_le(entries + at + 0x18, 4)};
		if (run.drive >= s->archive->n_drives)
			continue;
		uint64_t n = clusters_of(s->archive->drives[run.drive].size_bytes);
		if (run.n_clusters > 0 && run.cluster < n && run.n_clusters <= n - run.cluster)
			TRY(s->sink->put(s->sink->context, &run, SALVAGE_NAMED, NULL, err));
	}
	return 0;
}

/* A section whose payload is where it should be. */
static int take_section(struct salvage *s, struct error *err)
{
	struct error ignored;
	const struct section *section = &s->section;
	const uint8_t *payload = window_bytes(&s->window) + section->header_size;
	struct remains remains = {.blocks = payload, .n = section->padded_size};
	if (section->kind == SECTION_TAIL)
		s->totals.n_expected = section->totals.n_sections;
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

/* What of the payload of s->section can be used when the next header was found at next, or not at
 * all before end. */
static struct remains find_remains(struct salvage *s, size_t next, size_t end)
{
	size_t header_size = s->section.header_size;
	size_t payload_end = header_size + s->section.padded_size;
	size_t n = window_fill(&s->window, payload_end);
	bool vma = s->archive->format == FORMAT_VMA1, shifted = next < end && next != payload_end;
	n = n < next ? n : next;
	/* A whole extent may be in between of which nothing can be recognised. */
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

/* A section whose payload is damaged, or not in place. What was searched in vain is skipped. */
static int take_damaged(struct salvage *s, struct error *err)
{
	size_t payload_end = s->section.header_size + s->section.padded_size;
	if (s->surveying) { /* a head may be in there */
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

int salvage_walk(struct salvage *s, struct error *err)
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
	TRY(salvage_walk(s, err));
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
