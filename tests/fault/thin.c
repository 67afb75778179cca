/*
 * Makes a block device behave as a thin volume whose pool does not zero what it hands out.
 * Preloaded:
 *
 *   THIN_DEVICE   the device; what it holds is the old data of the pool
 *   THIN_CHUNK    bytes of a chunk
 *   THIN_SHIFT    bytes of the first chunk that lie before the device, as with a partition
 *   THIN_MAP      a file that gets a byte for each chunk, 1 when it was handed out, and then one
 * that counts calls of fsync
 *
 * A chunk is handed out when a write reaches the device: by fsync, or because the same page is read
 * past the cache. Until then it reads as zeros; in the cache, that is without O_DIRECT, it does so
 * for ever. Zeros are written and nothing else: there is no offload.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static dev_t device;
static unsigned long chunk, shift, n_chunks, n_pages;
static unsigned char *map;   /* shared with the file: of what was handed out */
static unsigned char *dirty; /* pages in the cache alone */

static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fsync)(int);

__attribute__((constructor)) static void set_up(void)
{
	const char *path = getenv("THIN_DEVICE"), *file = getenv("THIN_MAP");
	struct stat st;
	int fd;

	real_pread = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
	real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
	real_fallocate = (int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate64");
	real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	if (path == NULL || stat(path, &st) != 0 || (fd = open(file, O_RDWR)) < 0)
		return;
	device = st.st_rdev;
	chunk = strtoul(getenv("THIN_CHUNK"), NULL, 10);
	shift = strtoul(getenv("THIN_SHIFT"), NULL, 10);
	fstat(fd, &st);
	n_chunks = (unsigned long)st.st_size - 1;
	map = mmap(NULL, n_chunks + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	n_pages = n_chunks * chunk / PAGE;
	dirty = calloc(n_pages, 1);
	close(fd);
}

static bool is_thin(int fd)
{
	struct stat st;

	return device != 0 && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == device;
}

static void hand_out(unsigned long first, unsigned long last)
{
	for (unsigned long i = first; i <= last && i < n_pages; i++) {
		if (dirty[i]) {
			map[(i * PAGE + shift) / chunk] = 1;
			map[(i * PAGE + PAGE - 1 + shift) / chunk] = 1;
		}
		dirty[i] = 0;
	}
}

ssize_t pread64(int fd, void *to, size_t n, off_t offset)
{
	ssize_t got = real_pread(fd, to, n, offset);

	if (!is_thin(fd))
		return got;
	bool direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
	pthread_mutex_lock(&lock);
	if (direct)
		hand_out((unsigned long)offset / PAGE, ((unsigned long)offset + n - 1) / PAGE);
	for (ssize_t i = 0; i < got; i++)
		if (!direct || map[((unsigned long)(offset + i) + shift) / chunk] == 0)
			((char *)to)[i] = 0;
	pthread_mutex_unlock(&lock);
	return got;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off_t offset)
{
	if (is_thin(fd) && n > 0) {
		pthread_mutex_lock(&lock);
		for (unsigned long i = (unsigned long)offset / PAGE;
		     i <= ((unsigned long)offset + n - 1) / PAGE; i++)
			dirty[i] = 1;
		pthread_mutex_unlock(&lock);
	}
	return real_pwrite(fd, from, n, offset);
}

int fallocate64(int fd, int mode, off_t offset, off_t n)
{
	if (!is_thin(fd))
		return real_fallocate(fd, mode, offset, n);
	errno = EOPNOTSUPP;
	return -1;
}

int fsync(int fd)
{
	if (is_thin(fd)) {
		pthread_mutex_lock(&lock);
		hand_out(0, n_pages);
		map[n_chunks]++;
		pthread_mutex_unlock(&lock);
	}
	return real_fsync(fd);
}

ssize_t pread(int fd, void *to, size_t n, off_t offset)
{
	return pread64(fd, to, n, offset);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t offset)
{
	return pwrite64(fd, from, n, offset);
}
