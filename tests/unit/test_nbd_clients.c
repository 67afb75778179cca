/*
 * The NBD server and clients that stall, die, lie and come in numbers; the end.
 */
#include "tests/unit/nbd_disk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct nbdserver *server_new(const struct nbdserver_options *options)
{
	struct nbdserver *server = NULL;
	struct error err;

	nbdtest_disks_reset();
	CU_ASSERT_EQUAL_FATAL(nbdserver_new(&server, nbdtest_disks, N_DISKS, options, &err), 0);
	return server;
}

static int client_new(struct nbdserver *server)
{
	struct error err;
	int sockets[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	nbdserver_adopt(server, sockets[0], &err);
	return sockets[1];
}

/* The old way, as it is the shortest. */
static int client_of(struct nbdserver *server, const char *name)
{
	uint8_t hello[28];
	char words[100];
	int fd = client_new(server);

	snprintf(words, sizeof words, "w:3 s:IHAVEOPT w:1 w:%zu s:%s", strlen(name), name);
	nbdtest_say(fd, words);
	CU_ASSERT_EQUAL(recv(fd, hello, sizeof hello, MSG_WAITALL), sizeof hello);
	return fd;
}

static bool works(int fd)
{
	nbdtest_say(fd, REQ(0, 0, 5, 4096, 2));
	return nbdtest_hear(fd, SIMPLE(0, 5) "x:2,1");
}

static void wait_for_connections(struct nbdserver *server, unsigned n)
{
	for (int i = 0; i < 1000 && nbdserver_n_connections(server) != n; i++)
		usleep(10000);
	CU_ASSERT_EQUAL(nbdserver_n_connections(server), n);
}

/* ---- exports ---- */

static void exports_are_checked(void)
{
	static const struct nbdserver_ops ops = {0};
	static const struct nbdserver_export bad[][2] = {
		{{.name = "", .ops = &ops}},
		{{.name = "a", .ops = &ops}, {.name = "a", .ops = &ops}},
		{{.name = "a", .size_bytes = 1ull << 63, .ops = &ops}},
		{{.name = "a", .block_min = 3, .ops = &ops}},
		{{.name = "a", .block_max = 64u << 20, .ops = &ops}},
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct nbdserver *server = NULL;
		struct error err;
		CU_ASSERT_EQUAL(nbdserver_new(&server, bad[i], bad[i][1].name ? 2 : 1, NULL, &err),
				ERR_USAGE);
		CU_ASSERT_PTR_NULL(server);
	}
}

static void users_are_counted(void)
{
	struct nbdserver *server = server_new(NULL);
	int one = client_of(server, "disk"), two = client_of(server, "disk");

	CU_ASSERT(works(one));
	CU_ASSERT(works(two));
	CU_ASSERT_EQUAL(nbdserver_export_users(server, DISK), 2);
	CU_ASSERT_EQUAL(nbdserver_export_users(server, SLOW), 0);
	close(one);
	wait_for_connections(server, 1);
	CU_ASSERT_EQUAL(nbdserver_export_users(server, DISK), 1);
	close(two);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

/* ---- clients that cost only themselves ---- */

static void a_stalled_handshake_is_cut(void)
{
	struct nbdserver_options options = {.handshake_s = 1};
	struct nbdserver *server = server_new(&options);
	int silent = client_new(server), slow = client_new(server),
	    good = client_of(server, "disk");
	double begin = scratch_seconds();

	nbdtest_say(slow, "w:3 s:IHAVE");
	/* One who never takes in what it has asked for. */
	int deaf = client_new(server);
	nbdtest_say(deaf, "w:3");
	for (int i = 0; i < 2000; i++) {
		static const char list[] = "IHAVEOPT\0\0\0\3\0\0\0";
		if (send(deaf, list, 16, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	}
	CU_ASSERT(nbdtest_hear(silent, HELLO) && nbdtest_is_closed(silent));
	CU_ASSERT(nbdtest_hear(slow, HELLO) && nbdtest_is_closed(slow));
	wait_for_connections(server, 1);
	CU_ASSERT(scratch_seconds() - begin > 0.9 && scratch_seconds() - begin < 100);
	CU_ASSERT(works(good));
	close(silent);
	close(slow);
	close(deaf);
	close(good);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

static void too_many_are_closed(void)
{
	struct nbdserver_options options = {.n_connections = 2};
	struct nbdserver *server = server_new(&options);
	int one = client_of(server, "disk"), two = client_of(server, "disk");
	int three = client_new(server);

	/* It counts when it asks for an export, and not before. */
	nbdtest_say(three, "w:3 s:IHAVEOPT w:1 w:4 s:disk");
	CU_ASSERT(nbdtest_hear(three, HELLO) && nbdtest_is_closed(three));
	CU_ASSERT(works(one) && works(two));
	close(one);
	wait_for_connections(server, 1);
	int four = client_of(server, "disk");
	CU_ASSERT(works(four));
	close(two);
	close(three);
	close(four);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

/* More than the budget for large buffers, by clients that do not take what they asked for: another
 * one still gets all of a long read behind one head. */
static void the_deaf_hold_up_nobody(void)
{
	enum { N = 10 };
	struct nbdserver *server = server_new(NULL);
	int deaf[N], good = client_of(server, "big");
	static uint8_t reply[16 + (4 << 20)];

	for (int i = 0; i < N; i++) {
		deaf[i] = client_of(server, "big");
		nbdtest_say(deaf[i], REQ(0, 0, 1, 0, 33554432) REQ(0, 0, 1, 0, 33554432));
	}
	for (int i = 0; i < N; i++) /* the head is there: the server sends */
		CU_ASSERT(nbdtest_hear(deaf[i], SIMPLE(0, 1)));
	nbdtest_say(good, REQ(0, 0, 7, 4096, 4194304));
	CU_ASSERT_EQUAL(recv(good, reply, sizeof reply, MSG_WAITALL), sizeof reply);
	CU_ASSERT(memcmp(reply, "\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\7\0", 17) == 0);
	double begin = scratch_seconds();
	nbdserver_stop(server, 100);
	CU_ASSERT(scratch_seconds() - begin < 60);
	CU_ASSERT_EQUAL(nbdserver_n_connections(server), 0);
	nbdserver_free(server);
	for (int i = 0; i < N; i++)
		close(deaf[i]);
	close(good);
}

/* ---- requests that wait ---- */

static void waiting_requests_wait_together(void)
{
	struct nbdserver *server = server_new(NULL);
	int client = client_of(server, "slow");

	nbdtest_slow_us = 50000;
	double begin = scratch_seconds();
	for (int i = 0; i < 16; i++)
		nbdtest_say(client, REQ(0, 0, 5, 4096, 2));
	for (int i = 0; i < 16; i++)
		CU_ASSERT(nbdtest_hear(client, SIMPLE(0, 5) "x:2,1"));
	double took = scratch_seconds() - begin;
	CU_ASSERT(took >= 0.05 && took < 0.4); /* one after the other: 0.8 */
	/* More than there are threads: they stand in line, and all are answered. */
	nbdtest_slow_us = 2000;
	for (int i = 0; i < 100; i++)
		nbdtest_say(client, REQ(0, 0, 5, 4096, 2));
	for (int i = 0; i < 100; i++)
		CU_ASSERT(nbdtest_hear(client, SIMPLE(0, 5) "x:2,1"));
	close(client);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

/* While a write waits, what comes after it must not take its place in memory. */
static void waiting_writes_keep_their_data(void)
{
	struct nbdserver *server = server_new(NULL);
	int client = client_of(server, "slow");
	uint8_t sevens[2000];

	nbdtest_slow_us = 60000;
	memset(sevens, 7, sizeof sevens);
	nbdtest_say(client, REQ(0, 1, 1, 0, 2000) "x:2000,7 ");
	usleep(15000);
	nbdtest_say(client, REQ(0, 1, 1, 8192, 2000) "x:2000,9 ");
	CU_ASSERT(nbdtest_hear(client, SIMPLE(0, 1) SIMPLE(0, 1)));
	CU_ASSERT(memcmp(nbdtest_disk_bytes, sevens, sizeof sevens) == 0);
	CU_ASSERT_EQUAL(nbdtest_disk_bytes[8192], 9);
	close(client);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

static void long_writes_arrive_whole(void)
{
	static const unsigned lengths[] = {16384, 16385, 65535, 65536, 300000, DISK_SIZE - 5};
	struct nbdserver *server = server_new(NULL);
	int client = client_of(server, "disk");
	char words[200];

	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		unsigned n = lengths[i], end = 5 + n;
		nbdtest_disks_reset();
		snprintf(words, sizeof words,
			 "w:0x25609513 h:0 h:1 q:1 q:5 w:%u x:%u,201 x:1,202 x:%u,203", n, n - 2,
			 1);
		nbdtest_say(client, words);
		CU_ASSERT(nbdtest_hear(client, SIMPLE(0, 1)));
		CU_ASSERT(nbdtest_disk_bytes[4] == 0 && nbdtest_disk_bytes[5] == 201);
		CU_ASSERT(nbdtest_disk_bytes[end - 3] == 201 && nbdtest_disk_bytes[end - 2] == 202);
		CU_ASSERT_EQUAL(nbdtest_disk_bytes[end - 1], 203);
		CU_ASSERT(end == DISK_SIZE ||
			  nbdtest_disk_bytes[end] == (uint8_t)(end / BLOCK_SIZE));
	}
	close(client);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

/* ---- the end ---- */

static void stop_answers_what_was_read(void)
{
	struct nbdserver *server = server_new(NULL);
	int client = client_of(server, "slow"), idle = client_of(server, "disk");

	for (int i = 0; i < 10; i++)
		nbdtest_say(client, REQ(0, 0, 5, 4096, 2));
	CU_ASSERT(nbdtest_hear(client, SIMPLE(0, 5) "x:2,1"));
	double begin = scratch_seconds();
	nbdserver_stop(server, 100000);
	CU_ASSERT(scratch_seconds() - begin < 60);
	unsigned n = 1;
	while (nbdtest_hear(client, SIMPLE(0, 5) "x:2,1"))
		n++;
	CU_ASSERT(n <= 10);
	CU_ASSERT(nbdtest_is_closed(client) && nbdtest_is_closed(idle));
	nbdserver_free(server);
	close(client);
	close(idle);
}

/* ---- many ---- */

struct hammer {
	int fd;
	unsigned seed;
	_Atomic unsigned *n_answers;
};

/* Each client writes and reads a part of its own, several requests at once, and ends as it likes.
 */
static void *hammer_main(void *argument)
{
	struct hammer *hammer = argument;
	unsigned part = hammer->seed % 8, at = part * 131072;
	char words[400], reply[400];
	int fd = hammer->fd;

	for (unsigned i = 0; i < 30; i++) {
		unsigned n = i % 5 == 4 ? 100000 : 600 + i, byte = (hammer->seed + i) & 0xff;
		snprintf(words, sizeof words,
			 "w:0x25609513 h:0 h:1 q:1 q:%u w:%u x:%u,%u w:0x25609513 h:1 h:1 q:2 q:%u "
			 "w:1 x:1,3",
			 at, n, n, byte, at + 131071);
		snprintf(reply, sizeof reply, "w:0x67446698 w:0 q:9 x:%u,%u", n, byte);
		nbdtest_say(fd, words);
		uint8_t two[32];
		if (recv(fd, two, sizeof two, MSG_WAITALL) != sizeof two)
			break; /* the server was stopped */
		snprintf(words, sizeof words, "w:0x25609513 h:0 h:0 q:9 q:%u w:%u", at, n);
		nbdtest_say(fd, words);
		if (hammer->seed % 5 == 0 && i == 20)
			break; /* gone with a request in flight */
		if (!nbdtest_hear(fd, reply))
			break;
		(*hammer->n_answers)++;
	}
	close(fd);
	return NULL;
}

static void hammer_all(struct nbdserver *server, unsigned n, _Atomic unsigned *n_answers, bool stop)
{
	pthread_t threads[8];
	struct hammer hammers[8];

	for (unsigned i = 0; i < n; i++) {
		int fd = client_of(server, i % 2 ? "slow" : "disk");
		hammers[i] = (struct hammer){fd, i, n_answers};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer_main, &hammers[i]),
				      0);
	}
	if (stop) {
		usleep(20000);
		nbdserver_stop(server, 50);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void many_at_once(void)
{
	struct nbdserver *server = server_new(NULL);
	_Atomic unsigned n_answers = 0;

	for (int round = 0; round < 4; round++)
		hammer_all(server, 8, &n_answers, false);
	/* Two of the eight leave after 20 of 30. */
	CU_ASSERT_EQUAL(n_answers, 4 * (6 * 30 + 2 * 20));
	wait_for_connections(server, 0);
	nbdserver_stop(server, 1000);
	nbdserver_free(server);
}

static void stopped_while_busy(void)
{
	for (int round = 0; round < 5; round++) {
		struct nbdserver *server = server_new(NULL);
		_Atomic unsigned n_answers = 0;
		hammer_all(server, 8, &n_answers, true);
		CU_ASSERT_EQUAL(nbdserver_n_connections(server), 0);
		nbdserver_free(server);
	}
}

void test_nbd_clients(void)
{
	CU_pSuite suite = CU_add_suite("nbd clients", NULL, NULL);

	CU_ADD_TEST(suite, exports_are_checked);
	CU_ADD_TEST(suite, users_are_counted);
	CU_ADD_TEST(suite, a_stalled_handshake_is_cut);
	CU_ADD_TEST(suite, too_many_are_closed);
	CU_ADD_TEST(suite, the_deaf_hold_up_nobody);
	CU_ADD_TEST(suite, waiting_requests_wait_together);
	CU_ADD_TEST(suite, waiting_writes_keep_their_data);
	CU_ADD_TEST(suite, long_writes_arrive_whole);
	CU_ADD_TEST(suite, stop_answers_what_was_read);
	CU_ADD_TEST(suite, many_at_once);
	CU_ADD_TEST(suite, stopped_while_busy);
	test_nbd_listen();
}
