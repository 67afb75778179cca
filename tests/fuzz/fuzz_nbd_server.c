/* What a client of the NBD server sends. The first byte chooses what is sent before it: nothing, or
 * a handshake up to requests. The server must end the connection, and what it says must be whole
 * messages. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/nbd_disk.h"

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE_MAX_BYTES 8192u /* of an input: a request of 28 bytes is answered by up to 192 KiB */
#define EXPORT_BYTES   196608u
#define REPLY_ROOM     (SIZE_MAX_BYTES / 28 * (EXPORT_BYTES + 4096) + 1048576)

static const char *const beginnings[] = {
	"",
	"w:3 " STRUCTURED OPT(10, 57) "w:4 s:disk w:2 w:22 s:qemu:dirty-bitmap:four "
				      "w:15 s:base:allocation " GO_DISK,
	"w:3 " GO_DISK,
	"w:3 " STRUCTURED OPT(1, 4) "s:fail ",
};

static struct nbdserver *server;
static uint8_t *said;

static void start(void)
{
	static const unsigned used[] = {DISK, READ_ONLY_DISK, SECTOR, FAIL};
	struct nbdserver_export exports[4];
	struct error err;

	for (unsigned i = 0; i < 4; i++) {
		exports[i] = nbdtest_disks[used[i]];
		exports[i].size_bytes = EXPORT_BYTES;
	}
	said = malloc(REPLY_ROOM);
	MUST(said && nbdserver_new(&server, exports, 4, NULL, &err) == 0);
}

/* Sends all, and takes in all that comes until the server has nothing more to say. */
static size_t talk(int fd, const uint8_t *bytes, size_t n)
{
	size_t at = 0, n_said = 0;
	ssize_t got = 1;

	if (n == 0)
		shutdown(fd, SHUT_WR);
	while (got > 0) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN | (at < n ? POLLOUT : 0)};
		MUST(poll(&poll_fd, 1, 15000) != 0); /* the fuzzer's alarm may break it off */
		if (poll_fd.revents & POLLOUT && at < n) {
			ssize_t sent = send(fd, bytes + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
			at = sent < 0 ? n : at + (size_t)sent;
			if (at == n)
				shutdown(fd, SHUT_WR);
		}
		if (!(poll_fd.revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		MUST(n_said < REPLY_ROOM);
		got = recv(fd, said + n_said, REPLY_ROOM - n_said, 0);
		n_said += got > 0 ? (size_t)got : 0;
	}
	return n_said;
}

static uint64_t integer(const uint8_t *bytes, unsigned n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | *bytes++;
	return value;
}

/* From the end of the handshake of beginnings[1] on: chunks, and simple replies without data. */
static void check_replies(size_t at, size_t n)
{
	while (at < n) {
		MUST(n - at >= 16);
		uint64_t magic = integer(said + at, 4);
		MUST(magic == 0x67446698 || magic == 0x668e33ef);
		if (magic == 0x67446698) {
			at += 16;
			continue;
		}
		MUST(n - at >= 20);
		uint64_t length = integer(said + at + 16, 4);
		MUST(length <= n - at - 20);
		at += 20 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err;
	int sockets[2];
	uint8_t *bytes;

	if (size == 0 || size > SIZE_MAX_BYTES)
		return 0;
	if (!server)
		start();
	unsigned choice = data[0] % 4;
	size_t n = nbdtest_words(beginnings[choice], &bytes);
	bytes = realloc(bytes, n + size);
	MUST(bytes != NULL);
	memcpy(bytes + n, data + 1, size - 1);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	MUST(nbdserver_adopt(server, sockets[0], &err) == 0);
	size_t n_said = talk(sockets[1], bytes, n + size - 1);
	close(sockets[1]);
	free(bytes);
	MUST(n_said >= 18 && memcmp(said, "NBDMAGICIHAVEOPT\0\3", 18) == 0);
	/* 18 + 20 + (20 + 26) + (20 + 19) + 20 of contexts, 32 + 34 + 20 of go. */
	if (choice == 1)
		check_replies(229, n_said);
	while (nbdserver_n_connections(server) > 0)
		sched_yield();
	return 0;
}
