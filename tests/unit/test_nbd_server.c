/*
 * The NBD server, byte by byte: what a client sends, what must come back, and whether the
 * connection is still there then.
 */
#include "tests/unit/nbd_disk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define QUIET_MS    3 /* for nothing more to come */

enum after { OPEN, CLOSED };

struct exchange {
	const char *name, *sent, *expected;
	enum after after;
};

/* All that comes, until as much has come as is wanted and it is quiet, or the end. */
static size_t receive(int fd, uint8_t *out, size_t wanted, size_t room, bool *closed)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	*closed = false;
	while (n < room && poll(&poll_fd, 1, n < wanted ? PATIENCE_MS : QUIET_MS) > 0) {
		ssize_t got = recv(fd, out + n, room - n, 0);
		*closed = got <= 0;
		if (*closed)
			break;
		n += (size_t)got;
	}
	return n;
}

/* Sends, in parts of different length, and takes in what comes meanwhile. */
static void send_bytes(int fd, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(fd, bytes + at, n - at, MSG_NOSIGNAL);
		if (sent < 0)
			return; /* the server need not read to the end */
		at += (size_t)sent;
	}
}

static void report(const struct exchange *exchange, const uint8_t *got, size_t n)
{
	printf("\n    %s: got %zu bytes:", exchange->name, n);
	for (size_t i = 0; i < n && i < 200; i++)
		printf("%s%02x", i % 4 ? "" : " ", got[i]);
	printf("\n");
}

static void try_exchange(struct nbdserver *server, const struct exchange *exchange)
{
	uint8_t *sent, *expected;
	size_t n_sent = nbdtest_words(exchange->sent, &sent);
	size_t n = nbdtest_words(exchange->expected, &expected), room = n + 4096;
	uint8_t *got = malloc(room);
	struct error err;
	int sockets[2];
	bool closed;

	nbdtest_disks_reset();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	CU_ASSERT_EQUAL_FATAL(nbdserver_adopt(server, sockets[0], &err), 0);
	send_bytes(sockets[1], sent, n_sent);
	size_t n_got =
		receive(sockets[1], got, exchange->after == CLOSED ? n + 1 : n, room, &closed);
	if (n_got != n || memcmp(got, expected, n) != 0 || closed != (exchange->after == CLOSED)) {
		report(exchange, got, n_got);
		CU_FAIL("not what was expected");
	}
	close(sockets[1]);
	free(sent);
	free(expected);
	free(got);
}

static void try_exchanges(const struct exchange *exchanges, size_t n)
{
	struct nbdserver_options options = {0};
	struct nbdserver *server = NULL;
	struct error err;

	CU_ASSERT_EQUAL_FATAL(nbdserver_new(&server, nbdtest_disks, N_DISKS, &options, &err), 0);
	for (size_t i = 0; i < n; i++)
		try_exchange(server, &exchanges[i]);
	nbdserver_stop(server, 1000);
	CU_ASSERT_EQUAL(nbdserver_n_connections(server), 0);
	nbdserver_free(server);
}

/* ---- options ---- */

#define META(option, length, queries) OPT(option, length) "w:4 s:disk " queries

