#include "archive/recovery.h"

#include "archive/mapfile.h"

#include "base/place.h"

#include "drive/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- paths ---- */

static int check_new(const char *path, struct error *err)
{
	struct stat found;

	if (path != NULL && lstat(path, &found) == 0)
		return fail(err, ERR_USAGE, "%s: exists already; salvage overwrites nothing", path);
	return path != NULL ? place_check(path, err) : 0;
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

/* Sorts the names, as there may be very many. */
static int check_map_names(const struct recovery *recovery, struct error *err)
{
	const char **names = calloc((size_t)recovery->archive->n_drives + 1, sizeof(*names));
	uint32_t n = 0;
	int code = 0;

	if (names == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++) {
		if (recovery->drives[i].map_path != NULL)
			names[n++] = recovery->drives[i].map_path;
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (uint32_t i = 1; i < n && code == 0; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			code = fail(err, ERR_USAGE, "%s: two maps would have that name", names[i]);
	}
	free(names);
	return code;
}

/* The map of a single drive goes to path, or into it if it is a folder; maps of several go into a
 * folder, made if missing. */
static int plan_maps(struct recovery *recovery, const char *path, struct error *err)
{
	bool folder = recovery->plan.n_drives > 1 || is_folder(path), made;

	if (folder)
		TRY(place_make_folder(path, &made, err));
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++) {
		const char *drive = recovery->plan.drive_paths[i];
		const char *slash = drive == NULL ? NULL : strrchr(drive, '/');

		if (drive == NULL)
			continue;
		recovery->drives[i].map_path =
			folder ? text_make("%s/%s.map", path, slash == NULL ? drive : slash + 1)
			       : strdup(path);
		if (recovery->drives[i].map_path == NULL)
			return fail_memory(err);
		TRY(check_new(recovery->drives[i].map_path, err));
	}
	return check_map_names(recovery, err);
}

static int check_paths(struct recovery *recovery, const struct rescue_options *options,
		       struct error *err)
{
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++)
		TRY(check_new(recovery->plan.drive_paths[i], err));
	for (uint32_t i = 0; i < recovery->archive->n_configs; i++)
		TRY(check_new(recovery->plan.config_paths[i], err));
	return restore_plan_check(&recovery->plan, &options->restore, err);
}

int recovery_open(struct recovery *out, const struct archive *archive,
		  const struct rescue_options *options, const struct watcher *watcher,
		  struct error *err)
{
	*out = (struct recovery){
		.archive = archive,
		.drives = calloc((size_t)archive->n_drives + 1, sizeof(*out->drives)),
	};
	if (options->donors.n > 0)
		out->wanted = calloc(WANTED_MAX, sizeof(*out->wanted));
	if (out->drives == NULL || (options->donors.n > 0 && out->wanted == NULL))
		return fail_memory(err);
	TRY(restore_plan_make(&out->plan, archive, &options->restore, watcher, err));
	if (restore_plan_stream(&out->plan) != archive->n_drives)
		return fail(err, ERR_USAGE,
			    "-d NAME=-: a drive cannot be salvaged to standard output, as its "
			    "clusters are recovered in any order");
	return 0;
}

void recovery_leave_out_unseen(struct recovery *recovery)
{
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++) {
		if (recovery->archive->drives[i].size_bytes != 0)
			continue;
		recovery->plan.n_drives -= recovery->plan.drive_paths[i] != NULL;
		free(recovery->plan.drive_paths[i]);
		recovery->plan.drive_paths[i] = NULL;
	}
}

static int open_target(struct recovery *recovery, uint32_t i, bool sync, struct error *err)
{
	uint64_t size_bytes = recovery->archive->drives[i].size_bytes;
	const struct drive_suffix *suffix = &recovery->plan.suffixes[i];
	struct target_options how = {
		.sync = sync,
		.format = suffix->format,
		.image_options = suffix->image,
		.n_image_options = suffix->n_image,
	};
	struct recovery_drive *drive = &recovery->drives[i];

	cluster_map_open(&drive->map, clusters_of(size_bytes), recovery->archive);
	return target_open(&drive->target, recovery->plan.drive_paths[i], size_bytes, &how, err);
}

int recovery_open_targets(struct recovery *recovery, const struct rescue_options *options,
			  struct error *err)
{
	struct restore_plan *plan = &recovery->plan;

