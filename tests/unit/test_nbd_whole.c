/* A write reaches the export as one, however long: an instant of a backup lies before it or after.
 */
#include "nbd/server.h"
#include "tests/unit/nbd_disk.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE (32u << 20)

static unsigned n_writes;
static uint32_t longest;

static int take_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	const uint8_t *bytes = from;

	(void)context;
	(void)offset;
	if (flags & NBDSERVER_NOW)
		return EAGAIN; /* as when a cluster has to be saved first */
	n_writes++;
	longest = n > longest ? n : longest;
	return bytes[0] == 1 && bytes[n - 1] == 2 ? 0 : EIO;
}

static int read_nothing(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)offset;
	(void)flags;
	memset(to, 0, n);
	return 0;
}

static bool send_words(int fd, const char *words)
{
	uint8_t *bytes;
	size_t n = nbdtest_words(words, &bytes);
	bool sent = send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;

	free(bytes);
	return sent;
}

static void write_of(int fd, uint32_t n_bytes)
{
	uint8_t *payload = calloc(1, n_bytes), reply[16];
	char words[128];

	payload[0] = 1;
	payload[n_bytes - 1] = 2;
	snprintf(words, sizeof words, "w:0x25609513 h:0 h:1 q:9 q:0 w:%u", n_bytes);
	n_writes = longest = 0;
	CU_ASSERT(send_words(fd, words));
	for (size_t at = 0; at < n_bytes;) {
		ssize_t n = send(fd, payload + at, n_bytes - at, MSG_NOSIGNAL);
		CU_ASSERT_FATAL(n > 0);
		at += (size_t)n;
	}
	CU_ASSERT_EQUAL(recv(fd, reply, sizeof reply, MSG_WAITALL), sizeof reply);
	CU_ASSERT(memcmp(reply + 4, "\0\0\0\0", 4) == 0);
	CU_ASSERT_EQUAL(n_writes, 1);
	CU_ASSERT_EQUAL(longest, n_bytes);
	free(payload);
}

static void test_whole(void)
{
	static const uint32_t lengths[] = {4096, 131073, 1048576, 1048577, 2u << 20, SIZE, 5000000};
	static const struct nbdserver_ops ops = {.read = read_nothing, .write = take_write};
	const struct nbdserver_export export = {.name = "a", .size_bytes = SIZE, .ops = &ops};
	struct nbdserver *server = NULL;
	struct error err;
	uint8_t hello[28];
	int sockets[2];

	CU_ASSERT_EQUAL_FATAL(nbdserver_new(&server, &export, 1, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	CU_ASSERT_EQUAL(nbdserver_adopt(server, sockets[0], &err), 0);
	CU_ASSERT(send_words(sockets[1], "w:3 s:IHAVEOPT w:1 w:1 s:a"));
	CU_ASSERT_EQUAL(recv(sockets[1], hello, sizeof hello, MSG_WAITALL), sizeof hello);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		write_of(sockets[1], lengths[i]);
	close(sockets[1]);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

void test_nbd_whole(void)
{
	CU_pSuite suite = CU_add_suite("nbd: whole writes", NULL, NULL);

	CU_add_test(suite, "a write is one", test_whole);
}
