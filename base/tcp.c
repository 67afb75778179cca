#include "base/tcp.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/patience.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Takes place, which it changes, apart. */
static bool split(char *place, char **host, char **port)
{
	char *colon = strrchr(place, ':');
	uint64_t number;
	size_t length;

	if (colon == NULL || !parse_number(colon + 1, &number) || number < 1 || number > 65535)
		return false;
	*colon = '\0';
	*port = colon + 1;
	*host = place;
	length = strlen(place);
	if (length > 2 && place[0] == '[' && place[length - 1] == ']') {
		place[length - 1] = '\0';
		*host = place + 1;
		return true;
	}
	return length > 0 && strpbrk(place, ":[]/,= ") == NULL;
}

/* 0 or errno. */
static int finish(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	int64_t until = clock_ms() + PATIENCE_CONNECT_S * 1000;
	socklen_t size = sizeof(int);
	int ready, sys;

	do {
		int64_t left = until - clock_ms();

		ready = poll(&one, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	return ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &size) != 0 ? errno : sys;
}

/* The kernel chooses the address of the other end for a connection that does not leave the host. */
static bool is_local(int fd)
{
	struct sockaddr_storage here = {0}, there = {0};
	socklen_t n_here = sizeof(here), n_there = sizeof(there);
	const struct sockaddr_in *four = (const void *)&there, *own = (const void *)&here;
	const struct sockaddr_in6 *six = (const void *)&there, *own_six = (const void *)&here;

	if (getsockname(fd, (void *)&here, &n_here) != 0 ||
	    getpeername(fd, (void *)&there, &n_there) != 0)
		return false;
	if (there.ss_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ||
		       four->sin_addr.s_addr == own->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&six->sin6_addr, &own_six->sin6_addr);
}

/* Requests are short, and each waits for its answer: TCP must not wait for more to send. 0 or
 * errno. */
static int connect_one(int *out, const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, sys = 0;

	if (fd < 0)
		return errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
		sys = errno == EINPROGRESS ? finish(fd) : errno;
	if (sys != 0)
		close(fd);
	else
		*out = fd;
	return sys;
}

static int connect_first(int *out, const char *place, const struct addrinfo *all, struct error *err)
{
	int sys = 0;

	for (; all != NULL; all = all->ai_next) {
		sys = connect_one(out, all);
		if (sys != 0)
			continue;
		if (is_local(*out))
			return 0;
		close(*out);
		return fail(err, ERR_USAGE, "tcp:%.200s: is not this host", place);
	}
	return fail_system(err, sys, "tcp:%.200s", place);
}

int tcp_connect(int *out, const char *place, struct error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *all;
	char *text = strdup(place), *host, *port;
	int code = 0, found;

	if (text == NULL)
		return fail_memory(err);
	if (!split(text, &host, &port)) {
		code = fail(err, ERR_USAGE,
			    "tcp:%.200s: must be tcp:HOST:PORT, such as tcp:127.0.0.1:4444 or "
			    "tcp:[::1]:4444",
			    place);
	} else {
		found = getaddrinfo(host, port, &hints, &all);
		if (found != 0)
			code = fail(err, ERR_SYSTEM, "tcp:%.200s: %s", place, gai_strerror(found));
	}
	free(text);
	if (code != 0)
		return code;
	code = connect_first(out, place, all, err);
	freeaddrinfo(all);
	return code;
}
