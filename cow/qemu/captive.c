/*
 * Images that QEMU understands (qcow2, vmdk, ...), through a qemu-nbd of our own.
 *
 *	this program                                    qemu-nbd --read-only --shared=4
 *	  connect() x 4 ---- socket in a private folder ---- its listening end, as fd 3
 *	  stderr of the child, non-blocking pipe <---------- what it complains about
 *
 * The socket listens before qemu-nbd starts (it takes it over as systemd would hand it one), so
 * there is nothing to wait for and to retry: all connections are made first, and then socket and
 * folder are removed. Nobody else can ever connect, and no name is left behind unless this program
 * is killed in that very moment.
 *
 * qemu-nbd ends with this program for two reasons, each enough but for moments: it is not
 * --persistent, so it ends when the last connection is gone, and that happens even if this program
 * is killed; and until the connections are in use, PR_SET_PDEATHSIG has the kernel kill it. The
 * latter counts the *thread* that opened the drive as its parent: that thread has to outlive the
 * drive.
 *
 * What qemu-nbd says on stderr becomes part of our message. The pipe is non-blocking on its side
 * too: one that says too much loses words, and does not hang.
 *
 * Security: the format is never probed, and the file is never taken for a URL or an option string.
 * But an image may itself name others, a backing file or an external data file, and qemu-nbd
 * follows that, with the rights of this program: for a backing chain that is what the user wants.
 * So the images must come from someone who is trusted not to name files that are none of his; a
 * guest cannot write to the part of the image where these names are.
 */
#include "cow/drive.h"

#if HAVE_LIBNBD

#include "cow/image.h"
#include "cow/nbd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRINGIFY(n)	#n
#define TO_TEXT(n)	STRINGIFY(n)
#define N_SOCKETS	4    /* NBD_CONNECTIONS_MAX, but printable */
#define LAST_WORDS_MS	3000 /* for a qemu-nbd that gave up to end */
#define SOCKET_NAME	"/nbd"
#define FIRST_LISTEN_FD 3 /* fixed by the protocol */

_Static_assert(N_SOCKETS == NBD_CONNECTIONS_MAX, "the same number twice");

struct captive {
	struct drive drive;
	const char *path; /* borrowed */
	struct image image;
	struct nbd_client *client;
	int complaints; /* pipe */
	pid_t pid;	/* 0: none. Under the lock of the list */
	struct captive *next;
};

/* All that have a child. The lock guards the list and their pids: a pid is in it only as long as
 * nobody has waited for it, so it cannot be that of another process. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct captive *list;

static struct captive *captive_of(struct drive *drive)
{
	return (struct captive *)drive;
}

/* ---- the child ---- */

/* Everything that the child needs, made before the fork: after it, nothing may be allocated. */
struct plan {
	char *options;	    /* owned */
	char **environment; /* owned; the texts are not */
	char listen_pid[32];
	int listener;
	int complaints;
	pid_t parent;
};

/* For qemu's option syntax a comma in a name is doubled. */
static char *option_text(const struct captive *captive, const char *format)
{
	static const char start[] = "driver=%s,force-share=%s,file.driver=%s,file.filename=";
	size_t room = sizeof start + strlen(format) + 32 + 2 * strlen(captive->path);
	char *text = malloc(room);

	if (!text)
		return NULL;
	int n = snprintf(text, room, start, format, captive->image.allow_writers ? "on" : "off",
			 S_ISBLK(captive->image.opened.st_mode) ? "host_device" : "file");
	char *to = text + n;
	for (const char *from = captive->path; *from; from++) {
		if (*from == ',')
			*to++ = ',';
		*to++ = *from;
	}
	*to = '\0';
	return text;
}

/* Ours without what may be left of a socket activation of our own, and with a new one. */
static char **environment_for(char *listen_pid)
{
	size_t n = 0, kept = 0;

	while (environ[n])
		n++;
	char **environment = calloc(n + 3, sizeof *environment);
	if (!environment)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LISTEN_", 7) != 0)
			environment[kept++] = environ[i];
	environment[kept++] = "LISTEN_FDS=1";
	environment[kept++] = listen_pid;
	return environment;
}

/* LISTEN_PID=n, by hand: this runs between fork and exec. */
static void put_pid(char *out, pid_t pid)
{
	static const char name[] = "LISTEN_PID=";
	char digits[16];
	size_t n = 0, at = sizeof name - 1;

	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	memcpy(out, name, at);
	while (n > 0)
		out[at++] = digits[--n];
	out[at] = '\0';
}

/* The descriptors are moved up first: they may be where the others must go. */
static void arrange_files(struct plan *plan)
{
	int listener = fcntl(plan->listener, F_DUPFD, 10);
	int complaints = fcntl(plan->complaints, F_DUPFD, 10);
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(complaints, STDOUT_FILENO);
	dup2(complaints, STDERR_FILENO);
	dup2(listener, FIRST_LISTEN_FD);
	close(listener);
	close(complaints);
}

