#include "archive/create.h"

#include "archive/configs.h"
#include "archive/source.h"
#include "base/watcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define VMA1_PLAIN_DATA \
	58u /* data clusters an extent without checksums gets: as the genuine writer does */
#define VMAB_DATA	64u /* as much as an extent holds: compresses best */
#define VMAB_PLAIN_DATA 16u /* what is only copied had better stay in the processor's caches */

static int set_time(struct archive *archive, struct error *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct timespec now;
	uint64_t seconds;

	if (epoch == NULL) {
		clock_gettime(CLOCK_REALTIME, &now);
		archive->created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		return 0;
	}
	if (!parse_number(epoch, &seconds) || seconds > INT64_MAX / 1000000000)
		return fail(err, ERR_USAGE, "SOURCE_DATE_EPOCH '%s': not a number of seconds",
			    epoch);
	archive->created_ns = (int64_t)seconds * 1000000000;
	return 0;
}

static int set_uuid(struct archive *archive, const char *text, struct error *err)
{
	if (text != NULL) {
		if (!parse_uuid(text, archive->uuid))
			return fail(err, ERR_USAGE,
				    "--uuid '%s': must be as 01234567-89ab-cdef-0123-456789abcdef, "
				    "not all zero",
				    text);
		return 0;
	}
	if (getrandom(archive->uuid, UUID_SIZE, 0) != UUID_SIZE)
		return fail_system(err, errno, "random numbers");
	/* Version 4, variant 1: RFC 9562. */
	archive->uuid[6] = (uint8_t)((archive->uuid[6] & 0x0f) | 0x40);
	archive->uuid[8] = (uint8_t)((archive->uuid[8] & 0x3f) | 0x80);
	return 0;
}

static int set_note(struct archive *archive, const char *note, struct error *err)
{
	if (note == NULL || *note == '\0')
		return 0;
	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--note: VMA has no room for notes, only VMAB has");
	if (strlen(note) > CONFIGS_SIZE_MAX / 16)
		return fail(err, ERR_USAGE, "--note: too long");
	archive->note = (struct text){(const uint8_t *)note, (uint32_t)strlen(note)};
	return 0;
}

int new_archive_begin(struct archive *archive, struct sink *sink, const struct sink_options *options,
		      const struct head_options *head, struct error *err)
{
	if (sink_prepare(sink, options, err) < 0)
		return err->code;
	archive->format = sink->plan.format;
	archive->cluster_checksum = sink->plan.cluster_checksum;
	if (set_time(archive, err) < 0 || set_uuid(archive, head->uuid, err) < 0)
		return err->code;
	return set_note(archive, head->note, err);
}

uint64_t new_archive_size(const struct sink *sink, const char *name, uint64_t size_bytes,
			  const struct watcher *watcher)
{
	if (sink->plan.format == FORMAT_VMA1 && size_bytes % SECTOR_SIZE != 0) {
		size_bytes += SECTOR_SIZE - size_bytes % SECTOR_SIZE;
		watcher_detail(watcher, "drive %s: stored as %llu bytes: VMA has multiples of %u",
			      name, (unsigned long long)size_bytes, SECTOR_SIZE);
	}
	return size_bytes;
}

uint32_t new_archive_piece(const struct sink *sink)
{
	const struct sink_plan *plan = &sink->plan;

	if (plan->format == FORMAT_VMAB)
		return plan->level != 0 ? VMAB_DATA : VMAB_PLAIN_DATA;
	return plan->cluster_checksum == CLUSTER_UNPROTECTED ? VMA1_PLAIN_DATA : VMA1_CHECKED_DATA;
}

int new_archive_write(struct sink *sink, const struct archive *archive, const struct feed *feed,
		      const struct watcher *watcher, struct error *err)
{
	struct progress_view view = {
		.label = sink->name,
		.total_bytes = archive_drive_bytes(archive),
		.covered_bytes = &sink->counts.covered_bytes,
		.data_bytes = &sink->counts.data_bytes,
		.archive_bytes = &sink->counts.written_bytes,
	};
	int result;

	watcher_begin(watcher, &view);
	result = sink_run(sink, feed, err);
	if (result == 0)
		result = sink_finish(sink, err);
	watcher_end(watcher, result == 0);
	return result;
}
