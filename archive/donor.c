#include "archive/donor.h"

#include "cli/memory.h"
#include "base/name.h"
#include "archive/select.h"
#include "drive/argument.h"
#include "base/watcher.h"
#include "archive/source.h"

#include "drive/drive.h"

#include <stdlib.h>
#include <string.h>

struct donor {
	const char *argument; /* borrowed */
	struct drive *image;  /* or NULL: an archive */
	char *copy;	      /* owned: the argument taken apart */
	uint32_t drive;	      /* of the damaged archive, that the image is for */
	struct source source; /* an archive */
	uint32_t *drives;     /* owned: which of the damaged archive each of its drives is, + 1 */
};

struct donors {
	const struct archive_drive **by_name; /* owned: drives of the damaged archive, sorted */
	uint32_t n_by_name;
	uint32_t n;
	struct donor *items;
	uint8_t cluster[CLUSTER_SIZE];
	struct section extent;
	uint8_t stored[PAYLOAD_SIZE_MAX], raw[PAYLOAD_SIZE_MAX];
};

static int open_image(struct donor *donor, const char *argument, const struct archive *archive,
		      struct error *err)
{
	struct drive_argument image = {0};
	struct drive_options how = {.allow_writers = true, .damaged_too = true};
	const char *path = NULL;
	char *named;
	int result;

	if (drive_selection_parse(argument, archive, &donor->drive, &path, err) < 0)
		return err->code;
	named = memory_text("image=%s", path);
	result = drive_argument_parse(named, &image, err);
	free(named);
	if (result < 0)
		return result;
	donor->copy = image.copy;
	how.format = image.format;
	return drive_open(&donor->image, image.path, &how, err);
}

int donors_open(struct donors **out, const struct rescue *rescue, const struct strings *arguments,
		struct error *err)
{
	struct donors *donors = *out = memory_new(1, sizeof(*donors));

	donors->items = memory_new(arguments->n, sizeof(*donors->items));
	for (; donors->n < arguments->n; donors->n++) {
		const char *argument = arguments->items[donors->n];
		struct donor *donor = &donors->items[donors->n];
		int result;

		donor->argument = argument;
		if (strcmp(argument, "-") == 0)
			result = fail(err, ERR_USAGE, "--donor: cannot be standard input");
		else if (name_prefix(argument) > 0)
			result = open_image(donor, argument, rescue->archive, err);
		else
			result = source_open(&donor->source, argument, 0, err);
		if (result < 0) {
			donors->n++;
			/* A place in it is not one in the archive that is salvaged. */
			err->has_place = false;
			return result;
		}
	}
	return 0;
}

void donors_close(struct donors *donors)
{
	if (donors == NULL)
		return;
	for (uint32_t i = 0; i < donors->n; i++) {
		if (donors->items[i].image != NULL)
			drive_close(donors->items[i].image);
		source_close(&donors->items[i].source);
		free(donors->items[i].copy);
		free(donors->items[i].drives);
	}
	free(donors->items);
	free(donors->by_name);
	free(donors);
}

/* Takes the cluster if it is the one wanted. */
static int offer(struct rescue *rescue, const struct wanted *wanted, const uint8_t *cluster,
		 struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];

	checksum_cluster(rescue->archive->cluster_checksum, cluster, sum);
	if (memcmp(sum, wanted->checksum, CHECKSUM_SIZE) != 0)
		return 0;
	return rescue_give(rescue, wanted, cluster, err);
}

/* *failed: the donor's fault; err: ours. */
static int ask_image(struct donors *donors, struct donor *donor, struct rescue *rescue,
		     struct error *failed, struct error *err)
{
	uint64_t size = drive_size(donor->image);
	uint64_t needed = rescue->archive->drives[donor->drive].size_bytes;

	size = size < needed ? size : needed;
	for (uint32_t i = 0; i < rescue->n_wanted; i++) {
		const struct wanted *wanted = &rescue->wanted[i];
		uint64_t offset = wanted->cluster * CLUSTER_SIZE, n;

		if (wanted->drive != donor->drive || offset >= size)
			continue;
		n = size - offset < CLUSTER_SIZE ? size - offset : CLUSTER_SIZE;
		memset(donors->cluster, 0, CLUSTER_SIZE);
		if (drive_read(donor->image, offset, donors->cluster, (size_t)n, failed) < 0)
			return 0;
		if (offer(rescue, wanted, donors->cluster, err) < 0)
			return err->code;
	}
	return 0;
}

