#include "cow/map_parts.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xxhash.h>

#define VERSION_KNOWN 4u   /* and those before */
#define COPY_SIZE     512u /* there are two, one after the other */
#define CHECKED_SIZE  504u
/* On a busy host, how much later than the last mark the guest's own last write may reach the drive.
 * Writes by other programs within that time go unnoticed. */
#define SLACK_NS 500000000u

static const uint8_t magic[8] = {0x89, 'V', 'M', 'G', '\r', '\n', 0x1a, '\n'};

/* ---- the drive ---- */

/* The field-th number in a file of /sys/dev/block about this device; of a partition, about its
 * disk. */
static bool read_sys(dev_t device, const char *name, unsigned field, uint64_t *out)
{
	static const char *const folders[] = {"..", "."};
	char path[128], text[512];
	struct stat found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(device),
		 minor(device));
	bool is_partition = stat(path, &found) == 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device), minor(device),
		 folders[is_partition ? 0 : 1], name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	char *at = fgets(text, sizeof(text), file);
	fclose(file);
	for (unsigned i = 0; at != NULL; i++) {
		char *end;
		uint64_t number = strtoull(at, &end, 10);
		if (end == at)
			return false;
		if (i == field) {
			*out = number;
			return true;
		}
		at = end;
	}
	return false;
}

/* The inode number of a file system's folder in /sys/fs: each mount creates the folder anew, with
 * another number. 0 for file systems without one, such as those of a network. */
static uint64_t mount_number(dev_t device)
{
	static const char *const kinds[] = {"ext4", "xfs", "f2fs"};
	char path[128], link[256];
	struct stat found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(device), minor(device));
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return 0;
	link[n] = '\0';
	const char *slash = strrchr(link, '/');
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(path, sizeof(path), "/sys/fs/%s/%.64s", kinds[i],
			 slash != NULL ? slash + 1 : link);
		if (stat(path, &found) == 0)
			return found.st_ino;
	}
	return 0;
}

/* The kernel counts writes through the page cache when they reach the device, and discarded sectors
 * separately. */
static bool count_writes(uint64_t *out, dev_t device, const char *path)
{
	uint64_t written, discarded;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	if (!synced || !read_sys(device, "stat", 6, &written) ||
	    !read_sys(device, "stat", 13, &discarded))
		return false;
	*out = written + discarded;
	return true;
}

uint64_t stat_mtime_ns(const struct stat *found)
{
	return (uint64_t)found->st_mtim.tv_sec * 1000000000u + (uint64_t)found->st_mtim.tv_nsec;
}

int drive_look(struct drive_look *out, const char *path, uint64_t size_bytes, struct error *err)
{
	struct stat found;

	*out = (struct drive_look){.kind = MAP_DRIVE_ELSEWHERE, .size_bytes = size_bytes};
	if (path == NULL)
		return 0;
	if (stat(path, &found) != 0)
		return fail_system(err, errno, "%s", path);
	out->kind = MAP_DRIVE_FILE;
	if (!S_ISBLK(found.st_mode)) {
		out->device = found.st_dev;
		out->inode = found.st_ino;
		out->mtime_ns = stat_mtime_ns(&found);
		out->ctime_ns = (uint64_t)found.st_ctim.tv_sec * 1000000000u +
				(uint64_t)found.st_ctim.tv_nsec;
		out->disk = mount_number(found.st_dev);
		return 0;
	}
	out->kind = MAP_DRIVE_DEVICE;
	out->device = found.st_rdev;
	if (!read_sys(found.st_rdev, "diskseq", 0, &out->disk) ||
	    !count_writes(&out->n_writes, found.st_rdev, path))
		out->disk = 0;
	return 0;
}

