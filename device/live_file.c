#include "device/live_file.h"

#include "base/boot.h"
#include "base/bytes.h"
#include "base/io.h"
#include "base/place.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* spec/live.md */
#define HEAD_BYTES 4096u
#define MAGIC	   "VMABLIV1"
#define VERSION_1  1u
#define ENDING	   ".live"
enum live_head {
	LIVE_VERSION = 0x08,
	LIVE_DRIVE = 0x0c,
	LIVE_UUID = 0x10,
	LIVE_SIZE = 0x20,
	LIVE_CHECKSUM = HEAD_BYTES - CHECKSUM_SIZE,
};
#define BOOT_INODE BOOT_ID_SIZE /* in the page of the boot */

static uint64_t head_at(const struct live_file *file)
{
	return (file->size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
}

static uint64_t whole_size(const struct live_file *file)
{
	return file->place.present_at + overlay_bits_size(file->size_bytes);
}

static void build_head(const struct live_file *file, const struct archive *archive, uint32_t drive,
		       uint8_t head[HEAD_BYTES])
{
	memset(head, 0, HEAD_BYTES);
	memcpy(head, MAGIC, 8);
	put_le(head + LIVE_VERSION, 4, VERSION_1);
	put_le(head + LIVE_DRIVE, 4, drive);
	memcpy(head + LIVE_UUID, archive->uuid, UUID_SIZE);
	put_le(head + LIVE_SIZE, 8, file->size_bytes);
	checksum_bytes(head, LIVE_CHECKSUM, head + LIVE_CHECKSUM);
}

/* ---- names ---- */

/* Whether the machine copies into that, or nobody has yet. */
static bool is_copy(const struct live_file *file, const struct stat *target)
{
	if (!S_ISREG(target->st_mode))
		return false;
	if (file->inode != 0)
		return target->st_ino == file->inode;
	return target->st_blocks == 0 && (uint64_t)target->st_size == file->size_bytes;
}

/* Whether both names are of one file; the target may be missing. */
static int look_at_target(const struct live_file *file, bool *same, struct error *err)
{
	struct stat target, found;

	*same = false;
	if (lstat(file->target, &target) != 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", file->target);
	if (fstat(file->fd, &found) != 0)
		return fail_system(err, errno, "%s", file->path);
	*same = target.st_dev == found.st_dev && target.st_ino == found.st_ino;
	if (*same && file->copied)
		return fail(err, ERR_USAGE, "%s: was restored otherwise, and goes on only so",
			    file->target);
	if (*same || (file->copied && is_copy(file, &target)))
		return 0;
	return fail(err, ERR_USAGE, "%s: exists already; a live restore makes a new file",
		    file->target);
}

/* ---- opening ---- */

/* What a machine already runs from may have been given to its user. */
static int check_own(const struct live_file *file, const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return fail(err, ERR_USAGE, "%s: is no file", file->path);
	return place_check_own(file->path, st, err);
}

static int open_file(struct live_file *file, struct stat *st, struct error *err)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
	struct stat target;
	char again[64];
	int fd;

	TRY(place_check(file->path, err));
	/* Before a file is made in vain. */
	if (lstat(file->target, &target) == 0 && access(file->path, F_OK) != 0)
		return fail(err, ERR_USAGE, "%s: exists already; a live restore makes a new file",
			    file->target);
	fd = open(file->path, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0 && errno == EEXIST)
		fd = open(file->path, flags | O_NONBLOCK);
	file->fd = fd;
	if (fd < 0 || fstat(fd, st) != 0)
		return fail_system(err, errno, "%s", file->path);
	TRY(check_own(file, st, err));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail(err, errno == EWOULDBLOCK ? ERR_LOCKED : ERR_SYSTEM,
			    "%s: another live restore is at work on it", file->path);
	file->full = realpath(file->path, NULL);
	if (file->full == NULL)
		return fail_system(err, errno, "%s", file->path);
	file->full[strlen(file->full) - strlen(ENDING)] = '\0';
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	file->other_fd = open(again, O_RDONLY | O_CLOEXEC);
	return 0;
}

/* Nothing is written to it before the head is durable. */
static int make_file(struct live_file *file, const uint8_t head[HEAD_BYTES], struct error *err)
{
	uint8_t boot[HEAD_BYTES] = {0};
	int sys = 0;

	read_boot_id(boot);
	if (ftruncate(file->fd, 0) != 0 || ftruncate(file->fd, (off_t)whole_size(file)) != 0)
		sys = errno;
	if (sys == 0)
		sys = io_pwrite(file->fd, boot, HEAD_BYTES, head_at(file) + HEAD_BYTES, 0);
	if (sys == 0)
		sys = io_pwrite(file->fd, head, HEAD_BYTES, head_at(file), 0);
	if (sys == 0 && fsync(file->fd) != 0)
		sys = errno;
	if (sys == 0)
		sys = io_sync_folder(file->path);
	if (sys == 0)
		return 0;
	unlink(file->path);
	return fail_system(err, sys, "%s: making it", file->path);
}

/* After a crash of the host only the durable bits count. */
static int restart_bits(const struct live_file *file)
{
	uint64_t left = overlay_bits_size(file->size_bytes);
	uint64_t from = file->place.bits_at, to = file->place.present_at;
	uint8_t page[BLOCK_SIZE];
	int sys = 0;

	while (left > 0 && sys == 0) {
		sys = io_pread(file->fd, page, sizeof(page), from, NULL);
		if (sys == 0)
			sys = io_pwrite(file->fd, page, sizeof(page), to, 0);
		from += sizeof(page);
		to += sizeof(page);
		left -= sizeof(page);
	}
	return sys;
}

static int check_boot(const struct live_file *file, struct error *err)
{
	uint8_t found[HEAD_BYTES], boot[HEAD_BYTES] = {0}, none[BOOT_ID_SIZE] = {0};
	uint64_t at = head_at(file) + HEAD_BYTES;
	int sys = io_pread(file->fd, found, sizeof(found), at, NULL);

	read_boot_id(boot);
	memcpy(boot + BOOT_INODE, found + BOOT_INODE, 8);
	if (sys == 0 && memcmp(boot, none, BOOT_ID_SIZE) != 0 &&
	    memcmp(boot, found, BOOT_ID_SIZE) == 0)
		return 0;
	if (sys == 0)
		sys = restart_bits(file);
	if (sys == 0)
		sys = io_pwrite(file->fd, boot, HEAD_BYTES, at, 0);
	return sys == 0 ? 0 : fail_system(err, sys, "%s", file->path);
}

static int read_inode(struct live_file *file, struct error *err)
{
	uint8_t found[8];
	int sys = io_pread(file->fd, found, sizeof(found), head_at(file) + HEAD_BYTES + BOOT_INODE,
			   NULL);

	if (sys != 0)
		return fail_system(err, sys, "%s", file->path);
	file->inode = get_le(found, 8);
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static int check_file(struct live_file *file, const uint8_t wanted[HEAD_BYTES], uint64_t size,
		      struct error *err)
{
	uint8_t found[HEAD_BYTES];
	bool same;
	int sys;

	if (file->copied && size == whole_size(file))
		TRY(read_inode(file, err));
	TRY(look_at_target(file, &same, err));
	if (same && size == file->size_bytes) {
		file->place.whole = true;
		return 0;
	}
	if (size != whole_size(file))
		return fail(err, ERR_USAGE,
			    "%s: exists, and is not what a live restore of this "
			    "drive left",
			    file->path);
	sys = io_pread(file->fd, found, sizeof(found), head_at(file), NULL);
	if (sys != 0)
		return fail_system(err, sys, "%s", file->path);
	if (is_zero(found, sizeof(found))) {
		file->is_new = true;
		return make_file(file, wanted, err);
	}
	if (memcmp(found, wanted, HEAD_BYTES) != 0)
		return fail(err, ERR_USAGE,
			    "%s: was left by a live restore of another archive or drive",
			    file->path);
	return check_boot(file, err);
}

int live_file_open(struct live_file *out, const char *target, const struct archive *archive,
		   uint32_t drive, bool copied, struct error *err)
{
	uint8_t head[HEAD_BYTES];
	struct stat st = {0};

	*out = (struct live_file){
		.target = strdup(target),
		.path = text_make("%s" ENDING, target),
		.fd = -1,
		.other_fd = -1,
		.target_fd = -1,
		.copied = copied,
		.size_bytes = archive->drives[drive].size_bytes,
		.shared = {.n_left = UINT64_MAX / 2},
	};
	pthread_mutex_init(&out->shared.flushing, NULL);
	if (out->target == NULL || out->path == NULL)
		return fail_memory(err);
	if (out->size_bytes > INT64_MAX / 4)
		return fail(err, ERR_UNSUPPORTED, "%s: too large for a file", target);
	TRY(open_file(out, &st, err));
	out->place = (struct overlay_place){.fd = out->fd, .kept = true, .shared = &out->shared};
	out->place.bits_at = head_at(out) + 2 * (uint64_t)HEAD_BYTES;
	out->place.present_at = out->place.bits_at + overlay_bits_size(out->size_bytes);
	build_head(out, archive, drive, head);
	out->is_new = st.st_size == 0;
	if (out->is_new) {
		bool same;

		TRY(look_at_target(out, &same, err));
		return make_file(out, head, err);
	}
	return check_file(out, head, (uint64_t)st.st_size, err);
}

void live_file_close(struct live_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->other_fd >= 0)
		close(file->other_fd);
	if (file->target_fd >= 0)
		close(file->target_fd);
	file->fd = file->other_fd = file->target_fd = -1;
	free(file->target);
	free(file->path);
	free(file->full);
	file->target = file->path = file->full = NULL;
}

/* ---- a target that the machine copies into ---- */

static int note_inode(struct live_file *file, struct error *err)
{
	uint8_t bytes[8];
	int sys;

	put_le(bytes, 8, file->inode);
	sys = io_pwrite(file->fd, bytes, sizeof(bytes), head_at(file) + HEAD_BYTES + BOOT_INODE, 0);
	if (sys == 0 && fsync(file->fd) != 0)
		sys = errno;
	return sys == 0 ? 0 : fail_system(err, sys, "%s", file->path);
}

static int make_target(const struct live_file *file, int fd)
{
	if (ftruncate(fd, (off_t)file->size_bytes) != 0 || fsync(fd) != 0)
		return errno;
	return io_sync_folder(file->target);
}

int live_file_make_target(struct live_file *file, struct error *err)
{
	/* live_file_open has looked at it, if it is there. */
	bool is_there = file->inode != 0 && access(file->target, F_OK) == 0;
	int flags = is_there ? O_RDONLY : O_RDWR | O_CREAT, sys;
	struct stat st;

	file->target_fd = open(file->target, flags | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
	if (file->target_fd < 0)
		return fail_system(err, errno, "%s", file->target);
	if (is_there)
		return 0;
	sys = make_target(file, file->target_fd);
	if (sys == 0 && fstat(file->target_fd, &st) != 0)
		sys = errno;
	if (sys != 0)
		return fail_system(err, sys, "%s: making it", file->target);
	file->inode = st.st_ino;
	file->made_target = true;
	return note_inode(file, err);
}

/* ---- the end ---- */

/* Whether the name is still that of what is written to: somebody may have removed it, or put
 * another file there. */
static int check_name(const struct live_file *file, struct error *err)
{
	struct stat named, found;

	if (fstat(file->fd, &found) == 0 && lstat(file->path, &named) == 0 &&
	    named.st_dev == found.st_dev && named.st_ino == found.st_ino)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "%s: was removed or replaced; what was restored has no name, and is lost with "
		    "this process",
		    file->path);
}

int live_file_show(struct live_file *file, struct error *err)
{
	char own[64];
	bool same;
	int sys = 0;

	TRY(check_name(file, err));
	TRY(look_at_target(file, &same, err));
	snprintf(own, sizeof(own), "/proc/self/fd/%d", file->fd);
	if (!same && linkat(AT_FDCWD, own, AT_FDCWD, file->target, AT_SYMLINK_FOLLOW) != 0)
		sys = errno;
	if (sys == 0)
		sys = io_sync_folder(file->target);
	if (sys == 0 && ftruncate(file->fd, (off_t)file->size_bytes) != 0)
		sys = errno;
	if (sys == 0 && fsync(file->fd) != 0)
		sys = errno;
	if (sys == 0)
		return 0;
	return fail_system(err, sys, "%s: giving it the name %s", file->path, file->target);
}

void live_file_undo(struct live_file *file)
{
	if (file->made_target)
		unlink(file->target);
	if (file->is_new)
		unlink(file->path);
}

/* What the guest has flushed so far is in one file or the other. */
int live_file_finish(struct live_file *file, struct error *err)
{
	int sys = 0;

	if (file->target_fd >= 0 && fsync(file->target_fd) != 0)
		return fail_system(err, errno, "%s: flushing", file->target);
	TRY(check_name(file, err));
	sys = unlink(file->path) == 0 ? io_sync_folder(file->path) : errno;
	return sys == 0 ? 0 : fail_system(err, sys, "%s: removing this name", file->path);
}
