/*
 * Unix sockets: addresses, both ends, and messages that carry a descriptor.
 */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

#include "base/error.h"

#include <sys/types.h>
#include <sys/un.h>

/* ERR_USAGE: the path is empty or too long for a socket. */
int socket_address(struct sockaddr_un *out, const char *path, struct error *err);

/* type: SOCK_STREAM and the like. Waits up to PATIENCE_CONNECT_S for a listener whose queue is
 * full; then err->sys is EAGAIN. */
int socket_connect(int *out, const char *path, int type, struct error *err);

/* Identifies a listening socket's file, because another file may take its name later. */
struct socket_place {
	struct sockaddr_un address;
	dev_t device;
	ino_t inode;
};

/* Listens with mode 0600. The name appears once clients can connect; a socket without a listener is
 * replaced. ERR_USAGE: something else has that name; ERR_LOCKED: another program listens there.
 * type may include SOCK_NONBLOCK. */
int socket_listen(int *out, struct socket_place *place, const char *path, int type,
		  struct error *err);
/* Removes the name if it is still that socket's. */
void socket_remove(const struct socket_place *place);

/* One message, with a descriptor if pass is not -1. 0 or errno; no SIGPIPE. */
int socket_send(int fd, const void *bytes, size_t n, int pass);
/* As recvmsg, without EINTR. *passed: the descriptor that came with it, owned by the caller, or -1;
 * others are closed, and that one too if passed is NULL. */
ssize_t socket_receive(int fd, void *to, size_t room, int *passed);

#endif
