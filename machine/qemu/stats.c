#include "machine/qemu/stats.h"

#include "base/clock.h"
#include "base/json.h"
#include "machine/qemu/qmp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The counters of the device on the node, in *answer, which is the caller's. NULL: none. */
static const struct json_t *stats_of(struct qmp *qmp, const char *node, struct json_t **answer)
{
	struct error ignored;

	*answer = NULL;
	if (qmp_execute(qmp, answer, &ignored, "query-blockstats", NULL) < 0) {
		*answer = NULL;
		return NULL;
	}
	for (size_t i = 0; i < json_length(*answer); i++) {
		const struct json_t *one = json_item(*answer, i);
		const char *name = json_member_text(one, "node-name");

		if (name != NULL && strcmp(name, node) == 0)
			return json_member(one, "stats");
	}
	return NULL;
}

uint64_t stats_last_request_ns(struct qmp *qmp, const char *node)
{
	uint64_t now = clock_real_ns(), idle = 0, found = 0;
	struct json_t *answer;
	const struct json_t *stats = stats_of(qmp, node, &answer);

	if (stats != NULL && json_member_number(stats, "idle_time_ns", &idle) && idle < now)
		found = now - idle;
	json_free(answer);
	return found;
}

/* Since boot, in clock ticks; field 22 of /proc/PID/stat, whose second may hold anything. */
static bool read_start(pid_t pid, uint64_t *out)
{
	char path[40], text[1024];
	const char *at;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')');
	for (unsigned field = 2; at != NULL && field < 22; field++) {
		at = strchr(at, ' ');
		at = at == NULL ? NULL : at + 1;
	}
	if (at == NULL)
		return false;
	*out = strtoull(at, NULL, 10);
	return *out > 0;
}

static uint64_t process_began_ns(struct qmp *qmp)
{
	struct timespec up;
	struct ucred peer;
	uint64_t ticks, began_ns, up_ns;

	if (!qmp_peer(qmp, &peer) || peer.pid <= 0 || !read_start(peer.pid, &ticks))
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &up);
	up_ns = (uint64_t)up.tv_sec * 1000000000u + (uint64_t)up.tv_nsec;
	began_ns = (ticks + 1) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	return clock_real_ns() - (up_ns > began_ns ? up_ns - began_ns : 0);
}

uint64_t stats_unwritten_since_ns(struct qmp *qmp, const char *node)
{
	struct json_t *answer;
	const struct json_t *stats = stats_of(qmp, node, &answer);
	uint64_t n = 1, n_trims = 0;
	bool none = stats != NULL && json_member_number(stats, "wr_operations", &n) && n == 0 &&
		    (!json_member_number(stats, "unmap_operations", &n_trims) || n_trims == 0);

	json_free(answer);
	return none ? process_began_ns(qmp) : 0;
}

static bool status_is(struct qmp *qmp, bool (*wanted)(const struct json_t *answer))
{
	struct json_t *answer;
	struct error ignored;
	bool is;

	if (qmp_execute(qmp, &answer, &ignored, "query-status", NULL) < 0)
		return false;
	is = json_member_text(answer, "status") != NULL && wanted(answer);
	json_free(answer);
	return is;
}

static bool is_still(const struct json_t *answer)
{
	return !json_member_bool(answer, "running");
}

static bool has_moved(const struct json_t *answer)
{
	return strcmp(json_member_text(answer, "status"), "postmigrate") == 0;
}

bool stats_machine_is_still(struct qmp *qmp)
{
	return status_is(qmp, is_still);
}

bool stats_machine_has_moved(struct qmp *qmp)
{
	return status_is(qmp, has_moved);
}
