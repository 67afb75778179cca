/*
 * Where the NBD server listens: unix sockets that are new, dead or in use, TCP on loopback.
 */
#include "tests/unit/nbd_disk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct nbdserver *server_new(void)
{
	struct nbdserver *server = NULL;
	struct error err;

	nbdtest_disks_reset();
	CU_ASSERT_EQUAL_FATAL(nbdserver_new(&server, nbdtest_disks, N_DISKS, NULL, &err), 0);
	return server;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void unix_sockets(void)
{
	struct nbdserver *server = server_new(), *other = server_new();
	char place[700];
	const char *path = scratch("nbd.sock");
	struct error err;
	struct stat st;

	snprintf(place, sizeof place, "unix:%s", path);
	CU_ASSERT_EQUAL(nbdserver_listen(server, place, false, &err), 0);
	CU_ASSERT(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
	CU_ASSERT_EQUAL(scratch_count(), 1);
	CU_ASSERT_EQUAL(nbdserver_listen(other, place, false, &err), ERR_LOCKED);
	int fd = connect_unix(path);
	CU_ASSERT(nbdtest_hear(fd, HELLO));
	close(fd);
	nbdserver_stop(server, 1000);
	CU_ASSERT_FALSE(scratch_exists(path));
	nbdserver_free(server);

	/* One that nobody answers at: bound, and then forgotten. */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	CU_ASSERT_EQUAL(nbdserver_listen(other, place, false, &err), 0);
	fd = connect_unix(path);
	CU_ASSERT(nbdtest_hear(fd, HELLO));
	close(fd);
	/* What somebody else has put there since is left alone. */
	unlink(path);
	scratch_write(path, "mine", 4);
	nbdserver_stop(other, 1000);
	CU_ASSERT(scratch_exists(path));
	nbdserver_free(other);
}

static void places_that_are_refused(void)
{
	static const char *const places[] = {
		"127.0.0.1:0", "unix:",	  "unix:/no/such/folder/s", "nonsense", ":80", "localhost:",
		"::1:80",      "unix:%s",
	};
	struct nbdserver *server = server_new();
	struct error err;

	scratch_write(scratch("file"), "mine", 4);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char place[700];
		snprintf(place, sizeof place, strchr(places[i], '%') ? "unix:%s" : "%s%s",
			 strchr(places[i], '%') ? scratch("file") : places[i], "");
		CU_ASSERT_NOT_EQUAL(nbdserver_listen(server, place, false, &err), 0);
	}
	char *kept = scratch_read(scratch("file"), NULL);
	CU_ASSERT_STRING_EQUAL(kept, "mine");
	free(kept);
	/* Plain text does not leave the machine, whatever is asked for. */
	CU_ASSERT_EQUAL(nbdserver_listen(server, "0.0.0.0:0", true, &err), ERR_USAGE);
	CU_ASSERT_EQUAL(nbdserver_listen(server, "[::]:0", true, &err), ERR_USAGE);
	CU_ASSERT_EQUAL(nbdserver_listen(server, "192.0.2.1:0", true, &err), ERR_USAGE);
	nbdserver_stop(server, 0);
	nbdserver_free(server);
}

/* A port that is free now. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void tcp_on_loopback(void)
{
	struct nbdserver *server = server_new();
	struct sockaddr_in address = {.sin_family = AF_INET};
	int port = free_port();
	struct error err;
	char place[40];

	snprintf(place, sizeof place, "127.0.0.1:%d", port);
	CU_ASSERT_EQUAL_FATAL(nbdserver_listen(server, place, true, &err), 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT(nbdtest_hear(fd, HELLO));
	nbdserver_stop(server, 1000);
	CU_ASSERT(nbdtest_is_closed(fd));
	close(fd);
	nbdserver_free(server);
}

void test_nbd_listen(void)
{
	CU_pSuite suite = CU_add_suite("nbd places", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, unix_sockets);
	CU_ADD_TEST(suite, places_that_are_refused);
	CU_ADD_TEST(suite, tcp_on_loopback);
}
