/*
 * The kernel tells in which blocks of the storage a file lies (FIEMAP). While two files hold the
 * same block, neither can be written in place, so equal addresses are equal data. This is so only
 *
 *	with FIEMAP_FLAG_SYNC   what is in the page cache alone has no address yet
 *	if both files are kept  the blocks of a removed one are used again
 *	for whole blocks        the address of a compressed or packed part is that of what it is in
 *	if both say "shared"    addresses of two devices of one file system may be equal
 *
 * and whatever else is told counts as changed.
 */
#include "archive/changes_reflink.h"

#include "archive/marks.h"
#include "base/io.h"
#include "drive/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define EXTENTS 256u /* asked for in one go */
#define OPAQUE                                                                                  \
	(FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |               \
	 FIEMAP_EXTENT_DATA_ENCRYPTED | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE | \
	 FIEMAP_EXTENT_DATA_TAIL)

struct side {
	const char *path; /* borrowed */
	int fd;
	struct stat opened;
	struct fiemap *map; /* owned: of EXTENTS */
	unsigned next;	    /* the first extent of the map that is of interest */
	bool asked;
};

enum kind { KIND_HOLE, KIND_SHARED, KIND_OTHER };

struct part {
	enum kind kind;
	uint64_t address; /* KIND_SHARED */
	uint64_t end;	  /* in the file */
};

