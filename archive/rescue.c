#include "archive/rescue.h"

#include "cli/memory.h"
#include "archive/mapfile.h"

#include "base/place.h"
#include "base/stop.h"

#include "drive/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- where things go ---- */

static int check_new(const char *path, struct error *err)
{
	struct stat found;

	if (path != NULL && lstat(path, &found) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; salvage overwrites nothing", path);
	return path != NULL ? place_check(path, err) : 0;
}

/* *made: it was not there. */
static int make_folder(const char *path, bool *made, struct error *err)
{
	struct stat found;

	if (lstat(path, &found) < 0 && place_check(path, err) < 0)
		return err->code;
	*made = mkdir(path, 0700) == 0;
	if (*made)
		return 0;
	if (errno == EEXIST && stat(path, &found) == 0 && !S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is not a folder", path);
	return errno == EEXIST ? 0 : fail_system(err, errno, "%s", path);
}

static bool is_folder(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorted: there may be very many. */
static int check_map_names(const struct rescue *rescue, struct error *err)
{
	const char **names = memory_new(rescue->archive->n_drives, sizeof(*names));
	uint32_t n = 0;
	int result = 0;

	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (rescue->drives[i].map_path != NULL)
			names[n++] = rescue->drives[i].map_path;
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (uint32_t i = 1; i < n && result == 0; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			result = fail(err, ERR_USAGE, "%s: two maps of that name", names[i]);
	}
	free(names);
	return result;
}

/* With one drive a file, unless it is a folder; with several a folder, made if missing. */
static int plan_maps(struct rescue *rescue, const char *path, struct error *err)
{
	bool folder = rescue->plan.n_drives > 1 || is_folder(path), made;

	if (folder && make_folder(path, &made, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		const char *drive = rescue->plan.drive_paths[i];
		const char *slash = drive == NULL ? NULL : strrchr(drive, '/');

		if (drive == NULL)
			continue;
		rescue->drives[i].map_path =
			folder ? memory_text("%s/%s.map", path, slash == NULL ? drive : slash + 1)
			       : memory_text("%s", path);
		if (check_new(rescue->drives[i].map_path, err) < 0)
			return err->code;
	}
	return check_map_names(rescue, err);
}

static int check_paths(struct rescue *rescue, const struct rescue_options *options, struct error *err)
{
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (check_new(rescue->plan.drive_paths[i], err) < 0)
			return err->code;
	}
	for (uint32_t i = 0; i < rescue->archive->n_configs; i++) {
		if (check_new(rescue->plan.config_paths[i], err) < 0)
			return err->code;
	}
	return restore_plan_check(&rescue->plan, &options->restore, err);
}

static void leave_out_unseen(struct rescue *rescue)
{
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		if (rescue->archive->drives[i].size_bytes != 0)
			continue;
		rescue->plan.n_drives -= rescue->plan.drive_paths[i] != NULL;
		free(rescue->plan.drive_paths[i]);
		rescue->plan.drive_paths[i] = NULL;
	}
}

static int open_drives(struct rescue *rescue, const struct rescue_options *options, struct error *err)
{
	struct target_options how = {.sync = !options->restore.no_sync};

	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		uint64_t size_bytes = rescue->archive->drives[i].size_bytes;
		const char *path = rescue->plan.drive_paths[i];

		if (path == NULL)
			continue;
		how.format = rescue->plan.drive_formats[i];
		cluster_map_open(&rescue->drives[i].map, clusters_of(size_bytes), rescue->archive);
		if (target_open(&rescue->drives[i].target, path, size_bytes, &how, err) < 0)
			return err->code;
	}
	return 0;
}

int rescue_open(struct rescue *out, const struct archive *archive, bool made_drives,
		const struct rescue_options *options, const struct watcher *watcher, struct error *err)
{
	bool made = false;

	*out = (struct rescue){
		.archive = archive,
		.drives = memory_new(archive->n_drives, sizeof(*out->drives)),
	};
	if (options->donors.n > 0)
		out->wanted = memory_new(WANTED_MAX, sizeof(*out->wanted));
	if (restore_plan_make(&out->plan, archive, &options->restore, watcher, err) < 0)
		return err->code;
	if (made_drives)
		leave_out_unseen(out);
	if (out->plan.in_directory && make_folder(options->restore.directory, &made, err) < 0)
		return err->code;
	if (made) {
		out->made_folder = options->restore.directory;
		stop_guard_folder(out->made_folder);
	}
	if (check_paths(out, options, err) < 0 ||
	    (options->map != NULL && plan_maps(out, options->map, err) < 0))
		return err->code;
	restore_plan_rules(&out->plan, options->restore.directory, options->map);
	return open_drives(out, options, err);
}

void rescue_close(struct rescue *rescue, bool done)
{
	for (uint32_t i = 0; rescue->archive != NULL && i < rescue->archive->n_drives; i++) {
		target_close(rescue->drives[i].target);
		cluster_map_close(&rescue->drives[i].map);
		free(rescue->drives[i].map_path);
	}
	stop_guard_folder(NULL);
	if (!done && rescue->made_folder != NULL)
		rmdir(rescue->made_folder);
	free(rescue->drives);
	free(rescue->wanted);
	restore_plan_free(&rescue->plan);
}

/* ---- clusters ---- */

/* Blocks that are not stored are zeros, and a new file has those already. */
static int write_blocks(struct rescue *rescue, const struct slot *slot, const uint8_t *cluster,
			struct error *err)
{
	uint64_t offset = slot->cluster * CLUSTER_SIZE;
	uint64_t left = rescue->archive->drives[slot->drive].size_bytes - offset;

	for (uint32_t i = 0, n = 1; i < CLUSTER_BLOCKS; i += n, n = 1) {
		uint64_t at = i * BLOCK_SIZE, size;

		if ((slot->mask >> i & 1) == 0 || at >= left)
			continue;
		while (i + n < CLUSTER_BLOCKS && (slot->mask >> (i + n) & 1) != 0)
			n++;
		size = n * BLOCK_SIZE < left - at ? n * BLOCK_SIZE : left - at;
		if (target_write(rescue->drives[slot->drive].target, offset + at, cluster + at,
				 size, err) < 0)
			return err->code;
	}
	return 0;
}

static void want(struct rescue *rescue, const struct slot *slot)
{
	struct wanted *wanted;

	if (rescue->wanted == NULL || rescue->archive->cluster_checksum == CLUSTER_UNPROTECTED)
		return;
	if (rescue->n_wanted == WANTED_MAX) {
		rescue->n_unwanted++;
		return;
	}
	wanted = &rescue->wanted[rescue->n_wanted++];
	*wanted = (struct wanted){.cluster = slot->cluster, .drive = slot->drive};
	memcpy(wanted->checksum, slot->checksum, CHECKSUM_SIZE);
}

static void count(struct rescue *rescue, const struct slot *slot)
{
	uint64_t size_bytes = rescue->archive->drives[slot->drive].size_bytes;
	uint64_t n = slot->n_clusters * CLUSTER_SIZE, left;

	left = size_bytes - slot->cluster * CLUSTER_SIZE;
	rescue->counts.covered_bytes += n < left ? n : left;
	if (slot->mask != 0)
		rescue->counts.data_bytes += n < left ? n : left;
}

/* The first of several that prove good is the one. */
static int put(void *context, const struct slot *slot, enum salvage_state state,
	       const uint8_t *cluster, struct error *err)
{
	struct rescue *rescue = context;
	struct rescue_drive *drive = &rescue->drives[slot->drive];
	bool new;

	if (drive->target == NULL)
		return 0;
	new = !cluster_map_has(&drive->map, slot->cluster);
	if (state == SALVAGE_BAD && new)
		want(rescue, slot);
	if (cluster != NULL && new &&write_blocks(rescue, slot, cluster, err) < 0)
		return err->code;
	if (new &&state != SALVAGE_NAMED)
		count(rescue, slot);
	return new || cluster == NULL ? cluster_map_put(&drive->map, slot, state, err) : 0;
}

struct salvage_sink rescue_sink(struct rescue *rescue)
{
	return (struct salvage_sink){.context = rescue, .put = put};
}

/* ---- donors ---- */

static int compare_wanted(const void *left, const void *right)
{
	const struct wanted *a = left, *b = right;

	if (a->drive != b->drive)
		return a->drive < b->drive ? -1 : 1;
	return a->cluster < b->cluster ? -1 : a->cluster > b->cluster;
}

void rescue_sort_wanted(struct rescue *rescue)
{
	uint32_t n = 0;

	qsort(rescue->wanted, rescue->n_wanted, sizeof(*rescue->wanted), compare_wanted);
	for (uint32_t i = 0; i < rescue->n_wanted; i++) {
		const struct wanted *one = &rescue->wanted[i];

		if (cluster_map_has(&rescue->drives[one->drive].map, one->cluster) ||
		    (n > 0 && compare_wanted(&rescue->wanted[n - 1], one) == 0))
			continue;
		rescue->wanted[n++] = *one;
	}
	rescue->n_wanted = n;
}

struct wanted *rescue_find_wanted(const struct rescue *rescue, uint32_t drive, uint64_t cluster)
{
	struct wanted key = {.cluster = cluster, .drive = drive};

	return bsearch(&key, rescue->wanted, rescue->n_wanted, sizeof(key), compare_wanted);
}

int rescue_give(struct rescue *rescue, const struct wanted *wanted, const uint8_t *cluster,
		struct error *err)
{
	struct slot slot = {
		.cluster = wanted->cluster,
		.n_clusters = 1,
		.drive = wanted->drive,
		.mask = 0xffff,
	};
	struct rescue_drive *drive = &rescue->drives[wanted->drive];
	uint64_t left =
		rescue->archive->drives[wanted->drive].size_bytes - wanted->cluster * CLUSTER_SIZE;

	if (cluster_map_has(&drive->map, wanted->cluster))
		return 0;
	if (write_blocks(rescue, &slot, cluster, err) < 0)
		return err->code;
	drive->donated_bytes += left < CLUSTER_SIZE ? left : CLUSTER_SIZE;
	return cluster_map_put(&drive->map, &slot, SALVAGE_GOOD, err);
}

/* ---- the end ---- */

void rescue_sum(const struct rescue *rescue, uint32_t drive, struct rescue_sums *out)
{
	const struct cluster_map *map = &rescue->drives[drive].map;
	uint64_t size_bytes = rescue->archive->drives[drive].size_bytes, cluster = 0, n;
	enum cluster_state state = CLUSTER_LOST;

	*out = (struct rescue_sums){0};
	while ((n = cluster_map_run(map, cluster, &state)) > 0) {
		uint64_t left = size_bytes - cluster * CLUSTER_SIZE;
		uint64_t size = n * CLUSTER_SIZE < left ? n * CLUSTER_SIZE : left;

		out->bytes[state] += size;
		out->n_lost += state == CLUSTER_LOST;
		cluster += n;
	}
}

static int put_configs(const struct rescue *rescue, const struct target_options *how,
		       struct error *err)
{
	for (uint32_t i = 0; i < rescue->archive->n_configs; i++) {
		struct text data = rescue->archive->configs[i].data;
		const char *path = rescue->plan.config_paths[i];

		if (path != NULL && target_put_file(path, data.bytes, data.length, how, err) < 0)
			return err->code;
	}
	return 0;
}

int rescue_finish(struct rescue *rescue, const struct rescue_options *options, struct error *err)
{
	struct target_options how = {.sync = !options->restore.no_sync};

	if (put_configs(rescue, &how, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < rescue->archive->n_drives; i++) {
		struct rescue_drive *drive = &rescue->drives[i];

		if (drive->target == NULL)
			continue;
		if (target_finish(drive->target, err) < 0 ||
		    (drive->map_path != NULL &&
		     ddrescue_map_write(drive->map_path, &drive->map,
					rescue->archive->drives[i].size_bytes, how.sync, err) < 0))
			return err->code;
	}
	return 0;
}
