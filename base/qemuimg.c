#include "base/qemunbd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *ending;
	const char *format;
} endings[] = {
	{".qcow2", "qcow2"}, {".qcow", "qcow"}, {".vmdk", "vmdk"}, {".vdi", "vdi"},
	{".vhdx", "vhdx"},   {".vhd", "vpc"},	{".vpc", "vpc"},   {".qed", "qed"},
};

const char *image_format_of(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		size_t n = strlen(endings[i].ending);
		if (length > n && strcasecmp(path + length - n, endings[i].ending) == 0)
			return endings[i].format;
	}
	return "raw";
}

bool is_image_format(const char *format)
{
	size_t length = strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789");

	return length > 0 && format[length] == '\0';
}

/* All that comes until the end, cut to what there is room for; blanks at the end are taken off. */
static void read_words(int fd, char *out, size_t room)
{
	char rest[512];
	size_t n = 0;
	ssize_t got;

	while ((got = n + 1 < room ? read(fd, out + n, room - 1 - n)
				   : read(fd, rest, sizeof rest)) > 0)
		n += n + 1 < room ? (size_t)got : 0;
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
}

/* Runs it with its output going to words. Returns how it ended, or a negative errno value. */
static int run(char *const arguments[], char *words, size_t room)
{
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], status = 0;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDERR_FILENO);
	int sys = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	if (sys == 0) {
		read_words(pipe_fds[0], words, room);
		while (waitpid(pid, &status, 0) < 0 && sys == 0)
			sys = errno == EINTR ? 0 : errno;
	}
	close(pipe_fds[0]);
	return sys != 0 ? -sys : status;
}

int qemu_img_create(const char *name, const char *path, const char *format, uint64_t size_bytes,
		    struct error *err)
{
	char size[32], words[512] = "", shown[200];
	size_t room = strlen(path) + sizeof "file:";
	char *file = malloc(room);
	char *const arguments[] = {"qemu-img", "create", "-q", "-f", (char *)(uintptr_t)format,
				   file,       size,	 NULL};

	if (!file)
		return fail_system(err, ENOMEM, "%s", name);
	/* So that nothing in the name is taken for a protocol. */
	snprintf(file, room, "file:%s", path);
	snprintf(size, sizeof size, "%" PRIu64, size_bytes);
	int status = run(arguments, words, sizeof words);
	free(file);
	if (status == -ENOENT)
		return fail(err, ERR_SYSTEM, "%s: qemu-img: cannot be run: install qemu-utils",
			    name);
	if (status < 0)
		return fail_system(err, -status, "%s: starting qemu-img", name);
	if (status != 0)
		return fail(err, ERR_SYSTEM, "%s: %s", name,
			    words[0] == '\0' ? "qemu-img failed"
					     : escape_text(shown, sizeof shown,
							   (const uint8_t *)words, strlen(words)));
	return 0;
}
