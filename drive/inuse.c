/*
 *	for a file F, a device D        it looks for
 *
 *	loop devices over F or D        /sys/block/loop*, LOOP_GET_STATUS64
 *	Xen's block backend on D        /sys/bus/xen-backend/devices/vbd-*
 *	backstores of LIO on F or D     /sys/kernel/config/target/core
 *	QEMU's locks on what D lies in  as in lock.c
 *
 * Then the same for what D lies in, and for D's partitions. Files are compared by device and inode,
 * because names change and vanish.
 */
#include "drive/backing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEPTH_MAX 8 /* of stacked devices */
#define LIO	  "/sys/kernel/config/target/core"
#define XEN	  "/sys/bus/xen-backend/devices"
#define ROOM	  (PATH_MAX + 128)

struct search {
	bool will_write;
	unsigned depth;
	char path[PATH_MAX]; /* of the open file; "" while searching below it */
	dev_t through;	     /* the loop device over the file being searched: it does not count */
	char who[200];
};

static bool found(struct search *search, const char *how, const char *who)
{
	snprintf(search->who, sizeof(search->who), "%s %.150s", how, who);
	return true;
}

static void join(char out[ROOM], const char *folder, const char *name)
{
	if (snprintf(out, ROOM, "%s/%s", folder, name) >= ROOM)
		out[0] = '\0';
}

static void read_link(char out[PATH_MAX], const char *path)
{
	ssize_t n = readlink(path, out, PATH_MAX - 1);

	out[n < 0 ? 0 : n] = '\0';
}

/* The first line of a small file. False when it cannot be read or is empty. */
static bool read_line(char *out, size_t room, const char *folder, const char *name)
{
	char path[ROOM];

	join(path, folder, name);
	FILE *file = fopen(path, "re");
	bool good = file != NULL && fgets(out, (int)room, file) != NULL;
	if (file != NULL)
		fclose(file);
	if (good)
		out[strcspn(out, "\n")] = '\0';
	return good && *out != '\0';
}

static bool read_device(dev_t *out, const char *folder, const char *name, bool is_hex)
{
	unsigned major_number, minor_number;
	char line[64];

	if (!read_line(line, sizeof(line), folder, name) ||
	    sscanf(line, is_hex ? "%x:%x" : "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*out = makedev(major_number, minor_number);
	return true;
}

/* Whether both are the same file or the same block device. */
static bool same(const struct stat *one, const struct stat *other)
{
	if (S_ISBLK(one->st_mode) || S_ISBLK(other->st_mode))
		return (one->st_mode & S_IFMT) == (other->st_mode & S_IFMT) &&
		       one->st_rdev == other->st_rdev;
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static bool is_at(const char *path, const struct stat *what)
{
	struct stat st;

	return stat(path, &st) == 0 && same(&st, what);
}

/* Calls visit for each entry with that beginning, until one returns true. */
static bool
each(const char *folder, const char *beginning, struct search *search, const struct stat *what,
     bool (*visit)(struct search *, const struct stat *, const char *folder, const char *name))
{
	DIR *entries = opendir(folder);
	struct dirent *entry;
	bool result = false;

	while (entries != NULL && !result && (entry = readdir(entries)) != NULL)
		if (entry->d_name[0] != '.' &&
		    strncmp(entry->d_name, beginning, strlen(beginning)) == 0)
			result = visit(search, what, folder, entry->d_name);
	if (entries != NULL)
		closedir(entries);
	return result;
}

/* ---- loop devices ---- */

struct loop {
	char backing[PATH_MAX]; /* as the kernel reports it: the name may be gone */
	struct stat file;
	bool read_only;
};

/* From the kernel's encoding of a device number. */
static dev_t decode(uint64_t device)
{
	return makedev((device & 0xfff00) >> 8, (device & 0xff) | (device >> 12 & 0xfff00));
}

/* If the caller may not open the device, the name has to do. False: nothing is attached. */
static bool read_loop(struct loop *out, const char *name)
{
	struct loop_info64 info;
	char path[ROOM], line[8];

	join(path, "/sys/block", name);
	if (!read_line(out->backing, sizeof(out->backing), path, "loop/backing_file"))
		return false;
	memset(&out->file, 0, sizeof(out->file));
	stat(out->backing, &out->file);
	out->read_only = read_line(line, sizeof(line), path, "ro") && line[0] == '1';
	join(path, "/dev", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0) {
		out->read_only = (info.lo_flags & LO_FLAGS_READ_ONLY) != 0;
		out->file.st_mode = info.lo_rdevice != 0 ? S_IFBLK : S_IFREG;
		out->file.st_dev = decode(info.lo_device);
		out->file.st_ino = info.lo_inode;
		out->file.st_rdev = decode(info.lo_rdevice);
	}
	if (fd >= 0)
		close(fd);
	return true;
}

/* The one through which the search came does not count. */
static bool is_loop_over(struct search *search, const struct stat *what, const char *folder,
			 const char *name)
{
	struct loop loop;
	char path[ROOM], shown[80];
	dev_t device;

	join(path, folder, name);
	if (!read_loop(&loop, name) ||
	    (!same(&loop.file, what) && strcmp(loop.backing, search->path) != 0) ||
	    (loop.read_only && !search->will_write) ||
	    (read_device(&device, path, "dev", false) && device == search->through))
		return false;
	snprintf(shown, sizeof(shown), "/dev/%.64s", name);
	return found(search, "attached to", shown);
}

/* ---- exports to guests and other hosts ---- */

static bool is_xen_on(struct search *search, const struct stat *what, const char *folder,
		      const char *name)
{
	char path[ROOM], mode[16] = "";
	dev_t device;

	join(path, folder, name);
	if (!read_device(&device, path, "physical_device", true) || device != what->st_rdev)
		return false;
	read_line(mode, sizeof(mode), path, "mode");
	return (search->will_write || strchr(mode, 'w') != NULL) &&
	       found(search, "used by a guest of Xen:", name);
}

/* udev_path is what its creator claims; info has the file that the kernel opened. */
static bool is_store_on(struct search *search, const struct stat *what, const char *folder,
			const char *name)
{
	char store[ROOM], path[ROOM], line[PATH_MAX], *file, *end;

	join(store, folder, name);
	if (read_line(line, sizeof(line), store, "udev_path") && is_at(line, what))
		return found(search, "a backstore of LIO:", name);
	join(path, store, "info");
	FILE *info = fopen(path, "re");
	bool result = false;
	while (info != NULL && !result && fgets(line, sizeof(line), info) != NULL) {
		file = strstr(line, "File: ");
		end = file != NULL ? strstr(file, "  Size: ") : NULL;
		if (end != NULL) {
			*end = '\0';
			result = is_at(file + strlen("File: "), what) &&
				 found(search, "a backstore of LIO:", name);
		}
	}
	if (info != NULL)
		fclose(info);
	return result;
}

static bool is_plugin_on(struct search *search, const struct stat *what, const char *folder,
			 const char *name)
{
	char path[ROOM];

	join(path, folder, name);
	return each(path, "", search, what, is_store_on);
}

/* By users that claim nothing, other than QEMU. */
static bool is_used(struct search *search, const struct stat *what)
{
	return each("/sys/block", "loop", search, what, is_loop_over) ||
	       each(LIO, "", search, what, is_plugin_on) ||
	       (S_ISBLK(what->st_mode) && each(XEN, "vbd-", search, what, is_xen_on));
}

/* ---- what it lies in ---- */

static bool is_locked(struct search *search, const char *path, const struct stat *what)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	bool result = fd >= 0 && fstat(fd, &st) == 0 && same(&st, what) &&
		      (search->will_write ? lock_others_use(fd) : lock_others_write(fd));

	if (fd >= 0)
		close(fd);
	return result && found(search, "a running QEMU or vmabak uses", path);
}

/* The device with this sysfs folder. Its node has the name that the kernel gave it. */
static bool is_node_used(struct search *search, const char *folder)
{
	struct stat what = {.st_mode = S_IFBLK};
	char path[ROOM], line[128];

	if (!read_device(&what.st_rdev, folder, "dev", false))
		return false;
	join(path, folder, "uevent");
	FILE *file = fopen(path, "re");
	bool result = false;
	while (file != NULL && !result && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "DEVNAME=", 8) == 0) {
			join(path, "/dev", line + 8);
			result = is_locked(search, path, &what);
		}
	}
	if (file != NULL)
		fclose(file);
	return result || is_used(search, &what);
}