/* In the child, of a program that has threads: only what is safe in a signal handler. */
static _Noreturn void become_qemu_nbd(struct plan *plan)
{
	static const char missing[] = "qemu-nbd: cannot be run: install qemu-utils\n";
	char *const arguments[] = {
		"qemu-nbd",	"--read-only", "--shared=" TO_TEXT(N_SOCKETS),
		"--image-opts", plan->options, NULL,
	};
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != plan->parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	arrange_files(plan);
	put_pid(plan->listen_pid, getpid());
	execvpe(arguments[0], arguments, plan->environment);
	if (write(STDERR_FILENO, missing, sizeof missing - 1) < 0)
		_exit(126);
	_exit(127);
}

static void enlist(struct captive *captive, pid_t pid)
{
	captive->pid = pid;
	captive->next = list;
	list = captive;
}

/* The pid, now the caller's to wait for; 0 when there is none. */
static pid_t delist(struct captive *captive)
{
	pthread_mutex_lock(&list_lock);
	pid_t pid = captive->pid;
	for (struct captive **at = &list; pid > 0 && *at; at = &(*at)->next) {
		if (*at == captive) {
			*at = captive->next;
			break;
		}
	}
	captive->pid = 0;
	pthread_mutex_unlock(&list_lock);
	return pid;
}

static int start_child(struct captive *captive, const char *format, int listener, int complaints,
		       struct error *err)
{
	struct plan plan = {.listener = listener, .complaints = complaints, .parent = getpid()};
	int sys = 0;

	plan.options = option_text(captive, format);
	plan.environment = environment_for(plan.listen_pid);
	if (!plan.options || !plan.environment) {
		sys = ENOMEM;
	} else {
		/* Held so that no child exists that captive_abandon_all does not see. */
		pthread_mutex_lock(&list_lock);
		pid_t pid = fork();
		if (pid == 0)
			become_qemu_nbd(&plan);
		if (pid > 0)
			enlist(captive, pid);
		else
			sys = errno;
		pthread_mutex_unlock(&list_lock);
	}
	free(plan.options);
	free(plan.environment);
	return sys ? fail_system(err, sys, "%s: starting qemu-nbd", captive->path) : 0;
}

/* ---- the sockets ---- */

static bool make_folder(char *folder, size_t room)
{
	const char *parent = getenv("TMPDIR");
	int n = snprintf(folder, room, "%s/vmabak-XXXXXX", parent && *parent ? parent : "/tmp");

	if (n < 0 || (size_t)n >= room) /* too long for the name of a socket */
		snprintf(folder, room, "/tmp/vmabak-XXXXXX");
	return mkdtemp(folder) != NULL;
}

static bool connect_to(const struct sockaddr_un *address, int sockets[N_SOCKETS])
{
	for (unsigned i = 0; i < N_SOCKETS; i++) {
		sockets[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (sockets[i] < 0 ||
		    connect(sockets[i], (const struct sockaddr *)address, sizeof *address) != 0)
			return false;
	}
	return true;
}

/* The listening end, with all connections waiting at it already; -1 and errno when that fails. */
static int make_sockets(int sockets[N_SOCKETS])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t room = sizeof address.sun_path - strlen(SOCKET_NAME);
	int sys = 0;

	if (!make_folder(address.sun_path, room))
		return -1;
	size_t folder_length = strlen(address.sun_path);
	strcpy(address.sun_path + folder_length, SOCKET_NAME);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 ||
	    bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(listener, N_SOCKETS) != 0 || !connect_to(&address, sockets))
		sys = errno;
	unlink(address.sun_path);
	address.sun_path[folder_length] = '\0';
	rmdir(address.sun_path);
	if (sys == 0)
		return listener;
	if (listener >= 0)
		close(listener);
	errno = sys;
	return -1;
}

static void close_all(int *files, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (files[i] >= 0)
			close(files[i]);
}

/* Starts qemu-nbd and leaves the connections to it in sockets, also when it fails. */
static int launch(struct captive *captive, const char *format, int sockets[N_SOCKETS],
		  struct error *err)
{
	int complaints[2] = {-1, -1};
	int listener = -1, rc;

	if (pipe2(complaints, O_CLOEXEC | O_NONBLOCK) == 0)
		listener = make_sockets(sockets);
	if (listener < 0) {
		rc = fail_system(err, errno, "%s: a connection for qemu-nbd", captive->path);
		close_all(complaints, 2);
		return rc;
	}
	captive->complaints = complaints[0];
	rc = start_child(captive, format, listener, complaints[1], err);
	close(complaints[1]);
	close(listener); /* so that the connections break when the child ends */
	return rc;
}