	TRY(restore_plan_make_folder(plan, &options->restore, err));
	TRY(check_paths(recovery, options, err));
	if (options->map != NULL)
		TRY(plan_maps(recovery, options->map, err));
	restore_plan_rules(plan, options->restore.directory, options->map);
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++) {
		if (plan->drive_paths[i] != NULL)
			TRY(open_target(recovery, i, !options->restore.no_sync, err));
	}
	return 0;
}

void recovery_close(struct recovery *recovery, bool done)
{
	if (recovery->archive == NULL)
		return;
	for (uint32_t i = 0; recovery->drives != NULL && i < recovery->archive->n_drives; i++) {
		target_close(recovery->drives[i].target);
		cluster_map_close(&recovery->drives[i].map);
		free(recovery->drives[i].map_path);
	}
	free(recovery->drives);
	free(recovery->wanted);
	restore_plan_close(&recovery->plan, done);
}

/* ---- clusters ---- */

/* Blocks that are not stored are zeros, as a new file is anyway. */
static int write_blocks(struct recovery *recovery, const struct slot *slot, const uint8_t *cluster,
			struct error *err)
{
	uint64_t offset = slot->cluster * CLUSTER_SIZE;
	uint64_t left = recovery->archive->drives[slot->drive].size_bytes - offset;

	for (uint32_t i = 0, n = 1; i < CLUSTER_BLOCKS; i += n, n = 1) {
		uint64_t at = i * BLOCK_SIZE, size;

		if ((slot->mask >> i & 1) == 0 || at >= left)
			continue;
		while (i + n < CLUSTER_BLOCKS && (slot->mask >> (i + n) & 1) != 0)
			n++;
		size = n * BLOCK_SIZE < left - at ? n * BLOCK_SIZE : left - at;
		TRY(target_write(recovery->drives[slot->drive].target, offset + at, cluster + at,
				 size, err));
	}
	return 0;
}

static void want(struct recovery *recovery, const struct slot *slot)
{
	struct wanted *wanted;

	if (recovery->wanted == NULL || recovery->archive->cluster_checksum == CLUSTER_UNPROTECTED)
		return;
	if (recovery->n_wanted == WANTED_MAX) {
		recovery->n_unwanted++;
		return;
	}
	wanted = &recovery->wanted[recovery->n_wanted++];
	*wanted = (struct wanted){.cluster = slot->cluster, .drive = slot->drive};
	memcpy(wanted->checksum, slot->checksum, CHECKSUM_SIZE);
}

static void count(struct recovery *recovery, const struct slot *slot)
{
	uint64_t size_bytes = recovery->archive->drives[slot->drive].size_bytes;
	uint64_t n = slot->n_clusters * CLUSTER_SIZE, left;

	left = size_bytes - slot->cluster * CLUSTER_SIZE;
	recovery->counts.covered_bytes += n < left ? n : left;
	recovery->counts.drive = slot->drive;
}

/* Of several copies of a cluster that prove good the first is taken. */
static int put(void *context, const struct slot *slot, enum salvage_state state,
	       const uint8_t *cluster, struct error *err)
{
	struct recovery *recovery = context;
	struct recovery_drive *drive = &recovery->drives[slot->drive];
	bool new;

	if (drive->target == NULL)
		return 0;
	new = !cluster_map_has(&drive->map, slot->cluster);
	if (state == SALVAGE_BAD && new)
		want(recovery, slot);
	if (cluster != NULL && new)
		TRY(write_blocks(recovery, slot, cluster, err));
	if (new &&state != SALVAGE_NAMED)
		count(recovery, slot);
	return new || cluster == NULL ? cluster_map_put(&drive->map, slot, state, err) : 0;
}

struct salvage_sink recovery_sink(struct recovery *recovery)
{
	return (struct salvage_sink){.context = recovery, .put = put};
}

/* ---- donors ---- */

static int compare_wanted(const void *left, const void *right)
{
	const struct wanted *a = left, *b = right;

	if (a->drive != b->drive)
		return a->drive < b->drive ? -1 : 1;
	return a->cluster < b->cluster ? -1 : a->cluster > b->cluster;
}