static bool is_below_used(struct search *search, dev_t device);

static bool is_partition_used(struct search *search, const struct stat *what, const char *folder,
			      const char *name)
{
	char path[ROOM], line[32];

	(void)what;
	join(path, folder, name);
	return read_line(line, sizeof(line), path, "partition") && is_node_used(search, path);
}

static bool is_slave_used(struct search *search, const struct stat *what, const char *folder,
			  const char *name)
{
	char path[ROOM];
	dev_t device;

	(void)what;
	join(path, folder, name);
	return is_node_used(search, path) ||
	       (read_device(&device, path, "dev", false) && is_below_used(search, device));
}

static bool is_backing_used(struct search *search, const char *folder, dev_t device)
{
	dev_t before = search->through;
	char link[PATH_MAX];
	struct loop loop;

	read_link(link, folder);
	const char *slash = strrchr(link, '/');
	if (slash == NULL || !read_loop(&loop, slash + 1))
		return false;
	search->through = device;
	search->path[0] = '\0';
	bool result = is_locked(search, loop.backing, &loop.file) || is_used(search, &loop.file) ||
		      (S_ISBLK(loop.file.st_mode) && is_below_used(search, loop.file.st_rdev));
	search->through = before;
	return result;
}

static bool is_below_used(struct search *search, dev_t device)
{
	char folder[64], path[ROOM], line[32];

	if (search->depth == DEPTH_MAX)
		return false;
	search->depth++;
	snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(device), minor(device));
	join(path, folder, "slaves");
	bool result = each(path, "", search, NULL, is_slave_used) ||
		      is_backing_used(search, folder, device);
	if (!result && read_line(line, sizeof(line), folder, "partition")) {
		result = is_slave_used(search, NULL, folder, "..");
	}
	search->depth--;
	return result;
}

int inuse_check(int fd, const char *path, bool will_write, struct error *err)
{
	struct search search = {.will_write = will_write};
	struct stat what;
	char folder[64];

	if (fstat(fd, &what) != 0)
		return fail_system(err, errno, "%s", path);
	snprintf(folder, sizeof(folder), "/proc/self/fd/%d", fd);
	read_link(search.path, folder);
	bool result = is_used(&search, &what);
	if (!result && S_ISBLK(what.st_mode)) {
		snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(what.st_rdev),
			 minor(what.st_rdev));
		result = each(folder, "", &search, NULL, is_partition_used) ||
			 is_below_used(&search, what.st_rdev);
	}
	return result ? fail(err, ERR_LOCKED, "%s: is in use: %s", path, search.who) : 0;
}