static const struct exchange handshakes[] = {
	{"the server speaks first", "", HELLO, OPEN},
	{"unknown flags", "w:7", HELLO, CLOSED},
	{"garbage for an option", "w:3 x:16,0x41", HELLO, CLOSED},
	{"an unknown option", "w:3 " OPT(77, 3) "x:3,1 " OPT(2, 0),
	 HELLO REP_ERROR(77, 1) REP(2, 1, 0), CLOSED},
	{"abort", "w:3 " OPT(2, 0), HELLO REP(2, 1, 0), CLOSED},
	{"the old way: export name", "w:3 " OPT(1, 4) "s:disk", HELLO "q:1048576 h:0x86d ", OPEN},
	{"export name with zeros", "w:1 " OPT(1, 4) "s:disk", HELLO "q:1048576 h:0x86d x:124,0",
	 OPEN},
	{"export name, not fixed newstyle", "w:0 " OPT(1, 4) "s:disk",
	 HELLO "q:1048576 h:0x86d x:124,0", OPEN},
	{"another option, not fixed newstyle", "w:0 " OPT(3, 0), HELLO, CLOSED},
	{"export name: none of that name", "w:3 " OPT(1, 4) "s:dusk", HELLO, CLOSED},
	{"export name: empty, of several", "w:3 " OPT(1, 0), HELLO, CLOSED},
	{"export name, far too long", "w:3 " OPT(1, 70000) "x:70000,65", HELLO, CLOSED},
	{"list", "w:3 " OPT(3, 0),
	 HELLO REP(3, 2, 8) "w:4 s:disk " REP(3, 2, 17) "w:2 s:rofor x:1,32 s:readers " REP(3, 2, 6) "w:2 s:wo " REP(
		 3, 2,
		 8) "w:4 s:bare " REP(3, 2,
				      10) "w:6 s:sector " REP(3, 2,
							      8) "w:4 s:fail " REP(3, 2,
										   8) "w:4 "
										      "s:"
										      "slow"
										      " " REP(3, 2,
											      7) "w"
												 ":"
												 "3"
												 " "
												 "s"
												 ":"
												 "b"
												 "i"
												 "g"
												 " " REP(3,
													 1,
													 0),
	 OPEN},
	{"list with data", "w:3 " OPT(3, 1) "x:1,0", HELLO REP_ERROR(3, 3), OPEN},
	{"tls, and there is none", "w:3 " OPT(5, 0), HELLO REP_ERROR(5, 1), OPEN},
	{"info", "w:3 " OPT(6, 10) "w:4 s:disk h:0", HELLO INFO_DISK(6, 0x86d), OPEN},
	{"info, then go", "w:3 " OPT(6, 10) "w:4 s:disk h:0 " GO_DISK REQ(0, 0, 9, 4096, 2),
	 HELLO INFO_DISK(6, 0x86d) INFO_DISK(7, 0x86d) SIMPLE(0, 9) "x:2,1", OPEN},
	{"go of none", "w:3 " OPT(7, 10) "w:4 s:dusk h:0", HELLO REP_ERROR(7, 6), OPEN},
	{"go without a name", "w:3 " OPT(7, 6) "w:0 h:0", HELLO REP_ERROR(7, 6), OPEN},
	{"go: too short", "w:3 " OPT(7, 5) "w:0 x:1,0", HELLO REP_ERROR(7, 3), OPEN},
	{"go: a name beyond its end", "w:3 " OPT(7, 10) "w:5 s:disk h:0", HELLO REP_ERROR(7, 3),
	 OPEN},
	{"go: a huge name", "w:3 " OPT(7, 10) "w:0xffffffff s:disk h:0", HELLO REP_ERROR(7, 3),
	 OPEN},
	{"go: more requests than there are", "w:3 " OPT(7, 10) "w:4 s:disk h:1",
	 HELLO REP_ERROR(7, 3), OPEN},
	{"go: bytes too many", "w:3 " OPT(7, 12) "w:4 s:disk h:0 h:0", HELLO REP_ERROR(7, 3), OPEN},
	{"info: name and description", "w:3 " OPT(6, 12) "w:2 s:ro h:2 h:1 h:2",
	 HELLO REP(6, 3, 12) "h:0 q:1048576 h:0x10f " REP(6, 3, 14) BLOCKS REP(
		 6, 3, 4) "h:1 s:ro " REP(6, 3, 13) "h:2 s:for x:1,32 s:readers " REP(6, 1, 0),
	 OPEN},
	{"go: blocks that the client does not ask for", "w:3 " OPT(7, 12) "w:6 s:sector h:0",
	 HELLO REP(7, 3, 12) "h:0 q:1048576 h:0x86d " REP(
		 7, 3, 14) "h:3 w:512 w:4096 w:65536 " REP_ERROR(7, 8),
	 OPEN},
	{"go: blocks that it asks for", "w:3 " OPT(7, 14) "w:6 s:sector h:1 h:3",
	 HELLO REP(7, 3, 12) "h:0 q:1048576 h:0x86d " REP(7, 3, 14) "h:3 w:512 w:4096 w:65536 " REP(
		 7, 1, 0),
	 OPEN},
	{"structured replies", "w:3 " STRUCTURED GO_DISK, HELLO REP(8, 1, 0) INFO_DISK(7, 0x8ed),
	 OPEN},
	{"structured replies twice", "w:3 " STRUCTURED STRUCTURED,
	 HELLO REP(8, 1, 0) REP_ERROR(8, 3), OPEN},
	{"structured replies with data", "w:3 " OPT(8, 1) "x:1,0", HELLO REP_ERROR(8, 3), OPEN},
	{"an option too long to be looked at", "w:3 " OPT(7, 70000) "x:70000,0 " OPT(2, 0),
	 HELLO REP_ERROR(7, 9) REP(2, 1, 0), CLOSED},
	{"an option too long to be read", "w:3 " OPT(7, 0x100001), HELLO, CLOSED},
	{"contexts before structured replies", "w:3 " META(10, 12, "w:0"), HELLO REP_ERROR(10, 3),
	 OPEN},
	{"a list of contexts before them", "w:3 " META(9, 12, "w:0"), HELLO REP_ERROR(9, 3), OPEN},
	{"all contexts", "w:3 " STRUCTURED META(9, 12, "w:0"),
	 HELLO REP(8, 1, 0) REP(9, 4, 19) "w:0 s:base:allocation " REP(
		 9, 4,
		 26) "w:0 s:qemu:dirty-bitmap:four " REP(9, 4,
							 25) "w:0 s:qemu:dirty-bitmap:all " REP(9,
												1,
												0),
	 OPEN},
	{"contexts below base:", "w:3 " STRUCTURED META(9, 21, "w:1 w:5 s:base:"),
	 HELLO REP(8, 1, 0) REP(9, 4, 19) "w:0 s:base:allocation " REP(9, 1, 0), OPEN},
	{"contexts below qemu:dirty-bitmap:",
	 "w:3 " STRUCTURED META(9, 34, "w:1 w:18 s:qemu:dirty-bitmap:"),
	 HELLO REP(8, 1, 0) REP(9, 4, 26) "w:0 s:qemu:dirty-bitmap:four " REP(
		 9, 4, 25) "w:0 s:qemu:dirty-bitmap:all " REP(9, 1, 0),
	 OPEN},
	{"choosing what is not named", "w:3 " STRUCTURED META(10, 21, "w:1 w:5 s:base:"),
	 HELLO REP(8, 1, 0) REP(10, 1, 0), OPEN},
	{"choosing what is not there",
	 "w:3 " STRUCTURED META(10, 35, "w:1 w:19 s:qemu:dirty-bitmap:x"),
	 HELLO REP(8, 1, 0) REP(10, 1, 0), OPEN},
	{"choosing one twice, and a bitmap",
	 "w:3 " STRUCTURED META(
		 10, 76,
		 "w:3 w:15 s:base:allocation w:15 s:base:allocation w:22 s:qemu:dirty-bitmap:four"),
	 HELLO REP(8, 1, 0) REP(10, 4, 19) "w:0 s:base:allocation " REP(
		 10, 4, 26) "w:1 s:qemu:dirty-bitmap:four " REP(10, 1, 0),
	 OPEN},
	{"contexts of no export", "w:3 " STRUCTURED OPT(10, 12) "w:4 s:dusk w:0",
	 HELLO REP(8, 1, 0) REP_ERROR(10, 6), OPEN},
	{"contexts: a query beyond its end", "w:3 " STRUCTURED META(10, 21, "w:1 w:6 s:base:"),
	 HELLO REP(8, 1, 0) REP_ERROR(10, 3), OPEN},
	{"contexts: more queries than there are", "w:3 " STRUCTURED META(10, 21, "w:2 w:5 s:base:"),
	 HELLO REP(8, 1, 0) REP_ERROR(10, 3), OPEN},
	{"contexts: a query far beyond the end, and another",
	 "w:3 " STRUCTURED META(10, 25, "w:2 w:0xffffff00 x:9,0"),
	 HELLO REP(8, 1, 0) REP_ERROR(10, 3), OPEN},
	{"contexts: bytes too many", "w:3 " STRUCTURED META(10, 13, "w:0 x:1,0"),
	 HELLO REP(8, 1, 0) REP_ERROR(10, 3), OPEN},
	{"contexts: too short", "w:3 " STRUCTURED OPT(10, 7) "w:0 x:3,0",
	 HELLO REP(8, 1, 0) REP_ERROR(10, 3), OPEN},
};

