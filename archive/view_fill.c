#include "archive/view_fill.h"

#include "base/bytes.h"
#include "base/clusterset.h"
#include "base/io.h"
#include "base/watcher.h"
#include "reader/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct filled {
	uint64_t at;		  /* of its first byte in the file */
	struct cluster_set known; /* that were come to, and are in the file or zeros */
	struct cluster_set zeros;
};

struct view_fill {
	struct opened_archive *opened; /* borrowed */
	const struct watcher *watcher;
	const char *path; /* borrowed */
	int fd;
	struct section *section; /* owned: the thread's, as these */
	uint8_t *stored, *raw, *cluster;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;  /* guards the rest */
	pthread_cond_t wanted; /* somebody waits, or all ends */
	pthread_cond_t more;   /* more is known, or the archive has ended */
	struct filled *drives; /* owned */
	unsigned n_waiting;
	bool ends, ended;
};

static const struct archive *archive_of(const struct view_fill *fill)
{
	return fill->opened->archive;
}

/* ---- the thread ---- */

static void tell(const struct view_fill *fill, const struct error *err)
{
	watcher_warn(fill->watcher, "%s: byte %llu: %s; what lies there cannot be read",
		     fill->opened->name, (unsigned long long)(err->has_place ? err->place : 0),
		     err->text);
}

static int write_cluster(const struct view_fill *fill, const struct slot *slot,
			 const uint8_t *cluster, struct error *err)
{
	const struct filled *drive = &fill->drives[slot->drive];
	int sys = io_pwrite(fill->fd, cluster, CLUSTER_SIZE,
			    drive->at + slot->cluster * CLUSTER_SIZE, 0);

	return sys == 0 ? 0 : fail_system(err, sys, "%s: writing", fill->path);
}

static int know(struct view_fill *fill, const struct slot *slot, struct error *err)
{
	struct filled *drive = &fill->drives[slot->drive];
	int code;

	pthread_mutex_lock(&fill->lock);
	code = cluster_set_include(&drive->known, slot->cluster, slot->n_clusters, err);
	if (code == 0 && slot->mask == 0)
		code = cluster_set_include(&drive->zeros, slot->cluster, slot->n_clusters, err);
	pthread_mutex_unlock(&fill->lock);
	return code;
}

/* Clusters that are damaged do not become known. */
static int take_data(struct view_fill *fill, uint32_t number, const uint8_t *blocks,
		     struct error *err)
{
	const struct slot *slot = &fill->section->slots[number];
	const uint8_t *cluster;
	struct error why = {0};

	if (extent_cluster(archive_of(fill), fill->section, number, blocks, fill->cluster, &cluster,
			   &why) != 0) {
		tell(fill, &why);
		return 0;
	}
	TRY(write_cluster(fill, slot, cluster, err));
	return know(fill, slot, err);
}

