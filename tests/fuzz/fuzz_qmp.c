/*
 * What a QEMU, or a guest agent, says that lies. Byte 0: who is asked for what, and whether the
 * peer hangs up in the end; then come its words, as in script_peer.h. Nothing it says may cost more
 * time than there is for an answer, nor name a folder that is not of a run.
 */
#include "machine/qemu/agent.h"
#include "base/clock.h"
#include "base/json.h"
#include "machine/qemu/inventory.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/leftovers.h"
#include "machine/qemu/migration.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/receive.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/script_peer.h"

#include <string.h>

#define ID	 "0123abcd"
#define ANSWER_S 130 /* to send, and for the answer */
#define RUNS_MAX 100u
#define RUN_S	 600

int __wrap_rundir_make(const char *path, struct error *err);
int __wrap_rundir_open(const char *path, gid_t group, struct error *err);
void __wrap_rundir_remove(const char *path);
int __wrap_receiver_listen(struct receiver *receiver, const char *path, struct error *err);
unsigned __wrap_receiver_users(const struct receiver *receiver, uint32_t drive);

static unsigned n_runs;
static int64_t begun;

static void begin(void)
{
	begun = clock_ms();
}

static void must_be_done_within(int64_t seconds)
{
	MUST(clock_ms() - begun <= seconds * 1000);
}

/* ---- nothing is made ---- */

int __wrap_rundir_make(const char *path, struct error *err)
{
	size_t n = strlen(path);
	(void)err;
	MUST(*path == '/' && n >= 20 && memcmp(path + n - 20, "/vmabak-", 8) == 0);
	MUST(strspn(path + n - 12, "0123456789abcdef") == 8 && strcmp(path + n - 4, "/nbd") == 0);
	MUST(++n_runs <= RUNS_MAX);
	return 0;
}

int __wrap_rundir_open(const char *path, gid_t group, struct error *err)
{
	(void)path, (void)group, (void)err;
	return 0;
}

void __wrap_rundir_remove(const char *path)
{
	(void)path;
}

int __wrap_receiver_listen(struct receiver *receiver, const char *path, struct error *err)
{
	(void)receiver, (void)path, (void)err;
	return 0;
}

unsigned __wrap_receiver_users(const struct receiver *receiver, uint32_t drive)
{
	(void)receiver, (void)drive;
	return 0;
}

/* ---- what is asked ---- */

static void must_fit(int code, const struct error *err)
{
	MUST(code == 0 || (code == err->code && err->text[0] != '\0'));
}

static void ask(struct qmp *qmp)
{
	struct error err = {0};
	for (unsigned i = 0; i < 3; i++) {
		struct json_t *value = NULL;
		begin();
		int code = qmp_execute(qmp, &value, &err, "query-status", NULL);
		must_be_done_within(ANSWER_S);
		must_fit(code, &err);
		MUST((code == 0) == (value != NULL));
		json_free(value);
		qmp_wait(qmp, 100);
	}
}

static void read_machine(struct qmp *qmp)
{
	static const char *items[] = {"virtio0", "one=#block1", "a"};
	struct strings wanted = {items, 0};
	struct inventory inventory;
	struct error err = {0};
	must_fit(migration_check(qmp, &err), &err);
	migration_watch(qmp);
	int code = inventory_read(&inventory, qmp, &err);
	must_fit(code, &err);
	if (code == 0) {
		json_free(inventory_describe(&inventory, qmp));
		wanted.n = inventory.n_drives % 4;
		must_fit(inventory_choose(&inventory, &wanted, &err), &err);
	}
	for (unsigned i = 0; i < inventory.n_drives; i++) {
		MUST(inventory.drives[i].name != NULL && inventory.drives[i].node != NULL);
		MUST(inventory.drives[i].size_bytes <= UINT64_C(1) << 62);
	}
	inventory_free(&inventory);
}

static void end_jobs(struct qmp *qmp)
{
	struct jobs_state state;
	struct error err = {0};
	int code = jobs_look(qmp, ID, &state, &err);
	must_fit(code, &err);
	MUST(code != 0 || state.n_concluded <= state.n);
	begin();
	must_fit(jobs_end(qmp, ID, &err), &err);
	must_be_done_within(RUN_S);
	must_fit(nodes_remove(qmp, ID, &err), &err);
}

static void remove_leftovers(struct qmp *qmp, const char *id)
{
	struct error err = {0};
	unsigned n;
	n_runs = 0;
	must_fit(leftovers_remove(qmp, id, &n, &err), &err);
}

static void talk_to_agent(void)
{
	struct agent *agent;
	struct error err = {0};
	uint64_t n;
	begin();
	int code = agent_open(&agent, "agent", 5000, &err);
	must_fit(code, &err);
	must_be_done_within(15);
	if (code != 0)
		return;
	begin();
	must_fit(agent_freeze(agent, 20000, -1, &n, &err), &err);
	must_be_done_within(30);
	begin();
	must_fit(agent_thaw(agent, &err), &err);
	must_be_done_within(80);
	agent_close(agent);
}

static void talk_to_qemu(unsigned what)
{
	struct qmp *qmp;
	struct error err = {0};
	begin();
	int code = qmp_open(&qmp, "qmp", &err);
	must_fit(code, &err);
	must_be_done_within(ANSWER_S + 15);
	if (code != 0)
		return;
	if (what == 0)
		ask(qmp);
	else if (what == 1)
		read_machine(qmp);
	else if (what == 2)
		end_jobs(qmp);
	else
		remove_leftovers(qmp, what == 3 ? NULL : ID);
	qmp_close(qmp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	unsigned what = data[0] / 2 % 6;
	script_peer_use(data + 1, size - 1, data[0] % 2 != 0);
	if (what == 5)
		talk_to_agent();
	else
		talk_to_qemu(what);
	script_peer_end();
	return 0;
}