/* Device numbers are meaningful only within one boot. */
bool drive_is_same(const struct drive_look *one, const struct drive_look *other, bool same_boot)
{
	return one->kind == other->kind && one->size_bytes == other->size_bytes &&
	       one->inode == other->inode &&
	       (!same_boot || (one->device == other->device &&
			       (one->kind == MAP_DRIVE_FILE || one->disk == other->disk)));
}

/* ---- the header ---- */

void map_header_put(uint8_t page[MAP_HEADER_SIZE], const struct map_header *header)
{
	uint8_t copy[COPY_SIZE] = {0};

	memcpy(copy, magic, sizeof(magic));
	put_le(copy + 8, 4, VERSION_KNOWN);
	put_le(copy + 12, 4, header->state);
	put_le(copy + 16, 8, header->sequence);
	put_le(copy + 24, 8, header->id);
	memcpy(copy + 32, header->boot_id, MAP_ID_SIZE);
	put_le(copy + 48, 2, header->current);
	put_le(copy + 50, 2, header->logs);
	put_le(copy + 52, 4, header->drive.kind);
	put_le(copy + 56, 8, header->drive.device);
	put_le(copy + 64, 8, header->drive.inode);
	put_le(copy + 72, 8, header->drive.disk);
	put_le(copy + 80, 8, header->drive.size_bytes);
	put_le(copy + 88, 8, header->drive.mtime_ns);
	put_le(copy + 96, 8, header->drive.n_writes);
	put_le(copy + 104, 8, header->began_ns);
	put_le(copy + CHECKED_SIZE, 8, XXH3_64bits(copy, CHECKED_SIZE));
	memcpy(page + header->sequence % 2 * COPY_SIZE, copy, COPY_SIZE);
}

static void get_copy(struct map_header *out, const uint8_t *copy)
{
	out->version = (uint32_t)get_le(copy + 8, 4);
	out->state = (uint32_t)get_le(copy + 12, 4);
	out->sequence = get_le(copy + 16, 8);
	out->id = get_le(copy + 24, 8);
	memcpy(out->boot_id, copy + 32, MAP_ID_SIZE);
	out->current = (uint16_t)get_le(copy + 48, 2);
	out->logs = get_le(copy + 50, 2) != 0;
	out->drive.kind = (uint32_t)get_le(copy + 52, 4);
	out->drive.device = get_le(copy + 56, 8);
	out->drive.inode = get_le(copy + 64, 8);
	out->drive.disk = get_le(copy + 72, 8);
	out->drive.size_bytes = get_le(copy + 80, 8);
	out->drive.mtime_ns = get_le(copy + 88, 8);
	out->drive.n_writes = get_le(copy + 96, 8);
	out->began_ns = get_le(copy + 104, 8);
}

/* Above it the sequence could overflow, and an older copy would count. */
#define SEQUENCE_MAX (UINT64_C(1) << 62)

static bool is_sensible(const struct map_header *header, const uint8_t *copy)
{
	return (header->state == MAP_STATE_CLEAN || header->state == MAP_STATE_OPEN) &&
	       header->sequence <= SEQUENCE_MAX && header->current != 0 &&
	       get_le(copy + 50, 2) <= (header->version >= 4 ? 1 : 0) &&
	       all_zero(copy + 112, CHECKED_SIZE - 112) &&
	       (header->version >= 3 || header->began_ns == 0);
}

int map_header_get(struct map_header *out, const uint8_t page[MAP_HEADER_SIZE], const char *path,
		   struct error *err)
{
	bool is_map = false, found = false;

	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *copy = page + i * COPY_SIZE;
		struct map_header header;

