#include "machine/serve/message.h"

#include "base/patience.h"
#include "cli/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the socket ---- */

static int make_address(struct sockaddr_un *out, const char *path, struct error *err)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (*path == '\0' || strlen(path) >= sizeof(out->sun_path))
		return fail(err, ERR_USAGE, "%s: the path of a socket has 1 to %zu characters",
			    path, sizeof(out->sun_path) - 1);
	strcpy(out->sun_path, path);
	return 0;
}

static int new_socket(int *out, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int size = 2 * CONTROL_MESSAGE_MAX;

	if (fd < 0)
		return fail_system(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*out = fd;
	return 0;
}

/* In time even when the other side stands still and its queue is full. */
static int try_connect(int *out, const char *path, int *sys, struct error *err)
{
	struct sockaddr_un address;
	int fd;

	*sys = 0;
	if (make_address(&address, path, err) < 0 || new_socket(&fd, err) < 0)
		return err->code;
	patience_for_sending(fd, PATIENCE_CONNECT_S);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		*sys = errno;
		close(fd);
		return fail_system(err, *sys, "%s", path);
	}
	*out = fd;
	return 0;
}

int control_connect(int *out, const char *path, struct error *err)
{
	int sys;

	if (try_connect(out, path, &sys, err) == 0)
		return 0;
	if (sys == ECONNREFUSED || sys == ENOENT)
		return fail(err, ERR_SYSTEM, "%s: no vmabak serve listens there: %s", path,
			    strerror(sys));
	return sys == EAGAIN ? control_fail_silent(path, err) : err->code;
}

