#include "tests/fuzz/script_peer.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LONG_PIECE (1u << 20)
#define LONG_MAX   20u	    /* of them in a script */
#define LOOK_NS	   5000000u /* that a look at the clock takes */

static struct peer {
	const uint8_t *script;
	size_t n, at;
	bool hangs_up, expected;
	int fd, other; /* ours, and the number of theirs; 0: not connected */
	uint8_t *left; /* of a piece that did not fit: borrowed */
	size_t n_left;
	unsigned n_long;
	uint64_t id, passed_ns;
	char heard[16384];
} peer;

static uint8_t piece[LONG_PIECE + 131072];

int __real_connect(int fd, const struct sockaddr *address, socklen_t n);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

void script_peer_use(const uint8_t *script, size_t size, bool hangs_up)
{
	uint64_t passed_ns = peer.passed_ns; /* the clock only goes on */
	memset(&peer, 0, offsetof(struct peer, heard));
	peer.script = script;
	peer.n = size;
	peer.hangs_up = hangs_up;
	peer.expected = true;
	peer.passed_ns = passed_ns;
}

void script_peer_end(void)
{
	if (peer.fd > 0)
		close(peer.fd);
	peer.fd = peer.other = 0;
	peer.expected = false;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n)
{
	int sockets[2];
	(void)address, (void)n;
	if (!peer.expected) {
		errno = ECONNREFUSED;
		return -1;
	}
	peer.expected = false;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	MUST(dup2(sockets[0], fd) == fd);
	close(sockets[0]);
	peer.fd = sockets[1];
	peer.other = fd;
	return 0;
}

/* What was asked: only its number counts. */
static void hear(void)
{
	ssize_t n;
	while ((n = recv(peer.fd, peer.heard, sizeof peer.heard - 1, MSG_DONTWAIT)) > 0) {
		peer.heard[n] = '\0';
		for (char *at = peer.heard; (at = strstr(at, "\"id\":")) != NULL; at++)
			peer.id = strtoull(at + 5, NULL, 10);
	}
}

static size_t put_byte(size_t n, uint8_t byte)
{
	if (byte == 3) {
		if (peer.n_long++ < LONG_MAX && n < 65536) {
			memset(piece + n, 'a', LONG_PIECE);
			return n + LONG_PIECE;
		}
		return n;
	}
	if (byte == 4)
		return n + (size_t)sprintf((char *)piece + n, "%llu", (unsigned long long)peer.id);
	piece[n] = byte;
	return n + 1;
}

/* The next piece; returns whether there was one. *silent: the time is to be over. */
static bool take_piece(bool *silent)
{
	size_t n = 0;
	uint8_t byte = 0;
	*silent = false;
	while (peer.at < peer.n && byte != '\n' && n + 64 < sizeof piece) {
		byte = peer.script[peer.at++];
		if (byte == 1 || byte == 2)
			break;
		n = put_byte(n, byte);
	}
	*silent = byte == 2;
	peer.left = piece;
	peer.n_left = n;
	return n > 0 || peer.at < peer.n;
}

static void say(void)
{
	while (peer.n_left > 0) {
		ssize_t sent = send(peer.fd, peer.left, peer.n_left, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		peer.left += sent;
		peer.n_left -= (size_t)sent;
	}
}

static int wait_in_vain(int timeout_ms)
{
	MUST(timeout_ms >= 0); /* nobody may wait for ever */
	peer.passed_ns += (uint64_t)timeout_ms * 1000000u;
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	bool silent = false;
	if (n != 1 || peer.fd <= 0 || fds->fd != peer.other)
		return __real_poll(fds, n, timeout_ms);
	hear();
	if (fds->events & POLLOUT)
		return __real_poll(fds, n, timeout_ms);
	do {
		say();
		if (__real_poll(fds, n, 0) > 0)
			return 1;
	} while (!silent && take_piece(&silent));
	if (!silent && peer.at == peer.n && peer.hangs_up) {
		shutdown(peer.fd, SHUT_RDWR);
		return __real_poll(fds, n, 0);
	}
	return wait_in_vain(timeout_ms);
}

/* Each look costs, as somebody who talks without end takes time too. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = __real_clock_gettime(clock, now);
	if (clock == CLOCK_MONOTONIC && result == 0) {
		peer.passed_ns += LOOK_NS;
		uint64_t ns = (uint64_t)now->tv_nsec + peer.passed_ns;
		now->tv_sec += (time_t)(ns / 1000000000u);
		now->tv_nsec = (long)(ns % 1000000000u);
	}
	return result;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)left;
	peer.passed_ns += (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
	return 0;
}
