/*
 * What a client says to the control socket of a serve of two drives: messages, one to a line. In a
 * line
 *   0x02 first   before it, an answer is waited for, a moment
 *   0x04 first   it, and what is waited for from there on, goes over the last data channel
 *   0x05 first   a descriptor goes with it
 *   0x03         is more than a message may have
 * Every message of the server's must be one that a client can read; it must end the connection when
 * the client has gone, and the drives must take writes as before.
 */
#include "machine/serve/call.h"
#include "machine/serve/state.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_DRIVES   2u
#define TOO_LONG   (MESSAGE_MAX + 1000)
#define LINES_MAX  64u
#define MOMENT_MS  50
#define CHUNKS_MAX 64u /* of a buffer that is really made: the time goes into tables else */
#define LATE_MS	   15000

int __real_buffer_new(struct buffer **out, const struct buffer_options *options, struct error *err);
int __wrap_buffer_new(struct buffer **out, const struct buffer_options *options, struct error *err);

static struct serve_options options;
static struct served drives[N_DRIVES];
static struct serve serve = {
	.options = &options, .drives = drives, .lock = PTHREAD_MUTEX_INITIALIZER};
static char folder[] = "/tmp/vmabak-fuzz-XXXXXX", place[64], paths[N_DRIVES][32];
static int channel = -1; /* owned: the client's end of a data channel */
static uint8_t message[TOO_LONG], answer[MESSAGE_MAX + 1];

int __wrap_buffer_new(struct buffer **out, const struct buffer_options *how, struct error *err)
{
	MUST(how->n_chunks >= 4);
	if (how->n_chunks > CHUNKS_MAX)
		return fail(err, ERR_SYSTEM, "no memory for it");
	return __real_buffer_new(out, how, err);
}

static void remove_folder(void)
{
	unlink(place);
	rmdir(folder);
}

static void open_drive(unsigned i)
{
	static const char *const names[] = {"one", "two"};
	static const uint64_t sizes[] = {5 * CLUSTER_SIZE + 4096, 90 * CLUSTER_SIZE};
	const struct drive_options how = {.format = "raw", .writable = true};
	struct error err;
	int fd = memfd_create(names[i], MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, (off_t)sizes[i]) == 0);
	for (uint64_t at = 0; at < sizes[i]; at += 3 * CLUSTER_SIZE)
		MUST(pwrite(fd, "data", 4, (off_t)at) == 4);
	snprintf(paths[i], sizeof paths[i], "/proc/self/fd/%d", fd);
	drives[i].argument.name = names[i];
	drives[i].argument.path = drives[i].path = paths[i];
	MUST(drive_open(&drives[i].drive, paths[i], &how, &err) == 0);
	MUST(generation_new(&drives[i].map, sizes[i], &err) == 0);
	MUST(volume_new(&drives[i].volume, names[i], drives[i].drive, drives[i].map, &err) == 0);
}

static void start(void)
{
	struct nbdserver_export exports[N_DRIVES];
	struct error err;
	MUST(mkdtemp(folder) != NULL);
	snprintf(place, sizeof place, "%s/control", folder);
	atexit(remove_folder);
	options.control = place;
	serve.n_drives = N_DRIVES;
	serve.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(serve.wake >= 0);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		open_drive(i);
		exports[i] = serve_export(&drives[i], false);
	}
	MUST(nbdserver_new(&serve.nbd, exports, N_DRIVES, NULL, &err) == 0);
	MUST(control_open(&serve, &err) == 0);
}

/* The fuzzer's alarm may come at any time. */
static int wait_for(struct pollfd *fds, unsigned n, int timeout_ms)
{
	int ready;
	do
		ready = poll(fds, n, timeout_ms);
	while (ready < 0 && errno == EINTR);
	return ready;
}

static ssize_t receive(int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} passing;
	struct iovec part = {answer, sizeof answer};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = passing.bytes,
				.msg_controllen = sizeof passing.bytes};
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *first = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
	if (first == NULL)
		return n;
	MUST((header.msg_flags & MSG_CTRUNC) == 0);
	if (channel >= 0)
		close(channel);
	memcpy(&channel, CMSG_DATA(first), sizeof channel);
	return n;
}

