#include "machine/qemu/migration.h"

#include "base/json.h"
#include "machine/qemu/qmp.h"

#include <string.h>

/* Of a migration that is over. Later versions may have more states of one that runs. */
static bool is_over(const char *status)
{
	static const char *const states[] = {"none", "completed", "failed", "cancelled"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(status, states[i]) == 0)
			return true;
	}
	return false;
}

/* A qemu-storage-daemon knows no such command. */
int migration_check(struct qmp *qmp, struct error *err)
{
	struct error refused = {0};
	struct json_t *answer;
	const char *status;
	bool runs;

	if (qmp_execute(qmp, &answer, &refused, "query-migrate", NULL) < 0) {
		if (qmp_works(qmp))
			return 0;
		*err = refused;
		return err->code;
	}
	status = json_member_text(answer, "status");
	runs = status != NULL && !is_over(status);
	json_free(answer);
	return runs ? fail(err, ERR_LOCKED,
			   "the machine is being migrated, and a backup would make that fail: try "
			   "again when it is done")
		    : 0;
}

static bool has_events(struct qmp *qmp)
{
	struct json_t *all;
	struct error ignored;
	bool on = true;

	if (qmp_execute(qmp, &all, &ignored, "query-migrate-capabilities", NULL) < 0)
		return true;
	for (size_t i = 0; i < json_length(all); i++) {
		const struct json_t *one = json_item(all, i);
		const char *name = json_member_text(one, "capability");

		if (name != NULL && strcmp(name, "events") == 0)
			on = json_member_bool(one, "state");
	}
	json_free(all);
	return on;
}

static bool set_events(struct qmp *qmp, bool on)
{
	struct error ignored;

	return qmp_execute(qmp, NULL, &ignored, "migrate-set-capabilities", "{s:[{s:s, s:b}]}",
			   "capabilities", "capability", "events", "state", (int)on) == 0;
}

bool migration_watch(struct qmp *qmp)
{
	return !has_events(qmp) && set_events(qmp, true);
}

void migration_unwatch(struct qmp *qmp)
{
	set_events(qmp, false);
}