static int open_side(struct side *side, struct error *err)
{
	struct statfs where;

	side->fd = open(side->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (side->fd < 0 || fstat(side->fd, &side->opened) != 0 || fstatfs(side->fd, &where) != 0)
		return fail_system(err, errno, "%s", side->path);
	if (!S_ISREG(side->opened.st_mode))
		return fail(err, ERR_USAGE, "%s: is not a file, so it has no reflinks", side->path);
	if (where.f_type != XFS_SUPER_MAGIC && where.f_type != BTRFS_SUPER_MAGIC)
		return fail(err, ERR_USAGE,
			    "%s: is not on xfs or btrfs: only these tell what two files share",
			    side->path);
	side->map = malloc(sizeof(*side->map) + EXTENTS * sizeof(struct fiemap_extent));
	return side->map != NULL ? 0 : fail_memory(err);
}

static void close_side(struct side *side)
{
	if (side->fd >= 0)
		close(side->fd);
	free(side->map);
}

/* Subvolumes of btrfs have device numbers of their own. */
static bool on_one_file_system(const struct side *a, const struct side *b)
{
	struct btrfs_ioctl_fs_info_args x = {0}, y = {0};

	if (a->opened.st_dev == b->opened.st_dev)
		return true;
	return ioctl(a->fd, BTRFS_IOC_FS_INFO, &x) == 0 &&
	       ioctl(b->fd, BTRFS_IOC_FS_INFO, &y) == 0 &&
	       memcmp(x.fsid, y.fsid, sizeof(x.fsid)) == 0;
}

static int check_pair(const struct side *now, const struct side *old, struct error *err)
{
	if (now->opened.st_dev == old->opened.st_dev && now->opened.st_ino == old->opened.st_ino)
		return fail(err, ERR_USAGE, "%s: is the same file as %s", old->path, now->path);
	if (!on_one_file_system(now, old))
		return fail(err, ERR_USAGE, "%s: is not on the same file system as %s", old->path,
			    now->path);
	return 0;
}

/* ---- extents ---- */

static int ask(struct side *side, uint64_t at, struct error *err)
{
	memset(side->map, 0, sizeof(*side->map));
	side->map->fm_start = at;
	side->map->fm_length = FIEMAP_MAX_OFFSET - at;
	side->map->fm_flags = FIEMAP_FLAG_SYNC;
	side->map->fm_extent_count = EXTENTS;
	side->next = 0;
	side->asked = true;
	if (ioctl(side->fd, FS_IOC_FIEMAP, side->map) != 0)
		return fail_system(err, errno, "%s: asking where it lies", side->path);
	return 0;
}

/* The extent that holds this byte, or else the next one; NULL: there is none. */
static int find_extent(struct side *side, uint64_t at, const struct fiemap_extent **out,
		       struct error *err)
{
	const struct fiemap_extent *extents = side->map->fm_extents;
	uint32_t n = side->asked ? side->map->fm_mapped_extents : 0;

	for (unsigned turn = 0; turn < 2; turn++) {
		for (; side->next < n; side->next++) {
			*out = &extents[side->next];
			if ((*out)->fe_length > at - least(at, (*out)->fe_logical))
				return 0;
		}
		*out = NULL;
		if (turn > 0 || (n > 0 && extents[n - 1].fe_flags & FIEMAP_EXTENT_LAST))
			return 0;
		TRY(ask(side, at, err));
		n = side->map->fm_mapped_extents;
	}
	return 0;
}

static int find_part(struct side *side, uint64_t at, uint64_t size_bytes, struct part *out,
		     struct error *err)
{
	const struct fiemap_extent *extent;

	TRY(find_extent(side, at, &extent, err));
	*out = (struct part){KIND_HOLE, 0, size_bytes};
	if (extent == NULL)
		return 0;
	if (extent->fe_logical > at) {
		out->end = extent->fe_logical;
		return 0;
	}
	out->end = extent->fe_logical + extent->fe_length;
	if (!(extent->fe_flags & OPAQUE) && (extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN))
		return 0;
	out->kind = KIND_OTHER;
	if ((extent->fe_flags & OPAQUE) || !(extent->fe_flags & FIEMAP_EXTENT_SHARED))
		return 0;
	out->kind = KIND_SHARED;
	out->address = extent->fe_physical + (at - extent->fe_logical);
	return 0;
}

static int compare(struct changes *out, struct side *now, struct side *old, struct error *err)
{
	uint64_t size_bytes = (uint64_t)now->opened.st_size;
	uint64_t both = least(size_bytes, (uint64_t)old->opened.st_size), end;
	struct marks marks = {.changes = out, .size_bytes = size_bytes};
	struct part a, b;

	for (uint64_t at = 0; at < both; at = end) {
		TRY(find_part(now, at, both, &a, err));
		TRY(find_part(old, at, both, &b, err));
		end = least(least(a.end, b.end), both);
		if (a.kind != b.kind || a.kind == KIND_OTHER || a.address != b.address)
			TRY(marks_add(&marks, at, end, err));
	}
	TRY(marks_add(&marks, both, size_bytes, err));
	return marks_end(&marks, err);
}

/* ---- tokens ---- */

int file_token(const char *path, char **out, struct error *err)
{
	struct statx found;

	if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &found) != 0)
		return fail_system(err, errno, "%s", path);
	*out = text_make("file:%" PRIu64 "/%lld.%09u/%" PRIu64 "/%lld.%09u",
			 (uint64_t)found.stx_ino, (long long)found.stx_btime.tv_sec,
			 found.stx_btime.tv_nsec, (uint64_t)found.stx_size,
			 (long long)found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec);
	return *out != NULL ? 0 : fail_memory(err);
}

/* ---- the whole ---- */

static int read_both(struct changes *out, struct side *now, struct side *old, struct error *err)
{
	TRY(open_side(now, err));
	TRY(open_side(old, err));
	TRY(check_pair(now, old, err));
	TRY(file_token(now->path, &out->until, err));
	TRY(file_token(old->path, &out->since, err));
	return compare(out, now, old, err);
}

int changes_of_reflink(struct changes *out, const char *path, const char *old, struct error *err)
{
	struct side sides[] = {{.path = path, .fd = -1}, {.path = old, .fd = -1}};
	const struct drive_options raw = {.format = "raw"};
	struct drive *drive;

	*out = (struct changes){0};
	/* For what it checks: that nobody writes to it, and in the end that nobody has. */
	TRY(drive_open(&drive, old, &raw, err));
	int code = read_both(out, &sides[0], &sides[1], err);
	if (code == 0 && drive_was_changed(drive))
		code = fail(err, ERR_SYSTEM, "%s: was written meanwhile", old);
	if (code != 0)
		changes_free(out);
	close_side(&sides[0]);
	close_side(&sides[1]);
	drive_close(drive);
	return code;
}