static void options_are_answered(void)
{
	try_exchanges(handshakes, sizeof handshakes / sizeof *handshakes);
}

/* ---- requests ---- */

/* Before them: what brings a client to an export with simple or with structured replies. */
#define PLAIN(requests)		      "w:3 " GO_DISK requests
#define PLAIN_GETS(replies)	      HELLO INFO_DISK(7, 0x86d) replies
#define RICH(requests)		      "w:3 " STRUCTURED GO_DISK requests
#define RICH_GETS(replies)	      HELLO REP(8, 1, 0) INFO_DISK(7, 0x8ed) replies
#define OLD(name, n, requests)	      "w:3 " OPT(1, n) "s:" name " " requests
#define OLD_GETS(flags, replies)      HELLO "q:1048576 h:" #flags " " replies
#define OLD_RICH(name, n, requests)   "w:3 " STRUCTURED OPT(1, n) "s:" name " " requests
#define OLD_RICH_GETS(flags, replies) HELLO REP(8, 1, 0) "q:1048576 h:" #flags " " replies
#define ALLOCATION		      "w:3 " STRUCTURED META(10, 31, "w:1 w:15 s:base:allocation ") GO_DISK
#define ALLOCATION_GETS \
	HELLO REP(8, 1, 0) REP(10, 4, 19) "w:0 s:base:allocation " REP(10, 1, 0) INFO_DISK(7, 0x8ed)

