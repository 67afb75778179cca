#include "base/part.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ENDING		  ".part"
#define RANDOM_AND_ENDING (PART_RANDOM + sizeof ENDING - 1)

const char part_letters[] = "abcdefghijklmnopqrstuvwxyz012345";

/* .NAME.XXXXXX.part; NAME is cut at a whole character if all of it would be too long. */
void part_name(const char *name, const char *random, char out[NAME_MAX + 1])
{
	const size_t others = sizeof ".." - 1 + PART_RANDOM + sizeof ENDING - 1;
	size_t length = strlen(name);

	if (length + others > NAME_MAX) {
		length = NAME_MAX - others;
		while (length > 0 && (name[length] & 0xc0) == 0x80)
			length--;
	}
	snprintf(out, NAME_MAX + 1, ".%.*s.%s" ENDING, (int)length, name, random);
}

/* ---- whether a run that writes it is alive ---- */

/* Behind all data. QEMU locks other bytes of an image that it writes to. */
#define LOCK_AT (INT64_MAX - 1)

bool part_lock(int fd)
{
	struct flock byte = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_AT,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &byte) == 0;
}

/* Elsewhere a lock may not count for other hosts. */
static bool locks_count(int folder)
{
	static const unsigned local[] = {
		EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,
		BTRFS_SUPER_MAGIC,     TMPFS_MAGIC,
		OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
		MSDOS_SUPER_MAGIC,     EXFAT_SUPER_MAGIC,
		0x2fc12fc1 /* ZFS */,  0xca451a4e /* bcachefs */,
	};
	struct statfs found;

	if (fstatfs(folder, &found) != 0)
		return false;
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		if ((unsigned)found.f_type == local[i])
			return true;
	}
	return false;
}

/* The length of the name that a temporary name is of; 0: it is none. A name that was cut is not
 * whole.
 */
static size_t part_length(const char *name)
{
	const size_t end = RANDOM_AND_ENDING;
	size_t length = strlen(name);

	if (length <= end + 2 || name[0] != '.' || name[length - end - 1] != '.' ||
	    strspn(name + length - end, part_letters) < PART_RANDOM ||
	    strcmp(name + length - sizeof ENDING + 1, ENDING) != 0)
		return 0;
	return length - end - 2;
}

/* Whether it is a temporary name of the file that context names. */
static bool is_part_of(void *context, const char *name)
{
	char random[PART_RANDOM + 1] = "", expected[NAME_MAX + 1];

	memcpy(random, name + strlen(name) - RANDOM_AND_ENDING, PART_RANDOM);
	part_name(context, random, expected);
	return strcmp(name, expected) == 0;
}

static void remove_if_dead(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && part_lock(fd))
		unlinkat(folder, name, 0);
	close(fd);
}

/* Those temporary files of a folder that wanted accepts by their names. */
static void remove_those(int folder, bool (*wanted)(void *context, const char *name), void *context)
{
	int fd = locks_count(folder) ? openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (names != NULL && (entry = readdir(names)) != NULL) {
		if (part_length(entry->d_name) > 0 && wanted(context, entry->d_name))
			remove_if_dead(folder, entry->d_name);
	}
	if (names != NULL)
		closedir(names);
	else if (fd >= 0)
		close(fd);
}

void part_remove_dead_of(int folder, const char *name)
{
	remove_those(folder, is_part_of, (void *)(uintptr_t)name);
}

struct wish {
	bool (*wanted)(void *context, const char *name);
	void *context;
};

static bool is_wanted(void *context, const char *name)
{
	const struct wish *wish = context;
	char whole[NAME_MAX + 1];

	size_t length = part_length(name);

	snprintf(whole, sizeof whole, "%.*s", (int)length, name + 1);
	if (strncmp(name + length + 2, PART_RESUME, PART_RANDOM) == 0)
		return false;
	return wish->wanted(wish->context, whole);
}

void part_remove_dead(const char *folder, bool (*wanted)(void *context, const char *name),
		      void *context)
{
	struct wish wish = {wanted, context};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	remove_those(fd, is_wanted, &wish);
	close(fd);
}