static int compare_texts(struct text a, struct text b)
{
	int order = memcmp(a.bytes, b.bytes, a.length < b.length ? a.length : b.length);

	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_drives(const void *left, const void *right)
{
	const struct archive_drive *a = *(const struct archive_drive *const *)left;
	const struct archive_drive *b = *(const struct archive_drive *const *)right;
	int order = compare_texts(a->name, b->name);

	return order != 0 ? order : (a > b) - (a < b);
}

/* Both archives may have very many drives. */
static void sort_drives(struct donors *donors, const struct rescue *rescue)
{
	const struct archive *archive = rescue->archive;

	donors->by_name = memory_new(archive->n_drives, sizeof(*donors->by_name));
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (rescue->drives[i].target != NULL)
			donors->by_name[donors->n_by_name++] = &archive->drives[i];
	}
	qsort(donors->by_name, donors->n_by_name, sizeof(*donors->by_name), compare_drives);
}

/* The first drive of the damaged archive that has the name of this one of the donor; its number of
 * drives when there is none. */
static uint32_t drive_of(const struct donors *donors, const struct rescue *rescue,
			 struct donor *donor, uint32_t drive)
{
	struct text name = donor->source.archive->drives[drive].name;
	uint32_t first = 0, end = donors->n_by_name, n_all = rescue->archive->n_drives;
	bool found;

	if (donor->drives[drive] != 0)
		return donor->drives[drive] - 1;
	while (first < end) {
		uint32_t middle = first + (end - first) / 2;

		if (compare_texts(donors->by_name[middle]->name, name) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	found = first < donors->n_by_name && compare_texts(donors->by_name[first]->name, name) == 0;
	donor->drives[drive] =
		1 + (found ? (uint32_t)(donors->by_name[first] - rescue->archive->drives) : n_all);
	return donor->drives[drive] - 1;
}

/* The clusters of an extent that are wanted; its payload is opened for the first of them. */
static int ask_extent(struct donors *donors, struct donor *donor, struct rescue *rescue,
		      struct error *failed, struct error *err)
{
	const struct archive *archive = donor->source.archive;
	const struct section *extent = &donors->extent;
	const uint8_t *blocks = NULL, *cluster;
	size_t at = 0;

	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		size_t size = (size_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
		uint32_t drive = drive_of(donors, rescue, donor, slot->drive);
		const struct wanted *wanted =
			slot->mask == 0 ? NULL : rescue_find_wanted(rescue, drive, slot->cluster);

		if (wanted != NULL) {
			if (blocks == NULL && extent_open(archive, extent, donors->stored,
							  donors->raw, &blocks, failed) < 0)
				return 0;
			if (extent_cluster(archive, extent, i, blocks + at, donors->cluster,
					   &cluster, failed) < 0)
				return 0;
			if (offer(rescue, wanted, cluster, err) < 0)
				return err->code;
		}
		at += size;
	}
	return 0;
}

static int ask_archive(struct donors *donors, struct donor *donor, struct rescue *rescue,
		       struct error *failed, struct error *err)
{
	donor->drives = memory_new(donor->source.archive->n_drives, sizeof(*donor->drives));
	while (failed->code == 0) {
		int got =
			reader_next(donor->source.reader, &donors->extent, donors->stored, failed);
		if (got <= 0)
			return 0;
		if (ask_extent(donors, donor, rescue, failed, err) < 0)
			return err->code;
	}
	return 0;
}

int donors_ask(struct donors *donors, struct rescue *rescue, const struct watcher *watcher,
	       struct error *err)
{
	rescue_sort_wanted(rescue);
	sort_drives(donors, rescue);
	if (rescue->n_unwanted > 0)
		watcher_warn(watcher,
			       "%llu more lost clusters were not asked of donors: at most %u are",
			       (unsigned long long)rescue->n_unwanted, WANTED_MAX);
	for (uint32_t i = 0; i < donors->n && rescue->n_wanted > 0; i++) {
		struct donor *donor = &donors->items[i];
		struct error failed = {0};
		int result = donor->image != NULL
				     ? ask_image(donors, donor, rescue, &failed, err)
				     : ask_archive(donors, donor, rescue, &failed, err);
		if (result < 0)
			return result;
		if (donor->image != NULL && drive_warning(donor->image) != NULL)
			watcher_warn(watcher, "donor %s: %s", donor->argument,
				       drive_warning(donor->image));
		if (failed.code != 0)
			watcher_warn(watcher, "donor %s: not used to its end: %s", donor->argument,
				       failed.text);
	}
	return 0;
}
