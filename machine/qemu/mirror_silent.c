/*
 * The targets of mirrors that give no answer. What QEMU does to begin a job, or to add or remove a
 * node, it does once nothing is in flight; so it would wait for them, in its main loop, and the
 * guest with it. To cut the connection by "yank" does not help where the drive is in an iothread:
 * the request stays in flight, as was seen of 7.2 and 10.0.
 */
#include "machine/qemu/mirror_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "machine/qemu/mirror.h"
#include "machine/qemu/qmp.h"

#include <string.h>

#define ANSWER_MS 3000
#define STEP_MS	  20
#define JOB_MS	  150 /* a job that has copied all looks for more each 100 ms */

struct waiting {
	char name[MIRROR_NAME_SIZE];
	uint64_t done_bytes, speed;
};

static bool goes_on(const struct json_t *job)
{
	const char *status = json_member_text(job, "status");

	return status != NULL && (strcmp(status, "running") == 0 || strcmp(status, "ready") == 0);
}

/* Jobs of mirrors; with has_work, those that have something to write. */
static unsigned find_jobs(const struct json_t *jobs, bool has_work, struct waiting *out)
{
	unsigned n = 0;

	for (size_t i = 0; i < json_length(jobs) && n < MIRROR_DRIVES_MAX; i++) {
		const struct json_t *job = json_item(jobs, i);
		const char *name = json_member_text(job, "device");
		uint64_t all = 0, done = 0, speed = 0;

		json_member_number(job, "len", &all);
		json_member_number(job, "offset", &done);
		json_member_number(job, "speed", &speed);
		if (!mirror_name_is(name, NULL) || strlen(name) >= MIRROR_NAME_SIZE ||
		    !goes_on(job) || (has_work && done >= all))
			continue;
		strcpy(out[n].name, name);
		out[n].speed = speed;
		out[n++].done_bytes = done;
	}
	return n;
}

/* One that has a limit rests, and is not to be taken for one that waits: it has none meanwhile. */
static void set_limits(struct qmp *qmp, const struct waiting *jobs, unsigned n, bool limited)
{
	struct error ignored;

	for (unsigned i = 0; i < n && qmp_works(qmp); i++) {
		if (jobs[i].speed != 0)
			qmp_post(qmp, &ignored, "block-job-set-speed", "{s:s, s:I}", "device",
				 jobs[i].name, "speed", (long long)(limited ? jobs[i].speed : 0));
	}
	qmp_settle(qmp, NULL, &ignored); /* one may have ended */
}

static bool is_among(const struct waiting *one, const struct waiting *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(all[i].name, one->name) == 0 && all[i].done_bytes == one->done_bytes)
			return true;
	}
	return false;
}

static int look(struct qmp *qmp, bool has_work, struct waiting *out, unsigned *n,
		struct error *err)
{
	struct json_t *jobs;

	TRY(qmp_execute(qmp, &jobs, err, "query-block-jobs", NULL));
	*n = find_jobs(jobs, has_work, out);
	json_free(jobs);
	return 0;
}

/* Until each of them has written something, or has ended. */
static int await_answers(struct qmp *qmp, struct waiting *jobs, unsigned n, struct error *err)
{
	struct waiting now[MIRROR_DRIVES_MAX];
	int64_t until_ms = clock_ms() + ANSWER_MS;
	unsigned n_now;

	while (n > 0) {
		clock_sleep_ms(STEP_MS);
		TRY(look(qmp, true, now, &n_now, err));
		for (unsigned i = 0; i < n;) {
			if (is_among(&jobs[i], now, n_now))
				i++;
			else
				jobs[i] = jobs[--n];
		}
		if (n > 0 && clock_ms() > until_ms)
			return fail(
				err, ERR_LOCKED,
				"the target of a mirror of this machine gives no answer, and the "
				"machine would stand still until it does: vmabak mirror abort "
				"ends it");
	}
	return 0;
}

int mirror_check_answers(struct qmp *qmp, struct error *err)
{
	struct waiting jobs[MIRROR_DRIVES_MAX], awaited[MIRROR_DRIVES_MAX];
	unsigned n;
	int code;

	TRY(look(qmp, false, jobs, &n, err));
	if (n == 0)
		return 0;
	clock_sleep_ms(JOB_MS);
	TRY(look(qmp, true, jobs, &n, err));
	memcpy(awaited, jobs, n * sizeof(*jobs));
	set_limits(qmp, jobs, n, false);
	code = await_answers(qmp, awaited, n, err);
	set_limits(qmp, jobs, n, true);
	return code;
}
