#include "machine/qemu/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A qcow2, version 3, of clusters of 64 KiB: header, table of refcounts, one block of them, L1. */
#define QCOW2_CLUSTER	   65536u
#define QCOW2_L2_BYTES	   (UINT64_C(8192) * QCOW2_CLUSTER) /* of the drive, in one entry of L1 */
#define QCOW2_L1_MAX	   (UINT64_C(32) << 20)		    /* bytes; QEMU takes no more */
#define QCOW2_HEADER_BYTES 104u
#define FIXED_CLUSTERS	   3u
#define PAST_ALL	   (INT64_C(1) << 62)  /* an offset at which no file has data */
#define STEP_BYTES	   (SCRATCH_AHEAD / 8) /* less is not worth a call */

static void put_be(uint8_t *to, uint64_t value, unsigned n_bytes)
{
	for (unsigned i = n_bytes; i-- > 0; value >>= 8)
		to[i] = (uint8_t)value;
}

static void make_header(uint8_t header[QCOW2_CLUSTER], uint64_t size_bytes, uint64_t l1_size)
{
	memset(header, 0, QCOW2_CLUSTER);
	memcpy(header, "QFI\xfb", 4);
	put_be(header + 4, 3, 4);
	put_be(header + 20, 16, 4); /* cluster_bits */
	put_be(header + 24, size_bytes, 8);
	put_be(header + 36, l1_size, 4);
	put_be(header + 40, FIXED_CLUSTERS * QCOW2_CLUSTER, 8); /* L1 */
	put_be(header + 48, QCOW2_CLUSTER, 8);			/* refcounts */
	put_be(header + 56, 1, 4);				/* clusters of their table */
	put_be(header + 80, 1, 8); /* lazy refcounts: nobody will open it again */
	put_be(header + 96, 4, 4); /* refcounts of 16 bits */
	put_be(header + 100, QCOW2_HEADER_BYTES, 4);
}

static bool write_at(int fd, const uint8_t *bytes, uint64_t at)
{
	size_t done = 0;

	while (done < QCOW2_CLUSTER) {
		ssize_t n = pwrite(fd, bytes + done, QCOW2_CLUSTER - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_image(int fd, uint64_t size_bytes, uint64_t l1_size, uint64_t n_clusters)
{
	uint8_t cluster[QCOW2_CLUSTER];

	make_header(cluster, size_bytes, l1_size);
	if (!write_at(fd, cluster, 0))
		return false;
	memset(cluster, 0, sizeof(cluster));
	put_be(cluster, 2 * QCOW2_CLUSTER, 8);
	if (!write_at(fd, cluster, QCOW2_CLUSTER))
		return false;
	memset(cluster, 0, sizeof(cluster));
	for (uint64_t i = 0; i < n_clusters; i++)
		put_be(cluster + 2 * i, 1, 2);
	return write_at(fd, cluster, 2 * QCOW2_CLUSTER) &&
	       ftruncate(fd, (off_t)(n_clusters * QCOW2_CLUSTER)) == 0;
}

int scratch_make(struct scratch *out, char *path, uint64_t size_bytes, struct error *err)
{
	uint64_t l1_size = (size_bytes + QCOW2_L2_BYTES - 1) / QCOW2_L2_BYTES;
	uint64_t n_clusters = FIXED_CLUSTERS + (l1_size * 8 + QCOW2_CLUSTER - 1) / QCOW2_CLUSTER;

	*out = (struct scratch){.fd = -1, .path = path};
	if (l1_size * 8 > QCOW2_L1_MAX)
		return fail(err, ERR_UNSUPPORTED, "scratch image %.200s: the drive is too large",
			    path);
	out->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out->fd < 0)
		return fail_system(err, errno, "scratch image %.200s", path);
	out->named = true;
	if (!write_image(out->fd, size_bytes, l1_size, n_clusters))
		return fail_system(err, errno, "scratch image %.200s", path);
	/* All clusters, their L2 tables and refcounts, and some to round up. */
	out->most_bytes =
		n_clusters * QCOW2_CLUSTER + size_bytes + size_bytes / 4096 + 32 * QCOW2_CLUSTER;
	return scratch_take_room(out, err);
}

static int fail_full(const struct scratch *scratch, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "no room left for the scratch image %.200s; --scratch names another place",
		    scratch->path);
}

/* Where room cannot be taken ahead, it should at least be there. */
static int check_room(const struct scratch *scratch, uint64_t needed_bytes, struct error *err)
{
	struct statvfs found;

	if (fstatvfs(scratch->fd, &found) < 0)
		return fail_system(err, errno, "scratch image %.200s", scratch->path);
	if ((uint64_t)found.f_bavail * found.f_frsize < needed_bytes)
		return fail_full(scratch, err);
	return 0;
}

int scratch_take_room(struct scratch *scratch, struct error *err)
{
	uint64_t wanted;
	struct stat found;

	if (fstat(scratch->fd, &found) < 0)
		return fail_system(err, errno, "scratch image %.200s", scratch->path);
	wanted = (uint64_t)found.st_size + SCRATCH_AHEAD;
	if (wanted > scratch->most_bytes)
		wanted = scratch->most_bytes;
	if (wanted <= scratch->taken_bytes ||
	    (wanted < scratch->most_bytes && wanted - scratch->taken_bytes < STEP_BYTES))
		return 0;
	while (fallocate(scratch->fd, FALLOC_FL_KEEP_SIZE, (off_t)scratch->taken_bytes,
			 (off_t)(wanted - scratch->taken_bytes)) < 0) {
		if (errno == EOPNOTSUPP || errno == ENOSYS)
			return check_room(scratch, wanted - (uint64_t)found.st_size, err);
		if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
			return fail_full(scratch, err);
		if (errno != EINTR)
			return fail_system(err, errno, "scratch image %.200s", scratch->path);
	}
	scratch->taken_bytes = wanted;
	return 0;
}

/* overlayfs answers for pages of its own, of which there are none: there only writing all that is
 * left to write tells. */
int scratch_check_kept(int fd, const char *path, struct error *err)
{
	struct statfs found;
	int result = sync_file_range(fd, PAST_ALL, 1, SYNC_FILE_RANGE_WAIT_BEFORE);

	if (result == 0 && fstatfs(fd, &found) == 0 && found.f_type == OVERLAYFS_SUPER_MAGIC)
		result = fdatasync(fd);
	if (result == 0)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "scratch image %.200s: its file system lost data of it: %s; --scratch names "
		    "another place",
		    path, strerror(errno));
}

void scratch_unlink(struct scratch *scratch)
{
	if (scratch->named)
		unlink(scratch->path);
	scratch->named = false;
}

void scratch_close(struct scratch *scratch)
{
	scratch_unlink(scratch);
	free(scratch->path);
	scratch->path = NULL;
	if (scratch->fd >= 0)
		close(scratch->fd);
	scratch->fd = -1;
}
