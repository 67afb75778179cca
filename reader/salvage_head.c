/*
 * Finds the beginning, and replaces a head that is lost: by its copy, or by what extents say of the
 * drives.
 */
#include "base/bytes.h"
#include "reader/input/input.h"
#include "reader/salvage_parts.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_ROOM 12u /* "drive65535" */

/* ---- heads ---- */

/* It is large and mostly unused. This clears only what a parser may have filled in: one entry more
 * than it counted. */
void salvage_clear_archive(struct archive *archive)
{
	size_t n_drives = archive->n_drives < DRIVES_MAX ? archive->n_drives + 1 : DRIVES_MAX;
	size_t n_configs = archive->n_configs < CONFIGS_MAX ? archive->n_configs + 1 : CONFIGS_MAX;

	memset(archive->drives, 0, n_drives * sizeof(*archive->drives));
	memset(archive->configs, 0, n_configs * sizeof(*archive->configs));
	memset(archive, 0, offsetof(struct archive, drives));
}

/* Takes a head for the archive's if it is intact and, unless uuid is NULL, has this uuid. */
static bool take_head(struct salvage *s, const uint8_t *bytes, size_t n, const uint8_t *uuid)
{
	struct error ignored;
	uint32_t size = 0;

	if (n < SECTOR_SIZE || head_measure(bytes, &size, &ignored) != 0 || size > n ||
	    !salvage_may_spend(s, size + sizeof(*s->candidate)))
		return false;
	salvage_clear_archive(s->candidate);
	memmove(s->head_bytes, bytes, size);
	int code = head_parse(s->head_bytes, size, s->candidate, &ignored);
	if (code == ERR_UNSUPPORTED)
		s->refused = ignored;
	if (code != 0 || (uuid != NULL && memcmp(s->candidate->uuid, uuid, UUID_SIZE) != 0))
		return false;
	struct archive *old = s->archive;
	s->archive = s->candidate;
	s->candidate = old;
	return true;
}

/* Replaces a lost head: all drives possible, each as large as possible. False: the budget is spent.
 */
static bool imagine_head(struct salvage *s, const struct landmark *found)
{
	struct archive *archive = s->archive;
	bool vmab = found->format == FORMAT_VMAB;

	if (s->imagined && archive->format == found->format) {
		memcpy(archive->uuid, found->uuid, UUID_SIZE);
		return true;
	}
	if (!salvage_may_spend(s, sizeof(*archive)))
		return false;
	salvage_clear_archive(archive);
	memcpy(archive->uuid, found->uuid, UUID_SIZE);
	s->imagined = true;
	archive->format = found->format;
	archive->cluster_checksum = vmab ? CLUSTER_XXH3_128 : CLUSTER_UNPROTECTED;
	memcpy(archive->uuid, found->uuid, UUID_SIZE);
	archive->n_drives = vmab ? DRIVES_MAX : 255;
	for (uint32_t i = 0; i < archive->n_drives; i++)
		archive->drives[i].size_bytes = vmab ? INT64_MAX : (uint64_t)CLUSTER_SIZE << 32;
	for (uint32_t id = 1; !vmab && id < 256; id++)
		archive->drive_of_device[id] = (uint16_t)id;
	return true;
}

/* Whether an intact head or section of the wanted archive is at this offset. */
static bool begin_at(struct salvage *s, size_t at)
{
	struct landmark found;
	size_t n = window_fill(&s->window, at + SECTOR_SIZE);
	const uint8_t *bytes = window_bytes(&s->window) + at;

	if (n < at + SECTOR_SIZE || !landmark_recognise(bytes, &found) ||
	    (s->uuid != NULL && memcmp(found.uuid, s->uuid, UUID_SIZE) != 0))
		return false;
	if (!found.is_head) {
		s->head = SALVAGE_HEAD_LOST;
		return imagine_head(s, &found) && salvage_check_section(s, at, &s->section);
	}
	n = window_fill(&s->window, at + HEAD_SIZE_MAX);
	s->head = SALVAGE_HEAD_FOUND;
	return take_head(s, window_bytes(&s->window) + at, n - at, s->uuid);
}

