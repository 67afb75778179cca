#include "archive/donor.h"

#include "base/command.h"
#include "base/name.h"
#include "archive/select.h"
#include "drive/argument.h"
#include "base/watcher.h"
#include "archive/open.h"

#include "drive/drive.h"

#include <stdlib.h>
#include <string.h>

struct donor {
	const char *argument;	      /* borrowed */
	struct drive *image;	      /* or NULL: an archive */
	char *copy;		      /* owned: the texts of the parsed argument */
	uint32_t drive;		      /* of the damaged archive, that the image is for */
	struct opened_archive opened; /* an archive */
	uint32_t *drives; /* owned: for each of its drives, that of the damaged archive + 1 */
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

/* Sorts the drives by name, as both archives may have very many. */
static void sort_drives(struct donors *donors, const struct recovery *recovery)
{
	const struct archive *archive = recovery->archive;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		if (recovery->drives[i].target != NULL)
			donors->by_name[donors->n_by_name++] = &archive->drives[i];
	}
	qsort(donors->by_name, donors->n_by_name, sizeof(*donors->by_name), compare_drives);
}

static int open_image(struct donor *donor, const struct archive *archive, struct error *err)
{
	struct drive_argument image = {0};
	struct drive_options how = {.allow_writers = true, .damaged_too = true};
	const char *path = NULL;
	char *named;
	int code;

	if (select_drive(donor->argument, archive, &donor->drive, &path, err) < 0) {
		error_prefix(err, "--donor");
		return err->code;
	}
	named = text_make("image=%s", path);
	if (named == NULL)
		return fail_memory(err);
	code = drive_argument_parse(named, &image, err);
	free(named);
	if (code < 0)
		return code;
	donor->copy = image.copy;
	TRY(drive_suffix_check_plain(&image.suffix, path, err));
	how.format = image.suffix.format;
	how.secret = image.suffix.secret;
	return drive_open(&donor->image, image.path, &how, err);
}

static int open_archive(struct donor *donor, struct error *err)
{
	TRY(archive_open(&donor->opened, donor->argument, 0, err));
	donor->drives = calloc((size_t)donor->opened.archive->n_drives + 1, sizeof(*donor->drives));
	return donor->drives == NULL ? fail_memory(err) : 0;
}

static int open_donor(struct donor *donor, const struct archive *archive, struct error *err)
{
	int code;

	if (strcmp(donor->argument, "-") == 0 || command_of(donor->argument) != NULL)
		code = fail(err, ERR_USAGE, "--donor: cannot be standard input or a command");
	else if (name_prefix(donor->argument) > 0)
		code = open_image(donor, archive, err);
	else
		code = open_archive(donor, err);
	/* A place in a donor is not one in the archive that is salvaged. */
	if (code < 0)
		err->has_place = false;
	return code;
}

int donors_open(struct donors **out, const struct recovery *recovery,
		const struct strings *arguments, struct error *err)
{
	const struct archive *archive = recovery->archive;
	struct donors *donors = *out = calloc(1, sizeof(*donors));

	if (donors == NULL)
		return fail_memory(err);
	donors->items = calloc(arguments->n, sizeof(*donors->items));
	donors->by_name = calloc((size_t)archive->n_drives + 1, sizeof(*donors->by_name));
	if (donors->items == NULL || donors->by_name == NULL)
		return fail_memory(err);
	while (donors->n < arguments->n) {
		struct donor *donor = &donors->items[donors->n];

		donor->argument = arguments->items[donors->n++];
		TRY(open_donor(donor, archive, err));
	}
	sort_drives(donors, recovery);
	return 0;
}

void donors_close(struct donors *donors)
{
	if (donors == NULL)
		return;
	for (uint32_t i = 0; i < donors->n; i++) {
		if (donors->items[i].image != NULL)
			drive_close(donors->items[i].image);
		archive_close(&donors->items[i].opened);
		free(donors->items[i].copy);
		free(donors->items[i].drives);
	}
	free(donors->items);
	free(donors->by_name);
	free(donors);
}

/* Writes the cluster if it has the checksum wanted. */
static int offer(struct recovery *recovery, const struct wanted *wanted, const uint8_t *cluster,
		 struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];

	checksum_cluster(recovery->archive->cluster_checksum, cluster, sum);
	if (memcmp(sum, wanted->checksum, CHECKSUM_SIZE) != 0)
		return 0;
	return recovery_give(recovery, wanted, cluster, err);
}

