/* QEMU's monitor, played by a thread. */
#include "base/socket.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/qmp.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID     "0123abcd"
#define N_JOBS 70u

static int listening;
static pthread_t thread;
static struct socket_place place;
static unsigned major = 7, minor = 2; /* of its version */

/* Jobs of a run, which the thread alone uses until it has ended. */
static bool is_group; /* when one is cancelled all are */
static bool is_cancelled[N_JOBS], is_dismissed[N_JOBS];
static unsigned n_cancels, n_dismissed;

static void list_jobs(FILE *out)
{
	const char *comma = "";

	fputs("{\"return\": [", out);
	for (unsigned i = 0; i < N_JOBS; i++) {
		if (is_dismissed[i])
			continue;
		fprintf(out, "%s{\"id\": \"vmabak-" ID "-%u\", \"status\": \"%s\"}", comma, i,
			is_cancelled[i] ? "concluded" : "running");
		comma = ", ";
	}
	fputs("]", out);
}

static void change_job(const char *line)
{
	const char *name = strstr(line, "vmabak-" ID "-");
	unsigned job = N_JOBS;

	if (name == NULL || sscanf(name + strlen("vmabak-" ID "-"), "%u", &job) != 1 ||
	    job >= N_JOBS)
		return;
	if (strstr(line, "job-dismiss") != NULL) {
		is_dismissed[job] = true;
		n_dismissed++;
		return;
	}
	n_cancels++;
	for (unsigned i = 0; i < N_JOBS; i++)
		is_cancelled[i] = is_cancelled[i] || is_group || i == job;
}

/* Answers a line: commands that begin with "bad" are refused. */
static void answer(FILE *out, const char *line)
{
	const char *id = strstr(line, "\"id\":"), *next;
	unsigned number = 0;

	while (id != NULL && (next = strstr(id + 1, "\"id\":")) != NULL)
		id = next;
	if (id == NULL || sscanf(id + 5, "%u", &number) != 1)
		return;
	if (strstr(line, "query-jobs") != NULL)
		list_jobs(out);
	else if (strstr(line, ":\"bad") != NULL)
		fputs("{\"error\": {\"desc\": \"refused\"}", out);
	else
		fputs("{\"return\": {}", out);
	if (strstr(line, "job-dismiss") != NULL || strstr(line, "job-cancel") != NULL)
		change_job(line);
	fprintf(out, ", \"id\": %u}\r\n", number);
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
	fprintf(out,
		"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": %u, \"major\": %u}, "
		"\"package\": \"\"}, \"capabilities\": []}}\r\n",
		minor, major);
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

static void end_jobs(bool of_group)
{
	struct error err = {0};
	struct qmp *qmp;

	is_group = of_group;
	n_cancels = n_dismissed = 0;
	memset(is_cancelled, 0, sizeof(is_cancelled));
	memset(is_dismissed, 0, sizeof(is_dismissed));
	qmp = connect_to_it();
	CU_ASSERT_EQUAL(jobs_end(qmp, ID, &err), 0);
	disconnect(qmp);
}

/* QEMU reads a monitor byte by byte. */
static void a_group_is_cancelled_by_one_command(void)
{
	end_jobs(true);
	CU_ASSERT_EQUAL(n_cancels, 1);
	CU_ASSERT_EQUAL(n_dismissed, N_JOBS);
}

static void jobs_that_are_no_group_all_end(void)
{
	end_jobs(false);
	CU_ASSERT_EQUAL(n_cancels, N_JOBS);
	CU_ASSERT_EQUAL(n_dismissed, N_JOBS);
}

static bool outlives(unsigned of_major, unsigned of_minor)
{
	struct qmp *qmp;
	bool does;

	major = of_major;
	minor = of_minor;
	qmp = connect_to_it();
	does = qmp_outlives_clients(qmp);
	disconnect(qmp);
	return does;
}

static void version_tells_what_it_outlives(void)
{
	CU_ASSERT(!outlives(7, 2));
	CU_ASSERT(!outlives(8, 1));
	CU_ASSERT(outlives(8, 2));
	CU_ASSERT(outlives(10, 0));
}

void test_qmp(void)
{
	CU_pSuite suite = CU_add_suite("qmp", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, refused_command_is_named);
	CU_ADD_TEST(suite, unanswered_command_is_named);
	CU_ADD_TEST(suite, a_group_is_cancelled_by_one_command);
	CU_ADD_TEST(suite, jobs_that_are_no_group_all_end);
	CU_ADD_TEST(suite, version_tells_what_it_outlives);
}
