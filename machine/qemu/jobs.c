#include "machine/qemu/jobs.h"

#include "base/clock.h"
#include "machine/qemu/fleece.h"
#include "base/json.h"
#include "machine/qemu/inventory.h"
#include "machine/rundir.h"
#include "cli/memory.h"
#include "base/patience.h"
#include "base/name.h"
#include "base/parse.h"
#include "machine/qemu/qmp.h"

#include "machine/qemu/receive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PREFIX	     "vmabak-"
#define FILE_ENDING  "-file"
#define END_MS	     60000
#define RECONNECT_MS 20000 /* QEMU tries again after 1, 2, 4, 8 s */
#define STEP_MS	     50
#define RUNS_LIMIT   64u /* dead ones in one QEMU; who has more makes them up */

void run_id_make(char id[RUN_ID_SIZE])
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint32_t)clock_ms();
	snprintf(id, RUN_ID_SIZE, "%08x", number);
}

char *node_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive)
{
	snprintf(out, NODE_NAME_SIZE, PREFIX "%s-%u", id, drive);
	return out;
}

/* Takes a name of ours apart. */
static bool parse_name(const char *name, char id[RUN_ID_SIZE], uint64_t *drive)
{
	const size_t prefix = sizeof(PREFIX) - 1, digits = RUN_ID_SIZE - 1;

	if (name == NULL || strncmp(name, PREFIX, prefix) != 0)
		return false;
	name += prefix;
	if (strspn(name, "0123456789abcdef") != digits || name[digits] != '-')
		return false;
	memcpy(id, name, digits);
	id[digits] = '\0';
	return parse_number(name + digits + 1, drive) && *drive < INVENTORY_DRIVES_MAX;
}

/* Of the node of a scratch image's file. */
static bool parse_file_name(const char *name, char id[RUN_ID_SIZE], uint64_t *drive)
{
	char format[NODE_NAME_SIZE];
	size_t length = name == NULL ? 0 : strlen(name), end = sizeof(FILE_ENDING) - 1;

	if (length <= end || length >= sizeof(format) ||
	    strcmp(name + length - end, FILE_ENDING) != 0)
		return false;
	memcpy(format, name, length - end);
	format[length - end] = '\0';
	return parse_name(format, id, drive);
}

static bool is_of(const char *name, const char *id, uint64_t *drive)
{
	char found[RUN_ID_SIZE];

	return parse_name(name, found, drive) && strcmp(found, id) == 0;
}

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* Most commands have one argument. */
static int execute(struct qmp *qmp, const char *command, const char *key, const char *value,
		   struct error *err)
{
	struct json_t *arguments = json_new();

	json_put_text(arguments, key, value);
	return qmp_execute(qmp, command, arguments, NULL, err);
}

/* ---- jobs ---- */

/* Of a group the others are cancelled when one fails. */
static void note_failure(struct jobs_state *state, const char *error, uint64_t drive)
{
	bool cancelled = strcmp(error, "Operation canceled") == 0;

	if (state->failed && cancelled)
		return;
	state->failed = true;
	state->failed_drive = (unsigned)drive;
	escape_text(state->error, sizeof(state->error), (const uint8_t *)error, strlen(error));
}

int jobs_look(struct qmp *qmp, const char *id, struct jobs_state *out, struct error *err)
{
	struct json_t *jobs;

	*out = (struct jobs_state){0};
	if (qmp_execute(qmp, "query-jobs", NULL, &jobs, err) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(jobs); i++) {
		const struct json_t *job = json_item(jobs, i);
		const char *status = json_member_text(job, "status");
		const char *error = json_member_text(job, "error");
		uint64_t drive;

		if (!is_of(json_member_text(job, "id"), id, &drive) || status == NULL)
			continue;
		out->n++;
		if (strcmp(status, "concluded") != 0)
			continue;
		out->n_concluded++;
		if (error != NULL)
			note_failure(out, error, drive);
	}
	json_free(jobs);
	return 0;
}

int jobs_check(struct qmp *qmp, const char *id, const struct inventory *inventory,
	       struct jobs_state *out, struct error *err)
{
	unsigned n = inventory->n_drives;

	if (jobs_look(qmp, id, out, err) < 0)
		return err->code;
	if (out->failed)
		return fail(err, ERR_SYSTEM, "drive %s: QEMU's job failed: %s",
			    out->failed_drive < n ? inventory->drives[out->failed_drive].name : "?",
			    out->error);
	if (out->n < n)
		return fail(err, ERR_SYSTEM, "a job in QEMU has gone: somebody has ended it");
	return 0;
}