/* One message, if there is one within the time. False: the server has hung up. */
static bool hear(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	if (wait_for(&poll_fd, 1, timeout_ms) == 0)
		return true;
	ssize_t n = receive(fd);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	MUST(n <= (ssize_t)MESSAGE_MAX);
	struct json_t *said = json_parse((const char *)answer, (size_t)n);
	struct error err;
	MUST(said != NULL);
	if (json_member(said, "error") != NULL) {
		message_error(said, &err);
		MUST(err.code < 0 && err.text[0] != '\0');
	} else {
		MUST(json_member(said, "return") != NULL || json_member(said, "done") != NULL ||
		     json_member(said, "chunk") != NULL);
	}
	json_free(said);
	return true;
}

static void send_message(int fd, const uint8_t *bytes, size_t n, bool pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} passing = {0};
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (pass) {
		header.msg_control = passing.bytes;
		header.msg_controllen = sizeof passing.bytes;
		struct cmsghdr *first = CMSG_FIRSTHDR(&header);
		first->cmsg_level = SOL_SOCKET;
		first->cmsg_type = SCM_RIGHTS;
		first->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(first), &fd, sizeof fd);
	}
	while (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		struct pollfd ends[2] = {{.fd = fd, .events = POLLIN | POLLOUT},
					 {.fd = serve.wake, .events = POLLIN}};
		/* One that was stopped reads no more. */
		if (wait_for(ends, 2, LATE_MS) == 0 || ends[1].revents != 0 ||
		    (ends[0].revents & (POLLHUP | POLLERR)) != 0 ||
		    ((ends[0].revents & POLLIN) != 0 && !hear(fd, 0)))
			return;
	}
}

static void say_line(int fd, const uint8_t *line, size_t n)
{
	bool pass = false;
	for (; n > 0 && (*line == 2 || *line == 4 || *line == 5); line++, n--) {
		if (*line == 2 && !hear(fd, MOMENT_MS))
			return;
		if (*line == 4 && channel >= 0)
			fd = channel;
		pass |= *line == 5;
	}
	size_t size = n < sizeof message ? n : sizeof message;
	memcpy(message, line, size);
	if (memchr(message, 3, size) != NULL) {
		memset(message + size, 'a', sizeof message - size);
		size = sizeof message;
	}
	send_message(fd, message, size, pass);
}

/* One that was stopped is over, and another one begins. */
static void restart_if_stopped(int fd)
{
	const struct error how = {0};
	struct error err;
	uint64_t n;
	if (read(serve.wake, &n, sizeof n) < 0)
		return;
	control_cut(&serve);
	control_close(&serve, &how);
	while (hear(fd, LATE_MS))
		;
	MUST(control_open(&serve, &err) == 0);
}

static void converse(int fd, const uint8_t *data, size_t size)
{
	struct pollfd ends[2] = {{.fd = fd, .events = POLLIN},
				 {.fd = serve.wake, .events = POLLIN}};
	unsigned n_lines = 0;
	for (size_t n; size > 0 && n_lines++ < LINES_MAX;) {
		const uint8_t *end = memchr(data, '\n', size);
		n = end == NULL ? size : (size_t)(end - data);
		say_line(fd, data, n);
		n += end != NULL;
		data += n;
		size -= n;
	}
	shutdown(fd, SHUT_WR);
	for (;;) {
		MUST(wait_for(ends, 2, LATE_MS) > 0);
		if (ends[1].revents != 0)
			break;
		if (ends[0].revents != 0 && !hear(fd, 0))
			break;
	}
	restart_if_stopped(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err;
	bool over = false;
	struct call call;
	if (serve.control == NULL)
		start();
	MUST(call_open(&call, place, &err) == 0);
	converse(call.fd, data, size);
	call_close(&call);
	if (channel >= 0)
		close(channel);
	channel = -1;
	while (!over) {
		sched_yield();
		pthread_mutex_lock(&serve.lock);
		over = serve.backup == NULL;
		pthread_mutex_unlock(&serve.lock);
	}
	for (unsigned i = 0; i < N_DRIVES; i++)
		MUST(volume_write(drives[i].volume, 0, "guest", 5, 0) == 0);
	return 0;
}
