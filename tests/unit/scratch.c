#include "tests/unit/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[256];

int scratch_make(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(folder, sizeof folder, "%s/vmabak-unit-XXXXXX",
		 parent && *parent ? parent : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

int scratch_remove(void)
{
	return scratch_run("rm -rf '%s'", folder);
}

const char *scratch(const char *name)
{
	static char paths[16][600];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

unsigned scratch_count(void)
{
	DIR *dir = opendir(folder);
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n - 2; /* "." and ".." */
}

void scratch_write(const char *path, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

char *scratch_read(const char *path, size_t *n)
{
	FILE *file = fopen(path, "rb");
	struct stat st;

	if (!file || fstat(fileno(file), &st) != 0) {
		perror(path);
		exit(1);
	}
	char *bytes = calloc(1, (size_t)st.st_size + 1);
	size_t got = fread(bytes, 1, (size_t)st.st_size, file);
	fclose(file);
	if (n)
		*n = got;
	return bytes;
}

bool scratch_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int scratch_run(const char *format, ...)
{
	char command[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	return system(command);
}

bool scratch_loop(const char *path, unsigned sector_size, char device[64])
{
	char command[1024];
	FILE *pipe;

	device[0] = '\0';
	snprintf(command, sizeof command, "losetup -b %u --find --show '%s' 2>/dev/null",
		 sector_size, path);
	if (geteuid() == 0 && (pipe = popen(command, "r")) != NULL) {
		if (!fgets(device, 64, pipe))
			device[0] = '\0';
		pclose(pipe);
	}
	device[strcspn(device, "\n")] = '\0';
	if (device[0] == '\0')
		printf("\nskipped: no loop devices here, or not root\n");
	return device[0] != '\0';
}

void scratch_unloop(const char *device)
{
	scratch_run("losetup --detach %s", device);
}

void scratch_fill(uint8_t *out, size_t n, uint32_t seed)
{
	uint64_t state = seed * 2654435761u + 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		out[i] = (uint8_t)(1 + state % 255);
	}
}

double scratch_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