/* Every job of the run gets the command that fits. */
static int push_on(struct qmp *qmp, const char *id, bool cancel, struct error *err)
{
	struct json_t *jobs, *arguments;
	struct error ignored;

	if (qmp_execute(qmp, "query-jobs", NULL, &jobs, err) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(jobs) && qmp_works(qmp); i++) {
		const char *name = json_member_text(json_item(jobs, i), "id");
		const char *status = json_member_text(json_item(jobs, i), "status");
		uint64_t drive;

		if (!is_of(name, id, &drive) || status == NULL)
			continue;
		if (strcmp(status, "concluded") == 0) {
			execute(qmp, "job-dismiss", "id", name, &ignored);
		} else if (cancel) {
			arguments = json_new();
			json_put_text(arguments, "device", name);
			json_put_bool(arguments, "force", true);
			qmp_execute(qmp, "block-job-cancel", arguments, NULL, &ignored);
		}
	}
	json_free(jobs);
	return 0;
}

int jobs_end(struct qmp *qmp, const char *id, struct error *err)
{
	int64_t until = clock_ms() + END_MS;
	struct jobs_state state;
	bool cancel = true;

	for (;;) {
		if (push_on(qmp, id, cancel, err) < 0 || jobs_look(qmp, id, &state, err) < 0)
			return err->code;
		if (state.n == 0)
			return 0;
		cancel = false;
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "QEMU's jobs do not end");
		pause_ms(STEP_MS);
	}
}

/* ---- nodes ---- */

static int query_nodes(struct qmp *qmp, struct json_t **out, struct error *err)
{
	struct json_t *flat = json_new();

	json_put_bool(flat, "flat", true);
	return qmp_execute(qmp, "query-named-block-nodes", flat, out, err);
}

int nodes_remove(struct qmp *qmp, const char *id, struct error *err)
{
	struct json_t *nodes;
	int result = 0;

	if (query_nodes(qmp, &nodes, err) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(nodes) && qmp_works(qmp); i++) {
		const char *name = json_member_text(json_item(nodes, i), "node-name");
		struct error one;
		uint64_t drive;

		if (!is_of(name, id, &drive))
			continue;
		if (execute(qmp, "blockdev-del", "node-name", name, &one) < 0 && result == 0) {
			*err = one;
			result = one.code;
		}
	}
	json_free(nodes);
	return result;
}

/* ---- exports ---- */

/* *n: how many there still are; they are told to end. */
static int end_exports(struct qmp *qmp, const char *id, bool tell, unsigned *n, struct error *err)
{
	struct json_t *exports;

	*n = 0;
	if (qmp_execute(qmp, "query-block-exports", NULL, &exports, err) < 0)
		return err->code;
	for (size_t i = 0; i < json_length(exports) && qmp_works(qmp); i++) {
		const char *name = json_member_text(json_item(exports, i), "id");
		struct json_t *arguments;
		struct error ignored;
		uint64_t drive;

		if (!is_of(name, id, &drive))
			continue;
		++*n;
		if (!tell)
			continue;
		arguments = json_new();
		json_put_text(arguments, "id", name);
		json_put_text(arguments, "mode", "hard");
		qmp_execute(qmp, "block-export-del", arguments, NULL, &ignored);
	}
	json_free(exports);
	return 0;
}

int exports_remove(struct qmp *qmp, const char *id, struct error *err)
{
	int64_t until = clock_ms() + END_MS;
	bool tell = true;
	unsigned n;

	for (;;) {
		if (end_exports(qmp, id, tell, &n, err) < 0)
			return err->code;
		if (n == 0)
			return 0;
		tell = false;
		if (clock_ms() > until)
			return fail(err, ERR_SYSTEM, "QEMU's exports do not end");
		pause_ms(STEP_MS / 10);
	}
}

/* ---- leftovers ---- */

/* A dead run, as its nodes tell of it. */
struct leftover {
	char id[RUN_ID_SIZE];
	char *socket;		      /* owned; NULL: not known */
	bool pulled;		      /* the socket is QEMU's */
	struct receiver_drive *drives; /* owned, by number; of size 0 where there is no node */
	uint32_t n_drives;
};

static void free_leftover(struct leftover *left)
{
	free(left->socket);
	free(left->drives);
}

static void take_node(struct leftover *left, const struct json_t *node, uint64_t drive)
{
	static const char key[] = "?socket=";
	const struct json_t *image = json_member(node, "image");
	const char *file = json_member_text(image, "filename");
	const char *at = file == NULL ? NULL : strstr(file, key);

	if (drive >= left->n_drives) {
		uint32_t n = (uint32_t)drive + 1;

		left->drives = memory_grow(left->drives, n, sizeof(*left->drives));
		memset(left->drives + left->n_drives, 0,
		       (n - left->n_drives) * sizeof(*left->drives));
		left->n_drives = n;
	}
	json_member_number(image, "virtual-size", &left->drives[drive].size_bytes);
	if (at != NULL && left->socket == NULL)
		left->socket = memory_text("%s", at + sizeof(key) - 1);
}

