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

struct waiting {
	char name[MIRROR_NAME_SIZE];
	uint64_t done_bytes;
};

/* Jobs that have something to write. One with a limit may rest. */
static unsigned find_waiting(const struct json_t *jobs, struct waiting *out)
{
	unsigned n = 0;

	for (size_t i = 0; i < json_length(jobs) && n < MIRROR_DRIVES_MAX; i++) {
		const struct json_t *job = json_item(jobs, i);
		const char *name = json_member_text(job, "device");
		uint64_t all = 0, done = 0, speed = 0;

		json_member_number(job, "len", &all);
		json_member_number(job, "offset", &done);
		json_member_number(job, "speed", &speed);
		if (!mirror_name_is(name, NULL) || strlen(name) >= MIRROR_NAME_SIZE || speed != 0 ||
		    done >= all)
			continue;
		strcpy(out[n].name, name);
		out[n++].done_bytes = done;
	}
	return n;
}

static bool is_among(const struct waiting *one, const struct waiting *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(all[i].name, one->name) == 0 && all[i].done_bytes == one->done_bytes)
			return true;
	}
	return false;
}

static int look(struct qmp *qmp, struct waiting *out, unsigned *n, struct error *err)
{
	struct json_t *jobs;

	TRY(qmp_execute(qmp, &jobs, err, "query-block-jobs", NULL));
	*n = find_waiting(jobs, out);
	json_free(jobs);
	return 0;
}

int mirror_check_answers(struct qmp *qmp, struct error *err)
{
	struct waiting first[MIRROR_DRIVES_MAX], now[MIRROR_DRIVES_MAX];
	int64_t until_ms = clock_ms() + ANSWER_MS;
	unsigned n_first, n;

	TRY(look(qmp, first, &n_first, err));
	while (n_first > 0) {
		clock_sleep_ms(STEP_MS);
		TRY(look(qmp, now, &n, err));
		for (unsigned i = 0; i < n_first;) {
			if (is_among(&first[i], now, n))
				i++;
			else
				first[i] = first[--n_first];
		}
		if (n_first > 0 && clock_ms() > until_ms)
			return fail(
				err, ERR_LOCKED,
				"the target of a mirror of this machine gives no answer, and the "
				"machine would stand still until it does: vmabak mirror abort "
				"ends it");
	}
	return 0;
}
