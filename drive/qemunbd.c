/*
 *	this program                                    qemu-nbd --shared=4 (--read-only)
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
 * latter counts the *thread* that opened the image as its parent: that thread has to outlive it.
 * One that writes is left to end by itself, so that the image is brought to an end: qemu-nbd does
 * that when its last client has gone.
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
#include "drive/qemuimg.h"

#if HAVE_LIBNBD

#include "nbd/client.h"

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
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STRINGIFY(n)	#n
#define TO_TEXT(n)	STRINGIFY(n)
#define N_SOCKETS	4    /* NBDCLIENT_CONNECTIONS_MAX, but printable */
#define LAST_WORDS_MS	3000 /* for a qemu-nbd that gave up to end */
#define END_S		1800 /* for one that wrote: as for a flush */
#define KILLED_S	10   /* one that a hung disk holds is left to the system */
#define STEP_MS		2
#define SOCKET_NAME	"/nbd"
#define FIRST_LISTEN_FD 3 /* fixed by the protocol */

_Static_assert(N_SOCKETS == NBDCLIENT_CONNECTIONS_MAX, "the same number twice");

struct qemu_nbd {
	char *name; /* owned; for messages */
	struct nbdclient *client;
	int complaints; /* pipe */
	bool writable;
	pid_t pid; /* 0: none. Under the lock of the list */
	struct qemu_nbd *next;
};

/* All that have a child. The lock guards the list and their pids: a pid is in it only as long as
 * nobody has waited for it, so it cannot be that of another process. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct qemu_nbd *list;

/* ---- the child ---- */

static const char missing[] = "qemu-nbd is not in PATH";

/* Everything that the child needs, made before the fork: after it, nothing may be allocated. */
struct plan {
	char *options;	    /* owned */
	char **environment; /* owned; the texts are not */
	char listen_pid[32];
	int listener;
	int complaints;
	pid_t parent;
	bool writable;
};

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
	char *const arguments[] = {
		"qemu-nbd",
		"--shared=" TO_TEXT(N_SOCKETS),
		plan->writable ? "--discard=unmap" : "--read-only",
		"--image-opts",
		plan->options,
		NULL,
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
	const char *why = errno == ENOENT ? missing : "cannot be run";
	if (write(STDERR_FILENO, why, strlen(why)) < 0)
		_exit(126);
	_exit(127);
}

static void enlist(struct qemu_nbd *server, pid_t pid)
{
	server->pid = pid;
	server->next = list;
	list = server;
}

/* The pid, now the caller's to wait for; 0 when there is none. */
static pid_t delist(struct qemu_nbd *server)
{
	pthread_mutex_lock(&list_lock);
	pid_t pid = server->pid;
	for (struct qemu_nbd **at = &list; pid > 0 && *at; at = &(*at)->next) {
		if (*at == server) {
			*at = server->next;
			break;
		}
	}
	server->pid = 0;
	pthread_mutex_unlock(&list_lock);
	return pid;
}

static int start_child(struct qemu_nbd *server, const struct qemu_nbd_options *options,
		       int listener, int complaints, struct error *err)
{
	struct plan plan = {
		.listener = listener,
		.complaints = complaints,
		.parent = getpid(),
		.writable = options->writable,
	};
	int sys = 0;

	plan.options = qemu_image_options(options);
	plan.environment = environment_for(plan.listen_pid);
	if (!plan.options || !plan.environment) {
		sys = ENOMEM;
	} else {
		/* Held so that no child exists that qemu_nbd_abandon_all does not see. */
		pthread_mutex_lock(&list_lock);
		pid_t pid = fork();
		if (pid == 0)
			become_qemu_nbd(&plan);
		if (pid > 0)
			enlist(server, pid);
		else
			sys = errno;
		pthread_mutex_unlock(&list_lock);
	}
	free(plan.options);
	free(plan.environment);
	return sys ? fail_start(err, sys, "%s: starting qemu-nbd", server->name) : 0;
}

/* ---- the sockets ---- */