/* A scratch image lies where the socket is. */
static void take_file(struct leftover *left, const struct json_t *node)
{
	const char *file = json_member_text(json_member(node, "image"), "filename");

	if (file == NULL || *file != '/' || left->pulled)
		return;
	free(left->socket);
	left->socket = memory_text("%.*snbd", (int)(base_name(file) - file), file);
	left->pulled = true;
}

/* The first run that there is something of, and all of it. False: nothing. */
static bool find_leftover(const struct json_t *nodes, const char *id, struct leftover *out)
{
	char found[RUN_ID_SIZE];
	bool any = false;
	uint64_t drive;

	*out = (struct leftover){0};
	for (size_t i = 0; i < json_length(nodes); i++) {
		const struct json_t *node = json_item(nodes, i);
		const char *name = json_member_text(node, "node-name");
		bool is_file = parse_file_name(name, found, &drive);

		if ((!is_file && !parse_name(name, found, &drive)) ||
		    (id != NULL && strcmp(found, id) != 0) || (any && strcmp(found, out->id) != 0))
			continue;
		memcpy(out->id, found, sizeof(found));
		if (is_file)
			take_file(out, node);
		else
			take_node(out, node, drive);
		any = true;
	}
	return any;
}

static bool answers(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool result = false;

	if (fd >= 0 && strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
		patience_for_sending(fd, PATIENCE_CONNECT_S);
		result = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
			 errno == EAGAIN;
	}
	if (fd >= 0)
		close(fd);
	return result;
}

/* Of a pull the socket is QEMU's, and the folder is locked. */
static bool is_alive(const struct leftover *left)
{
	int lock;

	if (left->socket == NULL || !left->pulled)
		return left->socket != NULL && answers(left->socket);
	lock = rundir_lock(left->socket);
	if (lock >= 0)
		close(lock);
	return lock < 0 && errno == EWOULDBLOCK;
}

static bool all_connected(const struct receiver *receiver, const struct leftover *left)
{
	for (uint32_t i = 0; i < left->n_drives; i++) {
		if (left->drives[i].size_bytes != 0 && receiver_users(receiver, i) == 0)
			return false;
	}
	return true;
}

/* To cancel a job that waits for an answer would stop all of QEMU. So QEMU gets its answers first:
 * it tries to connect again for as long as it has not given up, and then needs none. */
static int end_run(struct qmp *qmp, const struct leftover *left, const struct receiver *receiver,
		   struct error *err)
{
	int64_t until = clock_ms() + RECONNECT_MS;
	struct jobs_state state;

	for (;;) {
		if (jobs_look(qmp, left->id, &state, err) < 0)
			return err->code;
		if (state.n == state.n_concluded || all_connected(receiver, left) ||
		    clock_ms() > until)
			break;
		pause_ms(STEP_MS);
	}
	if (jobs_end(qmp, left->id, err) < 0)
		return err->code;
	return nodes_remove(qmp, left->id, err);
}

static int remove_one(struct qmp *qmp, const struct leftover *left, struct error *err)
{
	struct receiver *receiver = NULL;
	int result;

	if (left->socket == NULL || !rundir_fits(left->socket, left->id))
		return fail(err, ERR_SYSTEM, "QEMU has nodes called " PREFIX "%s that are not ours",
			    left->id);
	if (left->pulled)
		return fleece_remove(qmp, left->id, left->socket, err);
	result = receiver_new(&receiver, left->drives, left->n_drives, NULL, err);
	if (result == 0)
		result = rundir_make(left->socket, err);
	if (result == 0)
		result = receiver_listen(receiver, left->socket, err);
	if (result == 0)
		result = rundir_open(left->socket, qmp, err);
	if (result == 0)
		result = end_run(qmp, left, receiver, err);
	receiver_free(receiver);
	rundir_remove(left->socket);
	return result;
}

int leftovers_remove(struct qmp *qmp, const char *id, unsigned *n, struct error *err)
{
	int result = 0;

	for (*n = 0; result == 0; ++*n) {
		struct json_t *nodes;
		struct leftover left;
		bool found;

		if (query_nodes(qmp, &nodes, err) < 0)
			return err->code;
		found = find_leftover(nodes, id, &left);
		json_free(nodes);
		if (!found)
			return 0;
		if (*n == RUNS_LIMIT)
			result = fail(err, ERR_SYSTEM, "QEMU's nodes of dead runs do not end");
		else if (id == NULL && is_alive(&left))
			result = fail(err, ERR_LOCKED,
				      "QEMU is being backed up by another run of this program");
		else
			result = remove_one(qmp, &left, err);
		free_leftover(&left);
	}
	return result;
}