/* ---- what it says ---- */

/* All that is there, up to the end if it comes soon. */
static void read_complaints(int fd, int wait_ms, char *out, size_t room)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	while (n + 1 < room && poll(&poll_fd, 1, wait_ms) > 0) {
		ssize_t got = read(fd, out + n, room - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out[n] = '\0';
}

/* The last line that qemu-nbd signed with its name, or else the last one, without the name and
 * without the options that we gave it. Cuts text. NULL: it said nothing. */
static char *last_words(char *text)
{
	static const char name[] = "qemu-nbd: ", opening[] = "Failed to blk_new_open '";
	char *signed_line = NULL, *last = NULL, *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		last = line;
		if (strncmp(line, name, sizeof name - 1) == 0)
			signed_line = line + sizeof name - 1;
	}
	char *words = signed_line ? signed_line : last;
	if (words && strncmp(words, opening, sizeof opening - 1) == 0) {
		char *end = strstr(words, "': ");
		words = end ? end + 3 : words;
	}
	return words;
}

/* Adds to *err what qemu-nbd has to say. instead: take the place of a text which says no more than
 * that the connection broke. */
static int explain(const struct captive *captive, int wait_ms, bool instead, struct error *err)
{
	char text[4096], shown[200];
	struct error first = *err;
	int code = err->code;

	read_complaints(captive->complaints, wait_ms, text, sizeof text);
	char *words = last_words(text);
	if (!words)
		return code;
	/* It may quote the image, which is not to be trusted with a terminal. */
	escape_text(shown, sizeof shown, (const uint8_t *)words, strlen(words));
	if (strstr(words, "\" lock") && strstr(words, "Failed to get"))
		code = ERR_LOCKED;
	if (instead)
		return fail(err, code, "%s: qemu-nbd: %s", captive->path, shown);
	fail(err, code, "%.190s: qemu-nbd: %s", first.text, shown);
	err->sys = first.sys;
	return code;
}

/* ---- the drive ---- */

static int captive_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
			struct error *err)
{
	struct captive *captive = captive_of(drive);
	int rc = nbd_client_read(captive->client, offset, buffer, n, err);

	return rc == 0 ? 0 : explain(captive, 0, false, err);
}

static int captive_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
			  struct error *err)
{
	return nbd_client_status(captive_of(drive)->client, offset, n, zero, err);
}

static bool captive_changed(struct drive *drive)
{
	return image_was_changed(&captive_of(drive)->image);
}

/* It only reads, so there is nothing that it would have to bring to an end. */
static void captive_close(struct drive *drive)
{
	struct captive *captive = captive_of(drive);
	pid_t pid = delist(captive);

	nbd_client_free(captive->client);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (captive->complaints >= 0)
		close(captive->complaints);
	image_close(&captive->image);
	free(captive);
}

static const struct drive_ops captive_ops = {
	.read = captive_read,
	.status = captive_status,
	.changed = captive_changed,
	.close = captive_close,
};

int captive_open(struct drive **out, const char *path, const char *format, bool allow_writers,
		 struct error *err)
{
	int sockets[N_SOCKETS] = {-1, -1, -1, -1};
	struct captive *captive = calloc(1, sizeof *captive);
	int rc;

	if (!captive)
		return fail_system(err, ENOMEM, "%s", path);
	captive->drive.ops = &captive_ops;
	captive->path = path;
	captive->complaints = captive->image.fd = -1;
	rc = image_open(&captive->image, path, allow_writers, err);
	if (rc == 0)
		rc = launch(captive, format, sockets, err);
	if (rc == 0) {
		rc = nbd_client_new(&captive->client, path, sockets, N_SOCKETS, err);
		if (rc != 0)
			rc = explain(captive, LAST_WORDS_MS, true, err);
	}
	if (rc != 0) {
		close_all(sockets, N_SOCKETS);
		captive_close(&captive->drive);
		return rc;
	}
	captive->drive.size_bytes = nbd_client_size(captive->client);
	*out = &captive->drive;
	return 0;
}

void captive_abandon_all(void)
{
	pthread_mutex_lock(&list_lock);
	for (struct captive *captive = list; captive; captive = captive->next)
		kill(captive->pid, SIGKILL);
	pthread_mutex_unlock(&list_lock);
}

#else

int captive_open(struct drive **out, const char *path, const char *format, bool allow_writers,
		 struct error *err)
{
	(void)out;
	(void)allow_writers;
	return fail(err, ERR_USAGE,
		    "%s: reading %s images needs libnbd, and this program was built without it: "
		    "install libnbd-dev and qemu-utils and build again",
		    path, format);
}

void captive_abandon_all(void)
{
}

#endif