void recovery_sort_wanted(struct recovery *recovery)
{
	uint32_t n = 0;

	qsort(recovery->wanted, recovery->n_wanted, sizeof(*recovery->wanted), compare_wanted);
	for (uint32_t i = 0; i < recovery->n_wanted; i++) {
		const struct wanted *one = &recovery->wanted[i];

		if (cluster_map_has(&recovery->drives[one->drive].map, one->cluster) ||
		    (n > 0 && compare_wanted(&recovery->wanted[n - 1], one) == 0))
			continue;
		recovery->wanted[n++] = *one;
	}
	recovery->n_wanted = n;
}

struct wanted *recovery_find_wanted(const struct recovery *recovery, uint32_t drive,
				    uint64_t cluster)
{
	struct wanted key = {.cluster = cluster, .drive = drive};

	return bsearch(&key, recovery->wanted, recovery->n_wanted, sizeof(key), compare_wanted);
}

int recovery_give(struct recovery *recovery, const struct wanted *wanted, const uint8_t *cluster,
		  struct error *err)
{
	struct slot slot = {
		.cluster = wanted->cluster,
		.n_clusters = 1,
		.drive = wanted->drive,
		.mask = 0xffff,
	};
	struct recovery_drive *drive = &recovery->drives[wanted->drive];
	uint64_t left = recovery->archive->drives[wanted->drive].size_bytes -
			wanted->cluster * CLUSTER_SIZE;

	if (cluster_map_has(&drive->map, wanted->cluster))
		return 0;
	TRY(write_blocks(recovery, &slot, cluster, err));
	drive->donated_bytes += left < CLUSTER_SIZE ? left : CLUSTER_SIZE;
	return cluster_map_put(&drive->map, &slot, SALVAGE_GOOD, err);
}

/* ---- the end ---- */

void recovery_sum(const struct recovery *recovery, uint32_t drive, struct recovery_sums *out)
{
	const struct cluster_map *map = &recovery->drives[drive].map;
	uint64_t size_bytes = recovery->archive->drives[drive].size_bytes, cluster = 0, n;
	enum cluster_state state = CLUSTER_LOST;

	*out = (struct recovery_sums){0};
	while ((n = cluster_map_run(map, cluster, &state)) > 0) {
		uint64_t left = size_bytes - cluster * CLUSTER_SIZE;
		uint64_t size = n * CLUSTER_SIZE < left ? n * CLUSTER_SIZE : left;

		out->bytes[state] += size;
		out->n_lost += state == CLUSTER_LOST;
		cluster += n;
	}
}

bool recovery_next_lost(const struct recovery *recovery, uint32_t drive, uint64_t *offset,
			uint64_t *size)
{
	uint64_t size_bytes = recovery->archive->drives[drive].size_bytes;
	uint64_t cluster = clusters_of(*offset), n;
	enum cluster_state state = CLUSTER_LOST;

	while ((n = cluster_map_run(&recovery->drives[drive].map, cluster, &state)) > 0) {
		if (state == CLUSTER_LOST) {
			*offset = cluster * CLUSTER_SIZE;
			*size = n * CLUSTER_SIZE < size_bytes - *offset ? n * CLUSTER_SIZE
									: size_bytes - *offset;
			return true;
		}
		cluster += n;
	}
	return false;
}

static int put_configs(const struct recovery *recovery, const struct target_options *how,
		       struct error *err)
{
	for (uint32_t i = 0; i < recovery->archive->n_configs; i++) {
		struct text data = recovery->archive->configs[i].data;
		const char *path = recovery->plan.config_paths[i];

		if (path != NULL)
			TRY(target_put_file(path, data.bytes, data.length, how, err));
	}
	return 0;
}

int recovery_finish(struct recovery *recovery, const struct rescue_options *options,
		    struct error *err)
{
	struct target_options how = {.sync = !options->restore.no_sync};

	TRY(put_configs(recovery, &how, err));
	for (uint32_t i = 0; i < recovery->archive->n_drives; i++) {
		struct recovery_drive *drive = &recovery->drives[i];

		if (drive->target == NULL)
			continue;
		TRY(target_finish(drive->target, err));
		if (drive->map_path != NULL)
			TRY(mapfile_write(drive->map_path, &drive->map,
					  recovery->archive->drives[i].size_bytes, how.sync, err));
	}
	return 0;
}