int salvage_find_begin(struct salvage *s, struct error *err)
{
	for (;;) {
		size_t end = salvage_searchable(s, SALVAGE_STEP);
		if (end == 0)
			break;
		size_t at = salvage_find_landmark(s, 0, end);
		while (at < end && !begin_at(s, at) && s->refused.code == 0)
			at = salvage_find_landmark(s, at + 1, end);
		if (s->refused.code != 0) {
			*err = s->refused;
			return err->code;
		}
		if (at < end) {
			s->begin = s->window.at + at;
			window_skip(&s->window, at);
			if (s->head == SALVAGE_HEAD_FOUND)
				window_skip(&s->window, s->archive->head_size);
			return 0;
		}
		window_skip(&s->window, end);
	}
	if (s->window.why.code != 0) {
		*err = s->window.why;
		return err->code;
	}
	return fail_at(err, ERR_DAMAGED, 0, "no part of %s found",
		       s->uuid != NULL ? "the archive of that uuid" : "an archive");
}

/* ---- the survey ---- */

/* Whether an extent of a VMA without a head has checksums in its free slots. A writer that makes no
 * checksums leaves zeros there, or no free slots. */
static void guess_checksums(struct salvage *s)
{
	struct error ignored;
	bool has_data = false, has_sums = true;

	memcpy(s->header, window_bytes(&s->window), s->section.header_size);
	s->archive->cluster_checksum = CLUSTER_XXH3_64;
	has_sums = section_parse(s->archive, s->header, 0, &s->next, &ignored) == 0;
	s->archive->cluster_checksum = CLUSTER_UNPROTECTED;
	for (uint32_t i = 0; i < s->section.n_slots; i++) {
		has_data |= s->section.slots[i].mask != 0;
		has_sums = has_sums && (s->section.slots[i].mask == 0 ||
					!all_zero(s->next.slots[i].checksum, 8));
	}
	s->n_checked += has_data && has_sums ? 1 : 0;
	s->n_plain += has_data && !has_sums ? 1 : 0;
}

/* An extent tells how large its drives are at least. */
void salvage_note_extent(struct salvage *s)
{
	for (uint32_t i = 0; i < s->section.n_slots; i++) {
		const struct slot *slot = &s->section.slots[i];
		uint64_t end = slot->cluster + slot->n_clusters, *size = &s->sizes[slot->drive];
		uint64_t bytes = end > INT64_MAX / CLUSTER_SIZE ? INT64_MAX : end * CLUSTER_SIZE;
		*size = bytes > *size ? bytes : *size;
	}
	if (s->archive->format == FORMAT_VMA1)
		guess_checksums(s);
}

void salvage_note_head_copy(struct salvage *s, const uint8_t *payload)
{
	uint32_t n = s->section.raw_size;

	if (s->n_copied + n > HEAD_SIZE_MAX)
		return;
	memcpy(s->copy + s->n_copied, payload, n);
	s->n_copied += n;
	s->whole_head |= take_head(s, s->copy, s->n_copied, s->archive->uuid);
}

bool salvage_meet_head(struct salvage *s, size_t at)
{
	struct landmark found;
	size_t n = window_fill(&s->window, at + HEAD_SIZE_MAX);
	const uint8_t *bytes = window_bytes(&s->window) + at;

	return n >= at + SECTOR_SIZE && landmark_recognise(bytes, &found) && found.is_head &&
	       memcmp(found.uuid, s->archive->uuid, UUID_SIZE) == 0 &&
	       take_head(s, bytes, n - at, s->archive->uuid);
}

int salvage_imagine_drives(struct salvage *s, struct error *err)
{
	struct archive *archive = s->archive;
	uint32_t n = archive->n_drives;

	while (n > 0 && s->sizes[n - 1] == 0)
		n--;
	s->names = calloc(n + 1u, NAME_ROOM);
	if (s->names == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n; i++) {
		char *name = s->names + i * NAME_ROOM;
		int length = snprintf(name, NAME_ROOM, "drive%u", i + 1);
		archive->drives[i] = (struct archive_drive){
			{(const uint8_t *)name, (uint32_t)length},
			s->sizes[i],
		};
	}
	archive->n_drives = n;
	for (uint32_t id = n + 1; id < 256; id++)
		archive->drive_of_device[id] = 0;
	if (archive->format == FORMAT_VMA1)
		archive->cluster_checksum =
			s->n_checked > s->n_plain ? CLUSTER_XXH3_64 : CLUSTER_UNPROTECTED;
	return 0;
}
