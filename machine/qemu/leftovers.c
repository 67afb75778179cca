#include "machine/qemu/leftovers.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/name.h"
#include "base/socket.h"
#include "machine/qemu/fleece.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/receive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECONNECT_MS 20000 /* QEMU tries again after 1, 2, 4, 8 s */
#define STEP_MS	     50
#define RUNS_LIMIT   64u /* dead ones in one QEMU; more than that cannot be genuine */

/* A dead run, as its nodes tell of it. */
struct leftover {
	char id[RUN_ID_SIZE];
	char *socket;		       /* owned; NULL: not known */
	bool pulled;		       /* the socket is QEMU's */
	struct receiver_drive *drives; /* owned, by number; of size 0 where there is no node */
	uint32_t n_drives;
};

static int make_room(struct leftover *left, uint32_t n, struct error *err)
{
	struct receiver_drive *drives;

	if (n <= left->n_drives)
		return 0;
	drives = reallocarray(left->drives, n, sizeof(*drives));
	if (drives == NULL)
		return fail_memory(err);
	memset(drives + left->n_drives, 0, (n - left->n_drives) * sizeof(*drives));
	left->drives = drives;
	left->n_drives = n;
	return 0;
}

static int take_node(struct leftover *left, const struct json_t *node, uint64_t drive,
		     struct error *err)
{
	static const char key[] = "?socket=";
	const struct json_t *image = json_member(node, "image");
	const char *file = json_member_text(image, "filename");
	const char *at = file == NULL ? NULL : strstr(file, key);

	TRY(make_room(left, (uint32_t)drive + 1, err));
	json_member_number(image, "virtual-size", &left->drives[drive].size_bytes);
	if (at == NULL || left->socket != NULL)
		return 0;
	left->socket = text_make("%s", at + sizeof(key) - 1);
	return left->socket == NULL ? fail_memory(err) : 0;
}

/* A scratch image lies where the socket is. */
static int take_file(struct leftover *left, const struct json_t *node, struct error *err)
{
	const char *file = json_member_text(json_member(node, "image"), "filename");

	if (file == NULL || *file != '/' || left->pulled)
		return 0;
	free(left->socket);
	left->socket = text_make("%.*snbd", (int)(base_name(file) - file), file);
	left->pulled = true;
	return left->socket == NULL ? fail_memory(err) : 0;
}

/* The first run that left something, and all of it: 1; 0: there is none. */
static int find_leftover(const struct json_t *nodes, const char *id, struct leftover *out,
			 struct error *err)
{
	char found[RUN_ID_SIZE];
	uint64_t drive;

	for (size_t i = 0; i < json_length(nodes); i++) {
		const struct json_t *node = json_item(nodes, i);
		const char *name = json_member_text(node, "node-name");
		bool is_file = node_file_name_parse(name, found, &drive);

		if ((!is_file && !node_name_parse(name, found, &drive)) ||
		    (id != NULL && strcmp(found, id) != 0) ||
		    (out->id[0] != '\0' && strcmp(found, out->id) != 0))
			continue;
		memcpy(out->id, found, sizeof(found));
		TRY(is_file ? take_file(out, node, err) : take_node(out, node, drive, err));
	}
	return out->id[0] != '\0';
}

static bool answers(const char *path)
{
	struct error err = {0};
	int fd;

	if (socket_connect(&fd, path, SOCK_STREAM, &err) < 0)
		return err.sys == EAGAIN;
	close(fd);
	return true;
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

/* Cancelling a job that waits for an answer would stop all of QEMU. So QEMU gets its answers first:
 * it tries to reconnect until it gives up, and then needs none. */
static int end_run(struct qmp *qmp, const struct leftover *left, const struct receiver *receiver,
		   struct error *err)
{
	int64_t until = clock_ms() + RECONNECT_MS;
	struct jobs_state state;

	for (;;) {
		TRY(jobs_look(qmp, left->id, &state, err));
		if (state.n == state.n_concluded || all_connected(receiver, left) ||
		    clock_ms() > until)
			break;
		clock_sleep_ms(STEP_MS);
	}
	TRY(jobs_end(qmp, left->id, err));
	return nodes_remove(qmp, left->id, err);
}

static int serve_again(struct qmp *qmp, const struct leftover *left, struct receiver *receiver,
		       struct error *err)
{
	gid_t group;

	TRY(rundir_make(left->socket, err));
	TRY(receiver_listen(receiver, left->socket, err));
	if (qmp_group(qmp, &group))
		TRY(rundir_open(left->socket, group, err));
	return end_run(qmp, left, receiver, err);
}

static int remove_one(struct qmp *qmp, const struct leftover *left, struct error *err)
{
	struct receiver *receiver;
	int code;

	if (left->socket == NULL || !rundir_fits(left->socket, left->id))
		return fail(err, ERR_SYSTEM, "QEMU has nodes called vmabak-%s that are not ours",
			    left->id);
	if (left->pulled)
		return fleece_remove(qmp, left->id, left->socket, err);
	TRY(receiver_new(&receiver, left->drives, left->n_drives, NULL, err));
	code = serve_again(qmp, left, receiver, err);
	receiver_free(receiver);
	rundir_remove(left->socket);
	return code;
}

/* 1: there was one, and it is gone; 0: there is none. */
static int remove_next(struct qmp *qmp, const char *id, bool too_many, struct error *err)
{
	struct leftover left = {0};
	struct json_t *nodes;
	int code;

	TRY(nodes_query(qmp, &nodes, err));
	code = find_leftover(nodes, id, &left, err);
	json_free(nodes);
	if (code == 1 && too_many)
		code = fail(err, ERR_SYSTEM, "QEMU's nodes of dead runs do not end");
	else if (code == 1 && id == NULL && is_alive(&left))
		code = fail(err, ERR_LOCKED,
			    "QEMU is being backed up by another run of this program");
	else if (code == 1 && remove_one(qmp, &left, err) < 0)
		code = err->code;
	free(left.socket);
	free(left.drives);
	return code;
}

int leftovers_remove(struct qmp *qmp, const char *id, unsigned *n, struct error *err)
{
	int code;

	*n = 0;
	while ((code = remove_next(qmp, id, *n == RUNS_LIMIT, err)) == 1)
		++*n;
	return code;
}
