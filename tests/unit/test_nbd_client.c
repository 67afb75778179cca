/* How often a client connects to a server. */
#include "nbd/client.h"
#include "nbd/server.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#if HAVE_LIBNBD

#define MIB (UINT64_C(1) << 20)

static int read_zeros(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	(void)context;
	(void)offset;
	(void)flags;
	memset(to, 0, n);
	return 0;
}

/* If the server announces that it can be. With many small drives each connection costs more than it
 * brings. */
static void more_connections_to_large_drives(void)
{
	static const struct nbdserver_ops ops = {.read = read_zeros};
	static const struct {
		uint64_t size_bytes;
		bool multi_conn;
		unsigned n;
	} cases[] = {
		{512, true, 1},		{255 * MIB, true, 1},  {256 * MIB, true, 2},
		{512 * MIB, true, 3},	{1024 * MIB, true, 4}, {(1 << 20) * MIB, true, 4},
		{1024 * MIB, false, 1},
	};
	char uri[300], place[300];
	struct error err;

	snprintf(uri, sizeof(uri), "nbd+unix:///a?socket=%s", scratch("socket"));
	snprintf(place, sizeof(place), "unix:%s", scratch("socket"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct nbdserver_export export = {
			.name = "a",
			.size_bytes = cases[i].size_bytes,
			.multi_conn = cases[i].multi_conn,
			.read_only = true,
			.ops = &ops,
		};
		struct nbdserver *server;
		struct nbdclient *client;

		CU_ASSERT_EQUAL_FATAL(nbdserver_new(&server, &export, 1, NULL, &err), 0);
		CU_ASSERT_EQUAL_FATAL(nbdserver_listen(server, place, false, &err), 0);
		CU_ASSERT_EQUAL_FATAL(nbdclient_connect(&client, uri, &err), 0);
		/* A server counts a connection from when it is accepted. */
		CU_ASSERT_EQUAL(nbdserver_n_connections(server), cases[i].n);
		nbdclient_free(client);
		nbdserver_stop(server, 1000);
		nbdserver_free(server);
	}
}

void test_nbd_client(void)
{
	CU_pSuite suite = CU_add_suite("nbd client", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, more_connections_to_large_drives);
}

#else

void test_nbd_client(void)
{
}

#endif
