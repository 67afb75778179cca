#include "tests/unit/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

bool scratch_is(const char *path, const void *bytes, size_t n)
{
	size_t got_n;
	char *got = scratch_read(path, &got_n);
	bool same = got_n == n && memcmp(got, bytes, n) == 0;

	free(got);
	return same;
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
	/* Another program may take the free one that was found. */
	snprintf(command, sizeof command,
		 "for try in 1 2 3 4 5 6 7 8 9; do losetup -b %u --find --show '%s' 2>/dev/null && "
		 "exit; "
		 "sleep 0.2; done",
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

FILE *scratch_hold(const char *options, const char *path)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	char command[2048], said[1024], line[100] = "";
	FILE *holder;

	snprintf(said, sizeof said, "%s.said", path);
	snprintf(command, sizeof command, "exec qemu-io %s '%s' >'%s' 2>&1", options, path, said);
	unlink(said);
	holder = popen(command, "w");
	if (!holder)
		return NULL;
	fputs("length\n", holder); /* it answers when it has opened the image */
	fflush(holder);
	for (int i = 0; i < 500 && !strchr(line, '\n'); i++) {
		FILE *file = fopen(said, "r");
		if (file && !fgets(line, sizeof line, file))
			line[0] = '\0';
		if (file)
			fclose(file);
		nanosleep(&moment, NULL);
	}
	unlink(said);
	return holder;
}

static bool deny(const int *calls, unsigned n, int error)
{
	struct sock_filter code[64];
	struct sock_fprog program = {.filter = code};
	unsigned short at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < n; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							  (unsigned)calls[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							  SECCOMP_RET_ERRNO | (unsigned)error);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = at;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool scratch_denied(const int *calls, unsigned n, int error, bool (*test)(void))
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(deny(calls, n, error) && test() ? 0 : 1);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status == 0;
}

bool scratch_publishes(bool (*test)(void))
{
	static const int calls[] = {SYS_renameat2, SYS_linkat};
	unsigned before = scratch_count();

	return scratch_denied(calls, 0, 0, test) && scratch_denied(calls, 1, EINVAL, test) &&
	       scratch_denied(calls, 2, ENOSYS, test) && !scratch_denied(calls, 1, EIO, test) &&
	       scratch_count() == before;
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

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double scratch_seconds(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

double scratch_processor_seconds(void)
{
	return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}