static const char *folder_for_sockets(void)
{
	static const char name[] = "/vmabak-XXXXXX" SOCKET_NAME;
	const char *folder = getenv("TMPDIR");
	struct sockaddr_un address;

	if (!folder || *folder == '\0' ||
	    strlen(folder) + sizeof name > sizeof address.sun_path) /* too long for a socket */
		return "/tmp";
	return folder;
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
	int sys = 0;

	snprintf(address.sun_path, sizeof address.sun_path, "%s/vmabak-XXXXXX",
		 folder_for_sockets());
	if (!mkdtemp(address.sun_path))
		return -1;
	size_t folder_length = strlen(address.sun_path);
	strcpy(address.sun_path + folder_length, SOCKET_NAME);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || fchmod(listener, 0600) != 0 ||
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
static int launch(struct qemu_nbd *server, const struct qemu_nbd_options *options,
		  int sockets[N_SOCKETS], struct error *err)
{
	int complaints[2] = {-1, -1};
	int listener = -1, rc;

	if (pipe2(complaints, O_CLOEXEC | O_NONBLOCK) == 0)
		listener = make_sockets(sockets);
	if (listener < 0) {
		rc = fail_system(err, errno,
				 "%s: a socket for qemu-nbd in %s (TMPDIR chooses the folder)",
				 server->name, folder_for_sockets());
		close_all(complaints, 2);
		return rc;
	}
	server->complaints = complaints[0];
	rc = start_child(server, options, listener, complaints[1], err);
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

/* Adds to *err what qemu-nbd has to say. instead: take the place of a text which says no more than
 * that the connection broke. */
static int explain(const struct qemu_nbd *server, int wait_ms, bool instead, struct error *err)
{
	char text[4096], words[800];
	struct error first = *err;
	int code = err->code;

	read_complaints(server->complaints, wait_ms, text, sizeof text);
	qemu_words(words, sizeof words, text, "qemu-nbd: ");
	if (*words == '\0')
		return code;
	if (strcmp(words, missing) == 0)
		return qemu_not_found(server->name, "qemu-nbd", err);
	if (strstr(words, "\" lock") && strstr(words, "Failed to get"))
		code = ERR_LOCKED;
	if (instead)
		fail(err, code, "%s: qemu-nbd: %s", server->name, words);
	else
		fail(err, code, "%.300s: qemu-nbd: %s", first.text, words);
	qemu_add_limits(err, server->writable);
	err->sys = instead ? 0 : first.sys;
	return code;
}

int qemu_nbd_explain(const struct qemu_nbd *server, struct error *err)
{
	return explain(server, 0, false, err);
}

/* ---- opening and closing ---- */

int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_nbd_options *options, struct error *err)
{
	int sockets[N_SOCKETS] = {-1, -1, -1, -1};
	struct qemu_nbd *server = calloc(1, sizeof *server);
	int rc;

	if (server) {
		server->complaints = -1;
		server->writable = options->writable;
		server->name = strdup(options->name);
	}
	if (!server || !server->name)
		rc = fail_system(err, ENOMEM, "%s", options->name);
	else
		rc = launch(server, options, sockets, err);
	if (rc == 0) {
		rc = nbdclient_new(&server->client, server->name, sockets, N_SOCKETS, err);
		if (rc != 0)
			rc = explain(server, LAST_WORDS_MS, true, err);
	}
	if (rc != 0) {
		close_all(sockets, N_SOCKETS);
		qemu_nbd_close(server);
		return rc;
	}
	*out = server;
	return 0;
}

struct nbdclient *qemu_nbd_client(const struct qemu_nbd *server)
{
	return server->client;
}

/* 0: it has not ended in time. */
static pid_t wait_for(pid_t pid, int *status, unsigned limit_s)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	pid_t got = 0;

	for (unsigned waited = 0; got == 0 && waited < limit_s * 1000; waited += STEP_MS) {
		do
			got = waitpid(pid, status, WNOHANG);
		while (got < 0 && errno == EINTR);
		if (got == 0)
			nanosleep(&step, NULL);
	}
	return got;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_for(pid, NULL, KILLED_S);
}

/* It leaves the list before it is waited for: from then on only its own end is its end. */
int qemu_nbd_finish(struct qemu_nbd *server, struct error *err)
{
	int rc = nbdclient_flush(server->client, err);
	int status = 0;

	if (rc != 0)
		return explain(server, 0, false, err);
	nbdclient_free(server->client);
	server->client = NULL;
	pid_t pid = delist(server);
	pid_t ended = pid > 0 ? wait_for(pid, &status, END_S) : pid;
	if (pid > 0 && ended == 0) {
		end_child(pid);
		return fail(err, ERR_SYSTEM, "%s: qemu-nbd does not end within %d s", server->name,
			    END_S);
	}
	if (pid > 0 && (ended < 0 || status != 0)) {
		rc = fail(err, ERR_SYSTEM, "%s: qemu-nbd failed at its end", server->name);
		rc = explain(server, LAST_WORDS_MS, false, err);
	}
	return rc;
}

void qemu_nbd_close(struct qemu_nbd *server)
{
	if (!server)
		return;
	pid_t pid = delist(server);
	nbdclient_free(server->client);
	if (pid > 0)
		end_child(pid);
	if (server->complaints >= 0)
		close(server->complaints);
	free(server->name);
	free(server);
}

void qemu_nbd_abandon_all(void)
{
	pthread_mutex_lock(&list_lock);
	for (struct qemu_nbd *server = list; server; server = server->next)
		kill(server->pid, SIGKILL);
	pthread_mutex_unlock(&list_lock);
}

#else

int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_nbd_options *options, struct error *err)
{
	(void)out;
	return fail(err, ERR_USAGE,
		    "%s: %s images need libnbd, and this program was built without it: "
		    "install libnbd-dev and qemu-utils and build again",
		    options->name, options->format);
}

void qemu_nbd_abandon_all(void)
{
}

#endif