/* A fault of the donor goes to *failed, one of the targets to *err. */
static int ask_image(struct donors *donors, struct donor *donor, struct recovery *recovery,
		     struct error *failed, struct error *err)
{
	uint64_t size = drive_size(donor->image);
	uint64_t needed = recovery->archive->drives[donor->drive].size_bytes;

	size = size < needed ? size : needed;
	for (uint32_t i = 0; i < recovery->n_wanted; i++) {
		const struct wanted *wanted = &recovery->wanted[i];
		uint64_t offset = wanted->cluster * CLUSTER_SIZE, n;

		if (wanted->drive != donor->drive || offset >= size)
			continue;
		n = size - offset < CLUSTER_SIZE ? size - offset : CLUSTER_SIZE;
		memset(donors->cluster, 0, CLUSTER_SIZE);
		if (drive_read(donor->image, offset, donors->cluster, (size_t)n, failed) < 0)
			return 0;
		TRY(offer(recovery, wanted, donors->cluster, err));
	}
	return 0;
}

/* The first drive of the damaged archive with the name of this drive of the donor; without one, the
 * number of its drives. */
static uint32_t drive_of(const struct donors *donors, const struct recovery *recovery,
			 struct donor *donor, uint32_t drive)
{
	struct text name = donor->opened.archive->drives[drive].name;
	uint32_t first = 0, end = donors->n_by_name, n_all = recovery->archive->n_drives;
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
		1 +
		(found ? (uint32_t)(donors->by_name[first] - recovery->archive->drives) : n_all);
	return donor->drives[drive] - 1;
}

/* Offers the wanted clusters of an extent. Its payload is decoded when the first is found. */
static int ask_extent(struct donors *donors, struct donor *donor, struct recovery *recovery,
		      struct error *failed, struct error *err)
{
	const struct archive *archive = donor->opened.archive;
	const struct section *extent = &donors->extent;
	const uint8_t *blocks = NULL, *cluster;
	size_t at = 0;

	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		size_t size = (size_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
		uint32_t drive = drive_of(donors, recovery, donor, slot->drive);
		const struct wanted *wanted =
			slot->mask == 0 ? NULL
					: recovery_find_wanted(recovery, drive, slot->cluster);

		if (wanted != NULL) {
			if (blocks == NULL && extent_open(archive, extent, donors->stored,
							  donors->raw, &blocks, failed) < 0)
				return 0;
			if (extent_cluster(archive, extent, i, blocks + at, donors->cluster,
					   &cluster, failed) < 0)
				return 0;
			TRY(offer(recovery, wanted, cluster, err));
		}
		at += size;
	}
	return 0;
}

static int ask_archive(struct donors *donors, struct donor *donor, struct recovery *recovery,
		       struct error *failed, struct error *err)
{
	while (failed->code == 0) {
		if (reader_next(donor->opened.reader, &donors->extent, donors->stored, failed) <= 0)
			return 0;
		TRY(ask_extent(donors, donor, recovery, failed, err));
	}
	return 0;
}

static int ask(struct donors *donors, struct donor *donor, struct recovery *recovery,
	       const struct watcher *watcher, struct error *err)
{
	struct error failed = {0};

	if (donor->image != NULL)
		TRY(ask_image(donors, donor, recovery, &failed, err));
	else
		TRY(ask_archive(donors, donor, recovery, &failed, err));
	if (donor->image != NULL && drive_warning(donor->image) != NULL)
		watcher_warn(watcher, "donor %s: %s", donor->argument, drive_warning(donor->image));
	if (failed.code != 0)
		watcher_warn(watcher, "donor %s: used only in part: %s", donor->argument,
			     failed.text);
	return 0;
}

int donors_ask(struct donors *donors, struct recovery *recovery, const struct watcher *watcher,
	       struct error *err)
{
	recovery_sort_wanted(recovery);
	if (recovery->n_unwanted > 0)
		watcher_warn(watcher,
			     "donors were not asked for %llu more lost clusters: the limit is %u",
			     (unsigned long long)recovery->n_unwanted, WANTED_MAX);
	for (uint32_t i = 0; i < donors->n && recovery->n_wanted > 0; i++)
		TRY(ask(donors, &donors->items[i], recovery, watcher, err));
	return 0;
}