static int take_extent(struct view_fill *fill, struct error *err)
{
	const uint8_t *blocks = NULL;
	struct error why = {0};
	bool good = extent_open(archive_of(fill), fill->section, fill->stored, fill->raw, &blocks,
				&why) == 0;

	if (!good)
		tell(fill, &why);
	for (uint32_t i = 0; i < fill->section->n_slots; i++) {
		const struct slot *slot = &fill->section->slots[i];

		if (slot->mask == 0) {
			TRY(know(fill, slot, err));
			continue;
		}
		if (good)
			TRY(take_data(fill, i, blocks, err));
		if (good)
			blocks += (size_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
	}
	return 0;
}

/* False: all ends. */
static bool wait_for_wish(struct view_fill *fill)
{
	bool ends;

	pthread_mutex_lock(&fill->lock);
	pthread_cond_broadcast(&fill->more);
	while (fill->n_waiting == 0 && !fill->ends)
		pthread_cond_wait(&fill->wanted, &fill->lock);
	ends = fill->ends;
	pthread_mutex_unlock(&fill->lock);
	return !ends;
}

static void *read_archive(void *context)
{
	struct view_fill *fill = context;
	struct error err = {0};
	int got = 1;

	while (got > 0 && wait_for_wish(fill)) {
		got = reader_next(fill->opened->reader, fill->section, fill->stored, &err);
		if (got > 0 && take_extent(fill, &err) != 0)
			got = err.code;
	}
	if (got < 0)
		tell(fill, &err);
	pthread_mutex_lock(&fill->lock);
	fill->ended = true;
	pthread_cond_broadcast(&fill->more);
	pthread_mutex_unlock(&fill->lock);
	return NULL;
}

/* ---- opening ---- */

static int make_file(struct view_fill *fill, uint64_t size, struct error *err)
{
	fill->fd = open(fill->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fill->fd < 0)
		return fail_system(err, errno, "%s", fill->path);
	unlink(fill->path);
	if (ftruncate(fill->fd, (off_t)size) != 0)
		return fail_system(err, errno, "%s: making it %llu bytes long", fill->path,
				   (unsigned long long)size);
	return 0;
}

static int set_up(struct view_fill *fill, struct error *err)
{
	const struct archive *archive = archive_of(fill);
	uint64_t at = 0;
	int sys;

	fill->drives = calloc((size_t)archive->n_drives + 1, sizeof(*fill->drives));
	fill->section = calloc(1, sizeof(*fill->section));
	fill->stored = malloc(PAYLOAD_SIZE_MAX);
	fill->raw = malloc(PAYLOAD_SIZE_MAX);
	fill->cluster = malloc(CLUSTER_SIZE);
	if (fill->drives == NULL || fill->section == NULL || fill->stored == NULL ||
	    fill->raw == NULL || fill->cluster == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint64_t n = clusters_of(archive->drives[i].size_bytes);

		if (n > (INT64_MAX - at) / CLUSTER_SIZE)
			return fail(err, ERR_UNSUPPORTED, "%s: its drives are too large for a file",
				    fill->opened->name);
		fill->drives[i].at = at;
		at += n * CLUSTER_SIZE;
	}
	TRY(make_file(fill, at, err));
	sys = pthread_create(&fill->thread, NULL, read_archive, fill);
	fill->started = sys == 0;
	return sys == 0 ? 0 : fail_start(err, sys, "cannot start a thread");
}

int view_fill_open(struct view_fill **out, struct opened_archive *opened, const char *path,
		   const struct watcher *watcher, struct error *err)
{
	struct view_fill *fill = calloc(1, sizeof(*fill));
	int code;

	if (fill == NULL)
		return fail_memory(err);
	fill->opened = opened;
	fill->watcher = watcher;
	fill->path = path;
	fill->fd = -1;
	pthread_mutex_init(&fill->lock, NULL);
	pthread_cond_init(&fill->wanted, NULL);
	pthread_cond_init(&fill->more, NULL);
	code = set_up(fill, err);
	if (code == 0)
		*out = fill;
	else
		view_fill_close(fill);
	return code;
}

static void free_drives(struct view_fill *fill)
{
	for (uint32_t i = 0; fill->drives != NULL && i < archive_of(fill)->n_drives; i++) {
		cluster_set_free(&fill->drives[i].known);
		cluster_set_free(&fill->drives[i].zeros);
	}
	free(fill->drives);
}

void view_fill_close(struct view_fill *fill)
{
	if (fill == NULL)
		return;
	pthread_mutex_lock(&fill->lock);
	fill->ends = true;
	pthread_cond_broadcast(&fill->wanted);
	pthread_mutex_unlock(&fill->lock);
	if (fill->started)
		pthread_join(fill->thread, NULL);
	if (fill->fd >= 0)
		close(fill->fd);
	free_drives(fill);
	free(fill->section);
	free(fill->stored);
	free(fill->raw);
	free(fill->cluster);
	pthread_cond_destroy(&fill->wanted);
	pthread_cond_destroy(&fill->more);
	pthread_mutex_destroy(&fill->lock);
	free(fill);
}

/* ---- reading ---- */

static bool is_known_locked(const struct view_fill *fill, uint32_t drive, uint64_t begin,
			    uint64_t n)
{
	bool in;

	return cluster_set_run(&fill->drives[drive].known, begin, n, &in) == n && in;
}

int view_fill_read(struct view_fill *fill, uint32_t drive, uint64_t offset, void *to, size_t n,
		   bool now)
{
	uint64_t begin = offset / CLUSTER_SIZE, end = clusters_of(offset + n);
	bool known;

	if (n == 0)
		return 0;
	pthread_mutex_lock(&fill->lock);
	fill->n_waiting++;
	while (!(known = is_known_locked(fill, drive, begin, end - begin)) && !fill->ended &&
	       !now) {
		pthread_cond_signal(&fill->wanted);
		pthread_cond_wait(&fill->more, &fill->lock);
	}
	fill->n_waiting--;
	pthread_mutex_unlock(&fill->lock);
	if (!known)
		return now ? EAGAIN : EIO;
	return io_pread(fill->fd, to, n, fill->drives[drive].at + offset, NULL);
}

int view_fill_status(struct view_fill *fill, uint32_t drive, uint64_t offset, uint64_t *n,
		     bool *zero)
{
	uint64_t size = archive_of(fill)->drives[drive].size_bytes, cluster = offset / CLUSTER_SIZE;
	uint64_t run;

	pthread_mutex_lock(&fill->lock);
	run = cluster_set_run(&fill->drives[drive].zeros, cluster, clusters_of(size) - cluster,
			      zero);
	pthread_mutex_unlock(&fill->lock);
	*n = least((cluster + run) * CLUSTER_SIZE, size) - offset;
	return 0;
}
