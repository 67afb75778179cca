#include "machine/held.h"

#include "nbd/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DROP_BYTES 65536

void held_add(struct held *held, int fd)
{
	if (held->n < HELD_MAX)
		held->fds[held->n++] = fd;
	else
		close(fd);
}

/* False: QEMU has ended it. */
static bool drop_some(int fd)
{
	uint8_t dropped[DROP_BYTES];
	ssize_t got = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);

	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void *drop(void *context)
{
	struct held *held = context;
	struct pollfd all[HELD_MAX];
	unsigned n_open = held->n;

	for (unsigned i = 0; i < held->n; i++)
		all[i] = (struct pollfd){.fd = held->fds[i], .events = POLLIN};
	while (n_open > 0) {
		if (poll(all, held->n, -1) <= 0)
			continue;
		for (unsigned i = 0; i < held->n; i++) {
			if (all[i].fd < 0 || all[i].revents == 0 || drop_some(all[i].fd))
				continue;
			all[i].fd = -1;
			n_open--;
		}
	}
	return NULL;
}

void held_begin(struct held *held)
{
	if (held->n == 0)
		return;
	for (unsigned i = 0; i < held->n; i++)
		nbdclient_spoil(held->fds[i]);
	held->reads = pthread_create(&held->thread, NULL, drop, held) == 0;
}

void held_wait(struct held *held)
{
	if (held->reads)
		pthread_join(held->thread, NULL);
	else
		drop(held);
	held->reads = false;
}

void held_close(struct held *held)
{
	while (held->n > 0)
		close(held->fds[--held->n]);
}
