/* QEMU's monitor, played by a thread. */
#include "base/socket.h"
#include "machine/qemu/qmp.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listening;
static pthread_t thread;
static struct socket_place place;

/* Answers a line: commands that begin with "bad" are refused. */
static void answer(FILE *out, const char *line)
{
	const char *id = strstr(line, "\"id\":");
	unsigned number = 0;

	if (id != NULL && sscanf(id + 5, "%u", &number) == 1)
		fprintf(out,
			strstr(line, ":\"bad") == NULL
				? "{\"return\": {}, \"id\": %u}\r\n"
				: "{\"error\": {\"desc\": \"refused\"}, \"id\": %u}\r\n",
			number);
	fflush(out);
}

/* Hangs up after a command that is called "hang-up". */
static void *play(void *argument)
{
	int fd = accept(listening, NULL, NULL);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r"), *out = fd < 0 ? NULL : fdopen(dup(fd), "w");
	char line[1000];

	(void)argument;
	if (in == NULL || out == NULL)
		return NULL;
	fputs("{\"QMP\": {}}\r\n", out);
	fflush(out);
	while (fgets(line, sizeof(line), in) != NULL && strstr(line, "hang-up") == NULL)
		answer(out, line);
	fclose(in);
	fclose(out);
	return NULL;
}

static struct qmp *connect_to_it(void)
{
	struct error err;
	struct qmp *qmp;

	CU_ASSERT_EQUAL_FATAL(socket_listen(&listening, &place, scratch("qmp"), SOCK_STREAM, &err),
			      0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, play, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(qmp_open(&qmp, scratch("qmp"), &err), 0);
	return qmp;
}

static void disconnect(struct qmp *qmp)
{
	qmp_close(qmp);
	pthread_join(thread, NULL);
	close(listening);
	socket_remove(&place);
}

/* The name of the command that QEMU refused, wherever it stood among those posted. */
static void refused_command_is_named(void)
{
	struct qmp *qmp = connect_to_it();
	struct error err = {0};
	unsigned n;

	for (unsigned i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(qmp_post(qmp, &err, i == 100 ? "bad-one" : "good", NULL), 0);
	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "bad-two", NULL), 0);
	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "good", "{s:i}", "a", 1), 0);
	CU_ASSERT_EQUAL(qmp_settle(qmp, &n, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": bad-one: refused"));
	CU_ASSERT_STRING_EQUAL(qmp_refusal(qmp), "refused");

	err = (struct error){0};
	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "bad-three", NULL), 0);
	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "good", NULL), 0);
	CU_ASSERT_EQUAL(qmp_settle(qmp, &n, &err), ERR_SYSTEM);
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": bad-three: refused"));
	disconnect(qmp);
}

static void unanswered_command_is_named(void)
{
	struct qmp *qmp = connect_to_it();
	struct error err = {0};

	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "good", NULL), 0);
	CU_ASSERT_EQUAL(qmp_settle(qmp, NULL, &err), 0);
	CU_ASSERT_EQUAL(qmp_post(qmp, &err, "hang-up", NULL), 0);
	CU_ASSERT(qmp_settle(qmp, NULL, &err) < 0);
	CU_ASSERT_FALSE(qmp_works(qmp));
	CU_ASSERT(qmp_execute(qmp, NULL, &err, "later", NULL) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": later: the connection is lost"));
	disconnect(qmp);
}

void test_qmp(void)
{
	CU_pSuite suite = CU_add_suite("qmp", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, refused_command_is_named);
	CU_ADD_TEST(suite, unanswered_command_is_named);
}
