#include "nbd/state.h"

#include "base/clock.h"
#include "base/socket.h"

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

#define ADDRESSES_MAX 4u
#define BACKLOG	      1024 /* clients that connect without waiting get an error beyond it */

/* Seconds. A guest's disk may be idle for weeks, so a client may be silent for as long as its host
 * answers keepalives. A peer that vanished is noticed after KEEP_IDLE + KEEP_TRIES * KEEP_STEP,
 * even while replies to it are pending. */
#define KEEP_IDLE  60
#define KEEP_STEP  20
#define KEEP_TRIES 6
#define SOCKET_BUFFER \
	524288 /* bytes, for unix sockets: holds a chunk of a read, and fits in caches */

/* A place to listen at; a host name may have several addresses. */
struct listener {
	struct nbdserver *server;
	unsigned n_fds;
	int fds[ADDRESSES_MAX];
	bool is_unix;
	struct socket_place place; /* of a unix socket */
	const struct listen_steps *steps;
	pthread_t thread;
};

/* ---- accepting ---- */

static void prepare(const struct listener *listener, int fd)
{
	int one = 1, idle = KEEP_IDLE, step = KEEP_STEP, tries = KEEP_TRIES, size = SOCKET_BUFFER;
	unsigned unanswered_ms = 1000 * (KEEP_IDLE + KEEP_TRIES * KEEP_STEP);

	if (listener->is_unix) {
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step, sizeof(step));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

static void accept_one(struct listener *listener, int listening)
{
	struct error err;
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			server_log(listener->server, "nbd server: accept: %s", strerror(errno));
			listener->steps->make_room(listener->server);
			clock_sleep_ms(10); /* it would fail again immediately */
		}
		return;
	}
	prepare(listener, fd);
	if (listener->steps->adopt(listener->server, fd, &err) != 0) {
		server_log(listener->server, "%s", err.text);
		listener->steps->make_room(listener->server);
	}
}

static void *listener_main(void *argument)
{
	struct listener *listener = argument;
	struct pollfd fds[ADDRESSES_MAX + 1];

	for (unsigned i = 0; i < listener->n_fds; i++)
		fds[i] = (struct pollfd){.fd = listener->fds[i], .events = POLLIN};
	fds[listener->n_fds] = (struct pollfd){.fd = listener->server->stop_fd, .events = POLLIN};
	while (!listener->server->stopping) {
		if (poll(fds, listener->n_fds + 1, -1) < 0)
			continue;
		for (unsigned i = 0; i < listener->n_fds; i++)
			if (fds[i].revents != 0 && !listener->server->stopping)
				accept_one(listener, listener->fds[i]);
	}
	return NULL;
}

/* ---- TCP ---- */

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	return false;
}

/* "HOST:PORT" or "[HOST]:PORT". */
static bool split_place(const char *place, char host[256], const char **port)
{
	const char *colon = strrchr(place, ':');

	if (colon == NULL || colon == place || colon[1] == '\0')
		return false;
	const char *begin = place, *end = colon;
	if (*begin == '[') {
		if (end[-1] != ']')
			return false;
		begin++;
		end--;
	} else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
		return false;
	}
	if (end <= begin || end - begin > 255)
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	*port = colon + 1;
	return true;
}

static int bind_tcp(struct listener *listener, const struct addrinfo *info, const char *place,
		    struct error *err)
{
	int one = 1, fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
				 info->ai_protocol);

	if (fd < 0)
		return fail_system(err, errno, "%s: socket", place);
	listener->fds[listener->n_fds++] = fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		int failed = errno;
		if (failed == EADDRINUSE)
			return fail(err, ERR_LOCKED, "%s: another server listens there", place);
		return fail_system(err, failed, "%s: bind", place);
	}
	return 0;
}

/* Plain text must not leave this machine. */
static int check_addresses(const struct listener *listener, const struct addrinfo *list,
			   const char *place, bool plain_loopback, struct error *err)
{
	unsigned n = 0;

	for (const struct addrinfo *info = list; info != NULL; info = info->ai_next, n++) {
		if (listener->server->tls != NULL)
			continue;
		if (!plain_loopback)
			return fail(err, ERR_USAGE,
				    "%s: TCP needs TLS: --tls-certificates DIR or --tls-psk FILE, "
				    "or --plain-loopback for clients on this host",
				    place);
		if (!is_loopback(info->ai_addr))
			return fail(
				err, ERR_USAGE,
				"%s: --plain-loopback is for addresses of this host, others need "
				"TLS: --tls-certificates DIR or --tls-psk FILE",
				place);
	}
	if (n > ADDRESSES_MAX)
		return fail(err, ERR_USAGE, "%s: has more than %u addresses", place, ADDRESSES_MAX);
	return 0;
}

static int open_tcp(struct listener *listener, const char *place, bool plain_loopback,
		    struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	const char *port;
	char host[256];

	if (!split_place(place, host, &port))
		return fail(err, ERR_USAGE, "%s: write unix:PATH, HOST:PORT or [ADDRESS]:PORT",
			    place);
	int failed = getaddrinfo(host, port, &hints, &list);
	if (failed != 0)
		return fail(err, ERR_USAGE, "%s: %s", place, gai_strerror(failed));
	int code = check_addresses(listener, list, place, plain_loopback, err);
	for (const struct addrinfo *info = list; info != NULL && code == 0; info = info->ai_next)
		code = bind_tcp(listener, info, place, err);
	freeaddrinfo(list);
	return code;
}

/* ---- both ---- */

static void listener_free(struct listener *listener)
{
	for (unsigned i = 0; i < listener->n_fds; i++)
		close(listener->fds[i]);
	socket_remove(&listener->place);
	free(listener);
}

void listen_close(struct listener *listener)
{
	pthread_join(listener->thread, NULL);
	listener_free(listener);
}

static int open_unix(struct listener *listener, const char *path, struct error *err)
{
	listener->is_unix = true;
	TRY(socket_listen(&listener->fds[0], &listener->place, path, SOCK_STREAM | SOCK_NONBLOCK,
			  err));
	listener->n_fds = 1;
	return 0;
}

static int open_place(struct listener *listener, const char *place, bool plain_loopback,
		      struct error *err)
{
	if (strncmp(place, "unix:", 5) == 0)
		TRY(open_unix(listener, place + 5, err));
	else
		TRY(open_tcp(listener, place, plain_loopback, err));
	int failed = pthread_create(&listener->thread, NULL, listener_main, listener);
	return failed == 0 ? 0 : fail_start(err, failed, "%s: cannot make a thread", place);
}

int listen_open(struct nbdserver *server, const char *place, bool plain_loopback,
		const struct listen_steps *steps, struct error *err)
{
	if (server->n_listeners == LISTENERS_MAX)
		return fail(err, ERR_USAGE, "%s: more than %u places to listen at", place,
			    LISTENERS_MAX);
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return fail_memory(err);
	listener->server = server;
	listener->steps = steps;
	int code = open_place(listener, place, plain_loopback, err);
	if (code != 0)
		listener_free(listener);
	else
		server->listeners[server->n_listeners++] = listener;
	return code;
}
