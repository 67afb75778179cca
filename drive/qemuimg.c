#include "drive/qemuimg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOT_FOUND 127 /* the exit code of a child that found no program to become */
/* Without a sign of life: vmabak-backup(1) states it. */
#define LIMIT_MS  120000
#define CREATE_MS 1800000 /* a flush may have to write all there is */
#define KILLED_MS 2000
#define WATCH_MS  500
#define STEP_MS	  2

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

/* ---- one that hangs ---- */

struct watch {
	pid_t pid;
	int output;
	int64_t limit_ms, quiet_ms; /* of waiting without a sign of life */
	struct timespec spent;	    /* its time on a CPU, when last seen */
};

static bool hangs(const struct watch *watch)
{
	return watch->quiet_ms >= watch->limit_ms;
}

/* How long a check takes nobody can tell, and it says nothing meanwhile. But while it gets on it
 * spends time on a CPU, be it only to ask for the next block. What is counted are waits: a program
 * that was stopped with its child gives that its time anew. */
static void note_wait(struct watch *watch, int ms)
{
	struct timespec spent = watch->spent;
	clockid_t clock;

	if (clock_getcpuclockid(watch->pid, &clock) == 0)
		clock_gettime(clock, &spent);
	bool lives = spent.tv_sec != watch->spent.tv_sec || spent.tv_nsec != watch->spent.tv_nsec;
	watch->quiet_ms = lives ? 0 : watch->quiet_ms + ms;
	watch->spent = spent;
}

/* For a stream: when it hangs that is the end of what it says. */
static ssize_t read_watched(void *context, char *to, size_t n)
{
	struct watch *watch = context;
	struct pollfd one = {.fd = watch->output, .events = POLLIN};
	ssize_t got;

	while (poll(&one, 1, WATCH_MS) <= 0) {
		note_wait(watch, WATCH_MS);
		if (hangs(watch))
			return 0;
	}
	watch->quiet_ms = 0;
	do
		got = read(watch->output, to, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* False: not all that it said could be read. */
static bool read_lines(const struct qemu_img *run, struct watch *watch)
{
	FILE *output = fopencookie(watch, "r", (cookie_io_functions_t){.read = read_watched});
	char *text = NULL;
	size_t room = 0;

	if (!output)
		return false;
	while (getline(&text, &room, output) > 0)
		if (run->line)
			run->line(run->context, text);
	bool all = feof(output) != 0;
	free(text);
	fclose(output);
	return all;
}

/* Whether it ended. */
static bool await_end(struct watch *watch, int *status)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	pid_t ended;

	while ((ended = waitpid(watch->pid, status, WNOHANG)) == 0 && !hangs(watch)) {
		nanosleep(&step, NULL);
		note_wait(watch, STEP_MS);
	}
	return ended == watch->pid;
}

/* Reads all that it says and waits for it. */
static int attend(struct qemu_img *run, struct watch *watch, int complaints, struct error *err)
{
	char text[4096];
	int status = 0;
	bool all = read_lines(run, watch);

	if (!all)
		kill(watch->pid, SIGKILL);
	bool ended = await_end(watch, &status), given_up = hangs(watch);
	if (given_up && !ended) {
		/* A dead disk may hold it for ever: the system is left to see to its end. */
		kill(watch->pid, SIGKILL);
		watch->quiet_ms = watch->limit_ms - KILLED_MS;
		await_end(watch, &status);
	}
	if (given_up)
		return fail(err, ERR_SYSTEM, "%s: qemu-img %s: no sign of life for %d s", run->name,
			    run->arguments[1], (int)(watch->limit_ms / 1000));
	if (!all)
		return fail_system(err, ENOMEM, "%s: what qemu-img says", run->name);
	ssize_t n = read(complaints, text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	qemu_words(run->words, sizeof run->words, text, "qemu-img: ");
	return ended && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int qemu_img_run(struct qemu_img *run, struct error *err)
{
	int out[2] = {-1, -1}, complaints[2] = {-1, -1};
	struct watch watch = {.pid = -1, .limit_ms = run->limit_ms ? run->limit_ms : LIMIT_MS};
	pid_t parent = getpid();
	int sys = 0, code = 0;

	/* One that complains too much loses words, and does not hang. */
	if (pipe2(out, O_CLOEXEC) == 0 && pipe2(complaints, O_CLOEXEC | O_NONBLOCK) == 0)
		watch.pid = fork();
	if (watch.pid == 0)
		become_qemu_img(run->arguments, out[1], complaints[1], parent);
	if (watch.pid < 0)
		sys = errno;
	if (out[1] >= 0)
		close(out[1]);
	watch.output = out[0];
	if (watch.pid > 0)
		code = attend(run, &watch, complaints[0], err);
	if (out[0] >= 0)
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
	struct qemu_img run = {.name = name, .arguments = arguments, .limit_ms = CREATE_MS};

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
