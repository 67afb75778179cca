#include "base/qemuimg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127 /* the exit code of a child that found no program to become */

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

/* For qemu's option syntax a comma in a name is doubled. */
char *qemu_image_options(const struct qemu_nbd_options *image)
{
	static const char start[] = "driver=%s,force-share=%s,file.driver=%s,file.filename=";
	size_t room = sizeof start + strlen(image->format) + 32 + 2 * strlen(image->path);
	char *text = malloc(room);

	if (!text)
		return NULL;
	int n = snprintf(text, room, start, image->format, image->force_share ? "on" : "off",
			 image->block_device ? "host_device" : "file");
	char *to = text + n;
	for (const char *from = image->path; *from; from++) {
		if (*from == ',')
			*to++ = ',';
		*to++ = *from;
	}
	*to = '\0';
	return text;
}

/* In the child, of a program that has threads: only what is safe in a signal handler. */
static _Noreturn void become_qemu_img(char *const arguments[], int output, int complaints,
				      pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	output = fcntl(output, F_DUPFD, 10);
	complaints = fcntl(complaints, F_DUPFD, 10);
	dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(complaints, STDERR_FILENO);
	close(output);
	close(complaints);
	execvp(arguments[0], arguments);
	_exit(errno == ENOENT ? NOT_FOUND : 126);
}

static void read_lines(const struct qemu_img *run, FILE *output)
{
	char *text = NULL;
	size_t room = 0;

	while (getline(&text, &room, output) > 0)
		if (run->line)
			run->line(run->context, text);
	free(text);
}

/* Reads all that it says and waits for it. */
static int attend(struct qemu_img *run, pid_t pid, FILE *output, int complaints)
{
	char text[4096];
	int status = 0;
	pid_t ended;

	read_lines(run, output);
	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	ssize_t n = read(complaints, text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	qemu_words(run->words, sizeof run->words, text, "qemu-img: ");
	return ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int qemu_img_run(struct qemu_img *run, struct error *err)
{
	int out[2] = {-1, -1}, complaints[2] = {-1, -1};
	pid_t parent = getpid(), pid = -1;
	FILE *output = NULL;
	int sys = 0, code = 0;

	/* One that complains too much loses words, and does not hang. */
	if (pipe2(out, O_CLOEXEC) == 0 && pipe2(complaints, O_CLOEXEC | O_NONBLOCK) == 0)
		output = fdopen(out[0], "r");
	if (output)
		pid = fork();
	if (pid == 0)
		become_qemu_img(run->arguments, out[1], complaints[1], parent);
	if (pid < 0)
		sys = errno;
	if (out[1] >= 0)
		close(out[1]);
	if (pid > 0)
		code = attend(run, pid, output, complaints[0]);
	if (output)
		fclose(output);
	else if (out[0] >= 0)
		close(out[0]);
	for (int i = 0; i < 2; i++)
		if (complaints[i] >= 0)
			close(complaints[i]);
	if (sys != 0)
		return fail_start(err, sys, "%s: starting qemu-img", run->name);
	return code == NOT_FOUND ? qemu_not_found(run->name, "qemu-img", err) : code;
}

int qemu_not_found(const char *name, const char *program, struct error *err)
{
	const char *path = getenv("PATH");

	return fail(err, ERR_SYSTEM,
		    "%.150s: %s: cannot be run: it is not in PATH, which is '%.100s': install "
		    "qemu-utils",
		    name, program, path ? path : "");
}

/* Adds text at *used, in one line: "; " between what were two. */
static void add_line(char *out, size_t room, const char *text, const char *name)
{
	size_t used = strlen(out), n = strlen(name);
	char line[500];

	if (strncmp(text, name, n) == 0)
		text += n;
	/* It may quote the image, which is not to be trusted with a terminal. */
	escape_text(line, sizeof line, (const uint8_t *)text, strlen(text));
	if (*line == '\0' || strstr(out, line) != NULL)
		return;
	bool colon = used > 0 && out[used - 1] == ':';
	snprintf(out + used, room - used, "%s%s", used == 0 ? "" : colon ? " " : "; ", line);
}

void qemu_words(char *out, size_t room, char *text, const char *name)
{
	static const char opening[] = "Failed to blk_new_open '", could[] = "Could not open '";
	char *rest = NULL;

	out[0] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t n = strncmp(line, name, strlen(name)) == 0 ? strlen(name) : 0;
		/* The options that we gave it say nothing to anybody. */
		if (strncmp(line + n, opening, sizeof opening - 1) == 0 ||
		    strncmp(line + n, could, sizeof could - 1) == 0) {
			char *end = strstr(line, "': ");
			line = end ? end + 3 : line;
		}
		add_line(out, room, line, name);
	}
}

void qemu_add_limits(struct error *err, bool writable)
{
	if (strstr(err->text, strerror(EMFILE)))
		fail_add_limit(err, EMFILE, false);
	if (strstr(err->text, strerror(ENOMEM)))
		fail_add_limit(err, ENOMEM, false);
	if (strstr(err->text, strerror(EAGAIN)))
		fail_add_limit(err, EAGAIN, true);
	/* Of this one little is left in what comes back. */
	if (writable)
		fail_add_limit(err, EFBIG, false);
}

int qemu_img_create(const char *name, const char *path, const char *format, uint64_t size_bytes,
		    struct error *err)
{
	size_t room = strlen(path) + sizeof "file:";
	char size[32], *file = malloc(room);
	char *const arguments[] = {"qemu-img", "create", "-q", "-f", (char *)(uintptr_t)format,
				   file,       size,	 NULL};
	struct qemu_img run = {.name = name, .arguments = arguments};

	if (!file)
		return fail_system(err, ENOMEM, "%s", name);
	/* So that nothing in the name is taken for a protocol. */
	snprintf(file, room, "file:%s", path);
	snprintf(size, sizeof size, "%" PRIu64, size_bytes);
	int status = qemu_img_run(&run, err);
	free(file);
	if (status > 0) {
		status = fail(err, ERR_SYSTEM, "%s: qemu-img: %s", name,
			      run.words[0] != '\0' ? run.words : "failed");
		qemu_add_limits(err, true);
	}
	return status;
}
