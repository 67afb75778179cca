/*
 * vmabak qemu-guard --qmp SOCKET [--guest-agent SOCKET] ID: what cli/guard.c starts. It waits at
 * descriptor 3, and when that ends without a word, cleans up after run ID.
 */
#include "cli/agent.h"
#include "cli/commands.h"
#include "cli/fleece.h"
#include "cli/guard.h"
#include "cli/meetingplace.h"
#include "cli/qemujobs.h"
#include "cli/qmp.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 30 /* a second apart: the next run of the same user may be at the monitor */

static void thaw(const char *socket)
{
	struct agent *agent;
	struct error ignored;

	if (agent_open(&agent, socket, &ignored) < 0)
		return;
	agent_thaw(agent, &ignored);
	agent_close(agent);
}

static int clean_up(const char *socket, const char *id, struct error *err)
{
	struct qmp *qmp;
	unsigned n;
	int result = qmp_open(&qmp, socket, err);

	if (result < 0)
		return result;
	result = leftovers_remove(qmp, id, &n, err);
	qmp_close(qmp);
	return result;
}

/* Where QEMU was not even told of it. */
static void remove_files(const char *scratch, const char *id)
{
	struct error ignored;
	char *path = NULL;

	if (scratch == NULL)
		path = meetingplace_path(id);
	else if (meetingplace_path_in(&path, scratch, id, &ignored) < 0)
		return;
	fleece_remove_files(path);
	free(path);
}

int cmd_qemu_guard(const struct options *options, struct report *report)
{
	const char *id = options->arguments.items[0];
	const struct timespec second = {.tv_sec = 1};
	struct error err = {0};
	char word;
	int result = -1;

	if (options->qmp == NULL || strlen(id) != RUN_ID_SIZE - 1)
		fail(&err, ERR_USAGE, "qemu-guard is started by backup --qmp");
	if (err.code != 0)
		return report_error(report, NULL, &err);
	word = guard_last_word();
	if (word == 'D')
		return EXIT_DONE;
	if (word == 'F' && options->guest_agent != NULL)
		thaw(options->guest_agent);
	for (int i = 0; i < TRIES && result < 0; i++) {
		if (i > 0)
			nanosleep(&second, NULL);
		result = clean_up(options->qmp, id, &err);
	}
	remove_files(options->scratch, id);
	return result < 0 ? report_error(report, NULL, &err) : EXIT_DONE;
}