static const struct exchange requests[] = {
	{"read", PLAIN(REQ(0, 0, 1, 4090, 12)), PLAIN_GETS(SIMPLE(0, 1) "x:6,0 x:6,1"), OPEN},
	{"read, structured", RICH(REQ(0, 0, 1, 4090, 12)),
	 RICH_GETS(CHUNK(1, 1, 1, 20) "q:4090 x:6,0 x:6,1"), OPEN},
	{"three at once", RICH(REQ(0, 0, 1, 0, 1) REQ(0, 0, 2, 4096, 1) REQ(0, 0, 3, 8192, 1)),
	 RICH_GETS(CHUNK(1, 1, 1, 9) "q:0 x:1,0 " CHUNK(1, 1, 2, 9) "q:4096 x:1,1 " CHUNK(
		 1, 1, 3, 9) "q:8192 x:1,2"),
	 OPEN},
	{"read, not to be broken up", RICH(REQ(4, 0, 1, 0, 4096)),
	 RICH_GETS(CHUNK(1, 1, 1, 4104) "q:0 x:4096,0"), OPEN},
	{"not to be broken up, without structured replies", PLAIN(REQ(4, 0, 1, 0, 1)),
	 PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"FUA on a read is let pass", PLAIN(REQ(1, 0, 1, 0, 1)), PLAIN_GETS(SIMPLE(0, 1) "x:1,0"),
	 OPEN},
	{"unknown flag", PLAIN(REQ(64, 0, 1, 0, 1)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"unknown flag, structured", RICH(REQ(64, 0, 1, 0, 1)), RICH_GETS(ERROR_CHUNK(22, 1)),
	 OPEN},
	{"another command's flag on a read", PLAIN(REQ(2, 0, 1, 0, 1)), PLAIN_GETS(SIMPLE(22, 1)),
	 OPEN},
	{"read of nothing", PLAIN(REQ(0, 0, 1, 0, 0)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"read up to the end", PLAIN(REQ(0, 0, 1, 1048575, 1)), PLAIN_GETS(SIMPLE(0, 1) "x:1,255"),
	 OPEN},
	{"read beyond the end", PLAIN(REQ(0, 0, 1, 1048575, 2)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"read far beyond", PLAIN(REQ(0, 0, 1, 0xffffffffffffffff, 2)), PLAIN_GETS(SIMPLE(22, 1)),
	 OPEN},
	{"read of too much", PLAIN(REQ(0, 0, 1, 0, 33554433)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"unknown command", PLAIN(REQ(0, 99, 1, 0, 1)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"cache, which is not offered", PLAIN(REQ(0, 5, 1, 0, 1)), PLAIN_GETS(SIMPLE(22, 1)), OPEN},
	{"garbage for a request", PLAIN("x:28,0x41"), PLAIN_GETS(""), CLOSED},
	{"a request after one, garbage after it", PLAIN(REQ(0, 0, 1, 0, 1) "x:28,0x41"),
	 PLAIN_GETS(SIMPLE(0, 1) "x:1,0"), CLOSED},
	{"disconnect", PLAIN(REQ(0, 0, 1, 0, 1) REQ(0, 2, 2, 0, 0)),
	 PLAIN_GETS(SIMPLE(0, 1) "x:1,0"), CLOSED},
	{"write", PLAIN(REQ(0, 1, 1, 100, 3) "x:3,7 " REQ(0, 0, 2, 99, 5)),
	 PLAIN_GETS(SIMPLE(0, 1) SIMPLE(0, 2) "x:1,0 x:3,7 x:1,0"), OPEN},
	{"write, structured", RICH(REQ(1, 1, 1, 100, 3) "x:3,7 " REQ(0, 0, 2, 100, 1)),
	 RICH_GETS(SIMPLE(0, 1) CHUNK(1, 1, 2, 9) "q:100 x:1,7"), OPEN},
	{"write of nothing", PLAIN(REQ(0, 1, 1, 0, 0) REQ(0, 0, 2, 0, 1)),
	 PLAIN_GETS(SIMPLE(22, 1) SIMPLE(0, 2) "x:1,0"), OPEN},
	{"write beyond the end: its data is passed over",
	 PLAIN(REQ(0, 1, 1, 1048000, 100000) "x:100000,7 " REQ(0, 0, 2, 1048575, 1)),
	 PLAIN_GETS(SIMPLE(28, 1) SIMPLE(0, 2) "x:1,255"), OPEN},
	{"write with a flag that is unknown",
	 RICH(REQ(0x8000, 1, 1, 0, 2) "x:2,7 " REQ(0, 0, 2, 0, 1)),
	 RICH_GETS(ERROR_CHUNK(22, 1) CHUNK(1, 1, 2, 9) "q:0 x:1,0"), OPEN},
	{"write of too much to be passed over", PLAIN(REQ(0, 1, 1, 0, 67108865)), PLAIN_GETS(""),
	 CLOSED},
	{"flush", PLAIN(REQ(0, 3, 1, 0, 0)), PLAIN_GETS(SIMPLE(0, 1)), OPEN},
	{"flush of a range", PLAIN(REQ(0, 3, 1, 0, 1) REQ(0, 3, 2, 1, 0)),
	 PLAIN_GETS(SIMPLE(22, 1) SIMPLE(22, 2)), OPEN},
	{"trim", PLAIN(REQ(0, 4, 1, 4096, 4096) REQ(0, 0, 2, 4096, 1)),
	 PLAIN_GETS(SIMPLE(0, 1) SIMPLE(0, 2) "x:1,0"), OPEN},
	{"trim beyond the end", PLAIN(REQ(0, 4, 1, 4096, 0xffffffff)), PLAIN_GETS(SIMPLE(22, 1)),
	 OPEN},
	{"write zeroes", PLAIN(REQ(0x12, 6, 1, 4096, 1044480) REQ(0, 0, 2, 1048575, 1)),
	 PLAIN_GETS(SIMPLE(0, 1) SIMPLE(0, 2) "x:1,0"), OPEN},
	{"write zeroes beyond the end", PLAIN(REQ(0, 6, 1, 4096, 1048576)),
	 PLAIN_GETS(SIMPLE(28, 1)), OPEN},
	{"status without a context", RICH(REQ(0, 7, 1, 0, 65536)), RICH_GETS(ERROR_CHUNK(22, 1)),
	 OPEN},
	{"status", ALLOCATION REQ(0, 7, 1, 65535, 65538),
	 ALLOCATION_GETS CHUNK(1, 5, 1, 28) "w:0 w:1 w:0 w:65536 w:3 w:1 w:0", OPEN},
	{"status of one extent", ALLOCATION REQ(8, 7, 1, 0, 1048576),
	 ALLOCATION_GETS CHUNK(1, 5, 1, 12) "w:0 w:65536 w:0", OPEN},
	{"status of nothing", ALLOCATION REQ(0, 7, 1, 0, 0), ALLOCATION_GETS ERROR_CHUNK(22, 1),
	 OPEN},
	{"status beyond the end", ALLOCATION REQ(0, 7, 1, 1, 1048576),
	 ALLOCATION_GETS ERROR_CHUNK(22, 1), OPEN},
	{"status of two contexts",
	 "w:3 " STRUCTURED META(10, 57, "w:2 w:22 s:qemu:dirty-bitmap:four w:15 s:base:allocation ")
		 GO_DISK REQ(0, 7, 1, 0, 131072),
	 HELLO REP(8, 1, 0) REP(10, 4, 26) "w:0 s:qemu:dirty-bitmap:four " REP(
		 10, 4, 19) "w:1 s:base:allocation " REP(10, 1, 0) INFO_DISK(7, 0x8ed)
		 CHUNK(0, 5, 1, 20) "w:0 w:65536 w:1 w:65536 w:0 " CHUNK(
			 1, 5, 1, 20) "w:1 w:65536 w:0 w:65536 w:3 ",
	 OPEN},
	{"contexts hold for their export alone",
	 "w:3 " STRUCTURED META(10, 31, "w:1 w:15 s:base:allocation ")
		 OPT(1, 2) "s:ro " REQ(0, 7, 1, 0, 9),
	 HELLO REP(8, 1, 0) REP(10, 4, 19) "w:0 s:base:allocation " REP(
		 10, 1, 0) "q:1048576 h:0x18f " ERROR_CHUNK(22, 1),
	 OPEN},
	{"read-only",
	 OLD("ro", 2, REQ(0, 1, 1, 0, 2) "x:2,0 " REQ(0, 4, 2, 0, 1) REQ(0, 6, 3, 0, 1)),
	 OLD_GETS(0x10f, SIMPLE(1, 1) SIMPLE(1, 2) SIMPLE(1, 3)), OPEN},
	{"write-only", OLD("wo", 2, REQ(0, 0, 1, 0, 2) REQ(0, 1, 2, 0, 1) "x:1,1 "),
	 OLD_GETS(0x86d, SIMPLE(1, 1) SIMPLE(0, 2)), OPEN},
	{"reading only: no flush, and so no FUA",
	 OLD("bare", 4, REQ(0, 3, 1, 0, 0) REQ(1, 0, 2, 0, 1) REQ(0, 0, 3, 0, 1)),
	 OLD_GETS(0x3, SIMPLE(22, 1) SIMPLE(22, 2) SIMPLE(0, 3) "x:1,0"), OPEN},
	{"not a whole sector",
	 OLD("sector", 6, REQ(0, 0, 1, 1, 512) REQ(0, 0, 2, 512, 511) REQ(0, 0, 3, 0, 66048)),
	 OLD_GETS(0x86d, SIMPLE(22, 1) SIMPLE(22, 2) SIMPLE(22, 3)), OPEN},
	{"errors of the export: EPERM EIO ENOSPC EROFS",
	 OLD("fail", 4,
	     REQ(0, 0, 1, 512, 1) REQ(0, 1, 2, 2560, 1) "x:1,0 " REQ(0, 4, 3, 14336, 1)
		     REQ(0, 6, 4, 15360, 1)),
	 OLD_GETS(0x86d, SIMPLE(1, 1) SIMPLE(5, 2) SIMPLE(28, 3) SIMPLE(1, 4)), OPEN},
	{"errors of the export: ENOTSUP of fast zeroes alone, ENOENT, flush",
	 OLD("fail", 4,
	     REQ(16, 6, 1, 48640, 1) REQ(0, 6, 2, 48640, 1) REQ(0, 0, 3, 1024, 1)
		     REQ(0, 3, 4, 0, 0)),
	 OLD_GETS(0x86d, SIMPLE(95, 1) SIMPLE(22, 2) SIMPLE(5, 3) SIMPLE(28, 4)), OPEN},
	{"an error in a simple read is told before any data",
	 OLD("fail", 4, REQ(0, 0, 1, 0, 1048576)), OLD_GETS(0x86d, SIMPLE(5, 1)), OPEN},
	{"an error in the middle of chunks", OLD_RICH("fail", 4, REQ(0, 0, 1, 262144, 786432)),
	 OLD_RICH_GETS(0x8ed, CHUNK(0, 1, 1, 262152) "q:262144 x:262144,1 " CHUNK(
				      0, 1, 1, 262152) "q:524288 x:262144,1 " ERROR_CHUNK(5, 1)),
	 OPEN},
	{"slow", OLD("slow", 4, REQ(0, 0, 1, 4096, 2)), OLD_GETS(0x10d, SIMPLE(0, 1) "x:2,1"),
	 OPEN},
	{"slow, and then the end",
	 OLD("slow", 4, REQ(0, 1, 1, 4096, 2) "x:2,9 " REQ(0, 2, 2, 0, 0)),
	 OLD_GETS(0x10d, SIMPLE(0, 1)), CLOSED},
};

static void requests_are_answered(void)
{
	try_exchanges(requests, sizeof requests / sizeof *requests);
}

/* ---- flags on their way to the export ---- */

static const struct {
	const char *request;
	unsigned flags;
} changes[] = {
	{REQ(0, 1, 1, 0, 1) "x:1,0", 0},
	{REQ(1, 1, 1, 0, 1) "x:1,0", NBDSERVER_FUA},
	{REQ(1, 1, 1, 0, 30000) "x:30000,0", NBDSERVER_FUA},
	{REQ(0, 6, 1, 0, 1), NBDSERVER_MAY_TRIM},
	{REQ(2, 6, 1, 0, 1), 0},
	{REQ(0x12, 6, 1, 0, 1), NBDSERVER_FAST},
	{REQ(0x11, 6, 1, 0, 1), NBDSERVER_FAST | NBDSERVER_MAY_TRIM | NBDSERVER_FUA},
	{REQ(1, 4, 1, 0, 1), NBDSERVER_FUA},
	{REQ(1, 3, 1, 0, 0), 0x100},
};

static void flags_reach_the_export(void)
{
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		char sent[400];
		struct exchange exchange = {changes[i].request, sent, PLAIN_GETS(SIMPLE(0, 1)),
					    OPEN};
		snprintf(sent, sizeof sent, "w:3 %s%s", GO_DISK, changes[i].request);
		try_exchanges(&exchange, 1);
		CU_ASSERT_EQUAL(nbdtest_disk_flags, changes[i].flags);
	}
}

void test_nbd_server(void)
{
	CU_pSuite suite = CU_add_suite("nbd server", NULL, NULL);

	CU_ADD_TEST(suite, options_are_answered);
	CU_ADD_TEST(suite, requests_are_answered);
	CU_ADD_TEST(suite, flags_reach_the_export);
	test_nbd_clients();
}
