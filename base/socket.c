#include "base/socket.h"

#include "base/patience.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024 /* a client that does not wait for a place in it gets an error */

int socket_address(struct sockaddr_un *out, const char *path, struct error *err)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (*path == '\0' || strlen(path) >= sizeof(out->sun_path))
		return fail(err, ERR_USAGE, "%s: the path of a socket has 1 to %zu characters",
			    path, sizeof(out->sun_path) - 1);
	strcpy(out->sun_path, path);
	return 0;
}

static int new_socket(int *out, int type, struct error *err)
{
	*out = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	return *out < 0 ? fail_system(err, errno, "socket") : 0;
}

int socket_connect(int *out, const char *path, int type, struct error *err)
{
	struct sockaddr_un address;
	int fd;

	TRY(socket_address(&address, path, err));
	TRY(new_socket(&fd, type, err));
	if (patience_for_sending(fd, PATIENCE_CONNECT_S) != 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		fail_system(err, errno, "%s", path);
		close(fd);
		return err->code;
	}
	*out = fd;
	return 0;
}

/* ---- listening ---- */

/* Whether the path is free, or a socket without a listener. */
static int check_free(const char *path, int type, struct error *err)
{
	struct error refused;
	struct stat found;
	int fd;

	if (lstat(path, &found) != 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	if (!S_ISSOCK(found.st_mode))
		return fail(err, ERR_USAGE, "%s: exists already, and is not a socket", path);
	if (socket_connect(&fd, path, type, &refused) == 0)
		close(fd);
	else if (refused.sys == ECONNREFUSED || refused.sys == ENOENT)
		return 0;
	else if (refused.sys == EPROTOTYPE)
		return fail(err, ERR_USAGE, "%s: another program's socket", path);
	else if (refused.sys != EAGAIN) {
		*err = refused;
		return err->code;
	}
	return fail(err, ERR_LOCKED, "%s: another server listens there", path);
}

/* Under a temporary name first, so that no client finds the socket before it can connect. */
static int bind_place(int fd, struct socket_place *place, struct error *err)
{
	const char *path = place->address.sun_path;
	char name[sizeof(place->address.sun_path) + 16];
	struct sockaddr_un temporary;
	struct stat made;

	snprintf(name, sizeof(name), "%s.%x", path, (unsigned)getpid());
	TRY(socket_address(&temporary, name, err));
	unlink(name); /* left by a dead process with the same number */
	/* bind gives the name the mode of the socket: setting the mode by name afterwards
	 * could change a file that another process has put there. */
	if (fchmod(fd, 0600) != 0 ||
	    bind(fd, (struct sockaddr *)&temporary, sizeof(temporary)) != 0)
		return fail_system(err, errno, "%s: bind", path);
	if (lstat(name, &made) != 0 || listen(fd, BACKLOG) != 0 || rename(name, path) != 0) {
		fail_system(err, errno, "%s", path);
		unlink(name);
		return err->code;
	}
	place->device = made.st_dev;
	place->inode = made.st_ino;
	return 0;
}

int socket_listen(int *out, struct socket_place *place, const char *path, int type,
		  struct error *err)
{
	int fd;

	*place = (struct socket_place){0};
	TRY(socket_address(&place->address, path, err));
	TRY(check_free(path, type & ~SOCK_NONBLOCK, err));
	TRY(new_socket(&fd, type, err));
	if (bind_place(fd, place, err) != 0) {
		close(fd);
		return err->code;
	}
	*out = fd;
	return 0;
}

void socket_remove(const struct socket_place *place)
{
	const char *path = place->address.sun_path;
	struct stat found;

	if (place->inode != 0 && lstat(path, &found) == 0 && found.st_ino == place->inode &&
	    found.st_dev == place->device)
		unlink(path);
}

/* ---- messages ---- */

union passing {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int socket_send(int fd, const void *bytes, size_t n, int pass)
{
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union passing passing = {0};
	ssize_t sent;

	if (pass >= 0) {
		message.msg_control = passing.bytes;
		message.msg_controllen = sizeof(passing.bytes);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &pass, sizeof(int));
	}
	do {
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}

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

ssize_t socket_receive(int fd, void *to, size_t room, int *passed)
{
	struct iovec part = {to, room};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	union passing passing;
	ssize_t got;

	if (passed != NULL)
		*passed = -1;
	do {
		message.msg_control = passing.bytes;
		message.msg_controllen = sizeof(passing.bytes);
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got >= 0)
		take_descriptors(&message, passed);
	return got;
}