		if (memcmp(copy, magic, sizeof(magic)) != 0)
			continue;
		is_map = true;
		if (get_le(copy + CHECKED_SIZE, 8) != XXH3_64bits(copy, CHECKED_SIZE))
			continue;
		if (get_le(copy + 8, 4) == 0 || get_le(copy + 8, 4) > VERSION_KNOWN)
			return fail(
				err, ERR_UNSUPPORTED,
				"%s: is a map of version %llu, which this program does not know",
				path, (unsigned long long)get_le(copy + 8, 4));
		get_copy(&header, copy);
		if (!is_sensible(&header, copy) || (found && header.sequence < out->sequence))
			continue;
		*out = header;
		found = true;
	}
	if (!is_map)
		return fail(err, ERR_USAGE, "%s: is not a map, and is not overwritten", path);
	return found ? 0 : fail(err, ERR_DAMAGED, "%s: its header is damaged", path);
}

/* ---- trust ---- */

/* Whether the drive, which is the same one, was written to. */
static enum map_trust judge_clean(const struct map_header *header, const struct drive_look *now)
{
	if (header->drive.kind == MAP_DRIVE_FILE)
		return header->drive.mtime_ns == now->mtime_ns ? MAP_CLEAN : MAP_DRIVE_CHANGED;
	if (now->disk == 0)
		return MAP_UNSURE;
	return header->drive.n_writes == now->n_writes ? MAP_CLEAN : MAP_DRIVE_CHANGED;
}

/* The time of its data can be set back, as copying programs do, that of its inode cannot. */
static uint64_t changed_ns(const struct drive_look *now)
{
	return now->mtime_ns > now->ctime_ns ? now->mtime_ns : now->ctime_ns;
}

/* After a kill, a file or drive that changed after the time stored in the map shows that the kernel
 * lost pages. */
static enum map_trust judge_killed(const struct drive_look *now, const struct map_times *times)
{
	uint64_t last_ns = times->last_ns > times->log_ns ? times->last_ns : times->log_ns;

	/* The kernel writes back guest data from the page cache at any later time. */
	if (now->kind == MAP_DRIVE_DEVICE)
		return MAP_UNSURE;
	if (times->last_ns == 0)
		return MAP_NEW; /* the process was killed while it created the map */
	if (changed_ns(now) > times->last_ns + SLACK_NS)
		return MAP_DRIVE_CHANGED;
	return times->map_ns > last_ns + SLACK_NS ? MAP_DAMAGED : MAP_KILLED;
}

/* The machine went down: section 6. A later power cut may have taken the time of another program's
 * write back; what it left tells of writes up to now, and of older states. */
static enum map_trust judge_recovered(const struct map_header *header, const struct drive_look *now,
				      const struct map_times *times)
{
	uint64_t last_ns = times->last_ns > times->log_ns ? times->last_ns : times->log_ns;

	if (!header->logs || now->kind != MAP_DRIVE_FILE || times->lost)
		return MAP_MACHINE_DIED;
	return changed_ns(now) > last_ns + MAP_LOG_AGE_NS + SLACK_NS ||
			       now->mtime_ns < header->drive.mtime_ns
		       ? MAP_DRIVE_CHANGED
		       : MAP_RECOVERED;
}

enum map_trust map_judge(const struct map_header *header, const struct drive_look *now,
			 const uint8_t boot_id[MAP_ID_SIZE], const struct map_times *times)
{
	bool same_boot = !all_zero(boot_id, MAP_ID_SIZE) &&
			 memcmp(boot_id, header->boot_id, MAP_ID_SIZE) == 0;

	if (!drive_is_same(&header->drive, now, same_boot))
		return MAP_OTHER_DRIVE;
	if (!same_boot && header->state == MAP_STATE_OPEN)
		return judge_recovered(header, now, times);
	if (now->kind == MAP_DRIVE_ELSEWHERE && header->state == MAP_STATE_CLEAN)
		return MAP_CLEAN;
	/* A time of change reaches the disk long after the data, so a power cut undoes it, and how
	 * the other boot ended is unknown. The same if the file system was unmounted meanwhile. */
	if (!same_boot || header->drive.disk != now->disk)
		return MAP_UNSURE;
	return header->state == MAP_STATE_CLEAN ? judge_clean(header, now)
						: judge_killed(now, times);
}
