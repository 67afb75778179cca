#include "base/identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <xxhash.h>

#define TEXT_SIZE 4096u

struct device {
	const char *root;
	char folder[300]; /* in sysfs */
	bool is_part;	  /* of the disk that the folder above is of */
};

/* The first line of a file, which has to hold something. */
static bool read_line(const char *path, char *out)
{
	FILE *file = fopen(path, "re");
	bool good = file != NULL && fgets(out, TEXT_SIZE, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (good)
		out[strcspn(out, "\n")] = '\0';
	return good && *out != '\0' && out[strspn(out, " 0")] != '\0';
}

/* A property of the disk. */
static bool read_disk(const struct device *device, const char *name, char *out)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s%s", device->folder, device->is_part ? "../" : "", name);
	return read_line(path, out);
}

/* A loop device is as good as the file that it shows. */
static bool read_loop(const struct device *device, char *out)
{
	char file[TEXT_SIZE], offset[TEXT_SIZE];
	struct stat found;

	if (!read_disk(device, "loop/backing_file", file) || stat(file, &found) != 0 ||
	    !S_ISREG(found.st_mode))
		return false;
	if (!read_disk(device, "loop/offset", offset))
		snprintf(offset, sizeof(offset), "0");
	snprintf(out, TEXT_SIZE, "loop %llu %.24s", (unsigned long long)found.st_ino, offset);
	return true;
}

static bool read_lasting(const struct device *device, char *out)
{
	static const char *const names[] = {"dm/uuid", "wwid", "device/wwid", "serial"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (read_disk(device, names[i], out))
			return true;
	}
	return read_loop(device, out);
}

static void read_of_boot(const struct device *device, dev_t number, char *out)
{
	char boot[TEXT_SIZE], sequence[TEXT_SIZE], path[400];

	snprintf(path, sizeof(path), "%.200s/proc/sys/kernel/random/boot_id", device->root);
	if (!read_line(path, boot))
		*boot = '\0';
	if (!read_disk(device, "diskseq", sequence))
		snprintf(sequence, sizeof(sequence), "%u:%u", major(number), minor(number));
	snprintf(out, TEXT_SIZE, "boot %.40s %.40s", boot, sequence);
}

bool identity_of_device(char out[IDENTITY_SIZE], const char *root, dev_t number)
{
	struct device device = {.root = root};
	char text[TEXT_SIZE], start[TEXT_SIZE] = "", path[400];
	XXH64_hash_t sum;

	snprintf(device.folder, sizeof(device.folder), "%.200s/sys/dev/block/%u:%u", root,
		 major(number), minor(number));
	snprintf(path, sizeof(path), "%s/partition", device.folder);
	device.is_part = read_line(path, text);
	snprintf(path, sizeof(path), "%s/start", device.folder);
	if (device.is_part && !read_line(path, start))
		return false;
	if (!read_lasting(&device, text))
		read_of_boot(&device, number, text);
	sum = XXH3_64bits_withSeed(text, strlen(text), XXH3_64bits(start, strlen(start)));
	snprintf(out, IDENTITY_SIZE, "device-%016llx", (unsigned long long)sum);
	return true;
}

bool identity_find(char out[IDENTITY_SIZE], const struct stat *found)
{
	if (S_ISBLK(found->st_mode))
		return identity_of_device(out, "", found->st_rdev);
	if (!S_ISREG(found->st_mode))
		return false;
	snprintf(out, IDENTITY_SIZE, "inode-%llu", (unsigned long long)found->st_ino);
	return true;
}