/* Whatever is there under the name must be a socket that nobody listens at. */
static int check_place(const char *path, struct error *err)
{
	struct error refused;
	struct stat found;
	int fd, sys;

	if (lstat(path, &found) < 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	if (!S_ISSOCK(found.st_mode))
		return fail(err, ERR_USAGE, "%s: exists already, and is no socket", path);
	if (try_connect(&fd, path, &sys, &refused) == 0) {
		close(fd);
		return fail(err, ERR_LOCKED, "%s: in use by another server", path);
	}
	if (sys == ECONNREFUSED)
		return 0;
	if (sys == EAGAIN)
		return fail(err, ERR_LOCKED, "%s: in use by another server, which stands still",
			    path);
	if (sys == EPROTOTYPE)
		return fail(err, ERR_USAGE, "%s: a socket of something else", path);
	*err = refused;
	return err->code;
}

static int listen_there(int fd, const char *temporary, const char *path, struct error *err)
{
	struct sockaddr_un address;

	if (make_address(&address, temporary, err) < 0)
		return err->code;
	unlink(temporary);
	/* bind gives the name the mode of the socket: a mode set by name afterwards could be set on
	 * what somebody else has put there. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return fail_system(err, errno, "%s", path);
	if (listen(fd, 64) < 0 || rename(temporary, path) < 0) {
		fail_system(err, errno, "%s", path);
		unlink(temporary);
		return err->code;
	}
	return 0;
}

int control_listen(int *out, const char *path, struct error *err)
{
	struct sockaddr_un address;
	char temporary[sizeof(address.sun_path) + 16];
	int fd, code;

	if (make_address(&address, path, err) < 0 || check_place(path, err) < 0 ||
	    new_socket(&fd, err) < 0)
		return err->code;
	snprintf(temporary, sizeof(temporary), "%s.%x", path, (unsigned)getpid());
	code = listen_there(fd, temporary, path, err);
	if (code < 0) {
		close(fd);
		return code;
	}
	*out = fd;
	return 0;
}

int control_accept(int *out, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), size = 2 * CONTROL_MESSAGE_MAX;
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (fd < 0)
		return ERR_SYSTEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0)) {
		close(fd);
		return ERR_SYSTEM;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*out = fd;
	return 0;
}

/* ---- messages ---- */

union passing {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_text(int fd, const char *text, int pass, struct error *err)
{
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union passing passing = {0};
	ssize_t n;

	if (part.iov_len > CONTROL_MESSAGE_MAX)
		return fail(err, ERR_SYSTEM, "a message of %zu bytes is too long", part.iov_len);
	if (pass >= 0) {
		struct cmsghdr *header;
		message.msg_control = passing.bytes;
		message.msg_controllen = sizeof(passing.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &pass, sizeof(int));
	}
	do {
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? fail_system(err, errno, "the control socket") : 0;
}

int control_send(int fd, struct json_t *message, int pass, struct error *err)
{
	char *text = json_line(message);
	int code;

	json_free(message);
	if (text == NULL)
		return fail_system(err, ENOMEM, "a message");
	code = send_text(fd, text, pass, err);
	free(text);
	return code;
}

/* That there is no memory must be told without any. */
int control_send_error(int fd, const struct error *what, struct error *err)
{
	static const char no_memory[] =
		"{\"error\":{\"code\":\"system\",\"message\":\"the server has no memory\"}}";
	struct json_t *message = json_new(), *error = json_put_object(message, "error");
	int code;

	json_put_text(error, "code", error_code_name(what->code));
	json_put_text(error, "message", what->text);
	code = control_send(fd, message, -1, err);
	return code < 0 && err->sys == ENOMEM ? send_text(fd, no_memory, -1, err) : code;
}

/* Descriptors beyond the first, or not asked for, are closed. */
static void take_descriptors(struct msghdr *message, int *passed)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	for (; header != NULL; header = CMSG_NXTHDR(message, header)) {
		size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (passed != NULL && *passed < 0)
				*passed = fd;
			else
				close(fd);
		}
	}
}

static ssize_t receive_text(int fd, char *to, size_t size, int *passed)
{
	struct iovec part = {to, size};
	union passing passing;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = passing.bytes,
		.msg_controllen = sizeof(passing.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		take_descriptors(&message, passed);
	return n;
}

static ssize_t peek_size(int fd)
{
	ssize_t n;

	do {
		n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* The size of the next message; 0: the other side has gone. */
static ssize_t next_size(int fd, struct error *err)
{
	ssize_t n = peek_size(fd);
	char byte;

	/* The other side has closed before it had read all. What it sent before that is still to be
	 * had, and says why. */
	if (n < 0 && errno == ECONNRESET)
		n = peek_size(fd);
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return fail_system(err, errno, "the control socket");
	if (n > (ssize_t)CONTROL_MESSAGE_MAX) {
		/* The rest of a message that is not wanted goes with its first byte. */
		recv(fd, &byte, 1, 0);
		return fail(err, ERR_USAGE, "a message of %zd bytes is too long", n);
	}
	return n;
}

int control_receive(int fd, struct json_t **out, int *passed, struct error *err)
{
	ssize_t size = next_size(fd, err);
	bool no_memory;
	char *text;

	if (passed != NULL)
		*passed = -1;
	if (size <= 0)
		return (int)size;
	text = malloc((size_t)size);
	if (text == NULL)
		return fail_system(err, ENOMEM, "a message");
	size = receive_text(fd, text, (size_t)size, passed);
	*out = size > 0 ? json_parse(text, (size_t)size) : NULL;
	no_memory = size > 0 && *out == NULL && errno == ENOMEM;
	free(text);
	if (*out != NULL)
		return 1;
	if (passed != NULL && *passed >= 0)
		close(*passed);
	if (no_memory)
		return fail_system(err, ENOMEM, "a message");
	return fail(err, ERR_USAGE, "a message that is no JSON object");
}

int control_error(const struct json_t *message, struct error *err)
{
	const struct json_t *error = json_member(message, "error");
	const char *code = json_member_text(error, "code");
	const char *text = json_member_text(error, "message");

	if (code == NULL || text == NULL)
		return fail(err, ERR_SYSTEM, "the server answers what nobody can read");
	return fail(err, error_code_of(code), "%s", text);
}

struct json_t *control_request(const char *what)
{
	struct json_t *request = json_new();

	json_put_text(request, "execute", what);
	return request;
}
