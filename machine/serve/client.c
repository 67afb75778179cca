#include "machine/serve/client_state.h"

#include "base/clock.h"
#include "base/name.h"
#include "base/patience.h"
#include "base/watcher.h"
#include "cow/buffer.h"
#include "machine/serve/message.h"
#include "machine/serve/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNKS_MAX (MACHINE_BUFFER_MAX / CHUNK_SIZE)
#define SIZE_LIMIT (UINT64_C(1) << 62) /* bytes of a drive */
#define STUCK_MS   3000		       /* for a thread to notice that all is over */

pid_t live_server(const struct live *live)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(live->server.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid
										       : 0;
}

/* ---- the plan ---- */

uint32_t live_n_drives(const struct live *live)
{
	return live->n_drives;
}

static const struct json_t *drive_of(const struct live *live, uint32_t i)
{
	return json_item(json_member(live->plan, "drives"), i);
}

const char *live_drive_name(const struct live *live, uint32_t i)
{
	return json_member_text(drive_of(live, i), "name");
}

const char *live_drive_path(const struct live *live, uint32_t i)
{
	return json_member_text(drive_of(live, i), "path");
}

const char *live_drive_map_failure(const struct live *live, uint32_t i)
{
	return json_member_text(drive_of(live, i), "map_failure");
}

uint64_t live_drive_size(const struct live *live, uint32_t i)
{
	uint64_t size = 0;

	json_member_number(drive_of(live, i), "size_bytes", &size);
	return size;
}

static int check_plan(struct live *live, struct error *err)
{
	uint64_t n_chunks;
	size_t n = json_length(json_member(live->plan, "drives"));

	if (n == 0 || n > DRIVES_MAX || !json_member_number(live->plan, "n_chunks", &n_chunks) ||
	    n_chunks == 0 || n_chunks > CHUNKS_MAX)
		return message_unexpected(err);
	live->n_drives = (uint32_t)n;
	live->n_chunks = (uint32_t)n_chunks;
	for (uint32_t i = 0; i < live->n_drives; i++) {
		const char *name = live_drive_name(live, i);
		if (name == NULL || !name_usable((const uint8_t *)name, strlen(name)) ||
		    live_drive_size(live, i) > SIZE_LIMIT)
			return message_unexpected(err);
	}
	return 0;
}

/* Sealed, so that no page of it can go away under us. */
static int map_memory(struct live *live, int fd, struct error *err)
{
	size_t size = (size_t)live->n_chunks * CHUNK_SIZE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat found;
	void *memory;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &found) < 0 ||
	    (uint64_t)found.st_size < size)
		return message_unexpected(err);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return fail_system(err, errno, "the memory of the server");
	live->memory = memory;
	live->in_use = calloc(live->n_chunks, sizeof(*live->in_use));
	live->given_back = calloc(live->n_chunks, sizeof(*live->given_back));
	return live->in_use == NULL || live->given_back == NULL ? fail_memory(err) : 0;
}

static struct json_t *make_request(const struct machine_options *options, const char *spill_dir)
{
	struct json_t *request = json_make("{s:s}", "execute", "backup"), *drives;

	if (options->drives.n > 0) {
		drives = json_put_array(request, "drives");
		for (unsigned i = 0; i < options->drives.n; i++)
			json_add_text(drives, options->drives.items[i]);
	}
	json_put_number(request, "buffer", options->buffer);
	json_put_number(request, "spill", options->spill);
	json_put_text(request, "spill_dir", spill_dir);
	json_put_bool(request, "wait", options->on_full == FULL_CHOICE_WAIT);
	return request;
}

static int agree(struct live *live, const struct machine_options *options, struct error *err)
{
	const char *folder = options->spill_dir == NULL ? "/var/tmp" : options->spill_dir;
	char *full = realpath(folder, NULL); /* the server works elsewhere */
	int memory_fd, code;

	if (full == NULL)
		return fail_system(err, errno, "--spill-dir %s", folder);
	code = call_request(&live->server, make_request(options, full), &live->plan, &memory_fd,
			    err);
	free(full);
	if (code < 0)
		return code;
	code = check_plan(live, err);
	if (code == 0)
		code = map_memory(live, memory_fd, err);
	if (memory_fd >= 0)
		close(memory_fd);
	return code;
}

static int open_channels(struct live *live, unsigned n, struct error *err)
{
	struct json_t *reply;

	live->channels = calloc(n, sizeof(*live->channels));
	if (live->channels == NULL)
		return fail_memory(err);
	while (live->n_channels < n) {
		int *channel = &live->channels[live->n_channels];
		if (call_request(&live->server, json_make("{s:s}", "execute", "channel"), &reply,
				 channel, err) < 0)
			return err->code;
		json_free(reply);
		if (*channel < 0)
			return message_unexpected(err);
		live->n_channels++;
	}
	return 0;
}

int live_open(struct live **out, const struct machine_options *options, struct error *err)
{
	struct live *live = calloc(1, sizeof(*live));
	int code;

	if (live == NULL)
		return fail_memory(err);
	pthread_mutex_init(&live->lock, NULL);
	clock_cond_init(&live->changed);
	code = call_open(&live->server, options->place, err);
	if (code == 0)
		code = agree(live, options, err);
	if (code == 0)
		code = open_channels(live, options->threads, err);
	if (code < 0) {
		live_close(live);
		return code;
	}
	*out = live;
	return 0;
}

/* ---- chunks ---- */

static void fail_gone(struct error *err)
{
	fail(err, ERR_SYSTEM, "the server has gone before all was saved");
}

/* Until *what, or for STUCK_MS. */
static void wait_locked(struct live *live, const bool *what)
{
	int64_t until_ms = clock_ms() + STUCK_MS;
	int sys = 0;

	while (!*what && sys == 0)
		sys = clock_cond_wait(&live->changed, &live->lock, until_ms);
}

/* A channel has ended. The reason comes over the control socket, to the watcher. */
static int find_out_why(struct live *live, struct error *err)
{
	pthread_mutex_lock(&live->lock);
	wait_locked(live, &live->failed);
	if (live->failed)
		*err = live->err;
	else
		fail_gone(err);
	pthread_mutex_unlock(&live->lock);
	return err->code;
}

int live_take_channel(struct live *live)
{
	uint32_t i = atomic_fetch_add(&live->n_taken, 1);

	return i < live->n_channels ? live->channels[i] : -1;
}

/* {"execute": what, "chunks": those given back} */
static struct json_t *make_return_locked(struct live *live, const char *what)
{
	struct json_t *request = json_make("{s:s}", "execute", what);
	struct json_t *chunks = json_put_array(request, "chunks");

	while (live->n_given_back > 0) {
		uint32_t chunk = live->given_back[--live->n_given_back];
		atomic_store(&live->in_use[chunk], 0);
		json_add_number(chunks, chunk);
	}
	return request;
}

/* A message of its own has one more thread woken up, so it waits for the next question; but not
 * while guests are at work, who may need the memory before this thread has written what it has. If
 * they begin meanwhile they have the half of it that the pass never uses. A server that has gone is
 * found out by who asks for more. */
void live_give_back(struct live *live, uint32_t chunk)
{
	struct json_t *request = NULL;
	struct error ignored;

	if (atomic_fetch_sub(&live->in_use[chunk], 1) > 2)
		return;
	pthread_mutex_lock(&live->lock);
	live->given_back[live->n_given_back++] = chunk;
	if (live->guests_at_work)
		request = make_return_locked(live, "release");
	pthread_mutex_unlock(&live->lock);
	if (request != NULL)
		message_send(live->server.fd, request, -1, &ignored);
}

/* 1: a chunk, 0: that was all. */
static int look_at(struct live *live, const struct json_t *message)
{
	struct json_t *done = json_member(message, "done");

	pthread_mutex_lock(&live->lock);
	if (done != NULL && live->counts == NULL)
		live->counts = json_share(done);
	live->guests_at_work = json_member_bool(message, "guests");
	pthread_mutex_unlock(&live->lock);
	return done == NULL ? 1 : 0;
}

int live_ask(struct live *live, int channel, struct json_t **chunk, struct error *err)
{
	struct json_t *request = NULL;
	int got;

	/* Once somebody was told that this is all, who asks now gets nothing. */
	pthread_mutex_lock(&live->lock);
	if (live->counts == NULL)
		request = make_return_locked(live, "next");
	pthread_mutex_unlock(&live->lock);
	if (request == NULL)
		return 0;
	if (atomic_fetch_add(&live->n_asking, 1) == 0)
		atomic_store(&live->heard_ms, clock_ms());
	if (message_send(channel, request, -1, err) < 0)
		return find_out_why(live, err);
	got = message_receive(channel, chunk, NULL, err);
	atomic_store(&live->heard_ms, clock_ms());
	atomic_fetch_sub(&live->n_asking, 1);
	if (got == 0)
		return find_out_why(live, err);
	if (got > 0)
		got = look_at(live, *chunk);
	if (got == 0)
		json_free(*chunk);
	return got;
}

/* ---- the watcher ---- */

/* Whether the server is to be given up: it gives no sign of life, or no data for very long. */
static bool is_silent(const struct live *live)
{
	int64_t quiet_ms = clock_ms() - atomic_load(&live->heard_ms);

	if (quiet_ms < PATIENCE_QUIET_MS)
		return false;
	return (atomic_load(&live->n_asking) > 0 && quiet_ms / 1000 > PATIENCE_SERVE_S) ||
	       call_is_silent(live->server.path);
}

/* Until the server has gone, or says why it will go: it says nothing else unasked. */
static void hear(const struct live *live, struct error *err)
{
	struct pollfd poll_fd = {.fd = live->server.fd, .events = POLLIN};
	struct json_t *message;
	int got;

	while (poll(&poll_fd, 1, PATIENCE_QUIET_MS) == 0) {
		if (!is_silent(live))
			continue;
		call_fail_silent(live->server.path, err);
		/* Who waits for a chunk, or cannot send, comes back. */
		shutdown(live->server.fd, SHUT_RDWR);
		for (uint32_t i = 0; i < live->n_channels; i++)
			shutdown(live->channels[i], SHUT_RDWR);
		return;
	}
	got = message_receive(live->server.fd, &message, NULL, err);
	if (got == 0)
		fail_gone(err);
	if (got > 0) {
		message_error(message, err);
		json_free(message);
	}
}

/* When the backup has failed, the writer learns of it when it asks for more. One that is stuck, in
 * an output that takes nothing, will never ask; but if all has come it needs to ask no more. */
static void *watch(void *context)
{
	struct live *live = context;
	struct error err;
	bool stuck;

	hear(live, &err);
	pthread_mutex_lock(&live->lock);
	live->failed = true;
	live->err = err;
	pthread_cond_broadcast(&live->changed);
	wait_locked(live, &live->closing);
	stuck = !live->closing && live->counts == NULL;
	pthread_mutex_unlock(&live->lock);
	if (stuck)
		watcher_give_up(live->told, &err);
	return NULL;
}

int live_begin(struct live *live, const struct watcher *watcher, struct error *err)
{
	struct json_t *reply;
	int sys;

	if (call_request(&live->server, json_make("{s:s}", "execute", "begin"), &reply, NULL, err) <
	    0)
		return err->code;
	json_free(reply);
	patience_for_sending(live->server.fd, 0); /* the watcher ends it */
	live->told = watcher;
	sys = pthread_create(&live->watcher, NULL, watch, live);
	live->watching = sys == 0;
	return sys == 0 ? 0 : fail_start(err, sys, "cannot start a thread");
}

struct json_t *live_counts(const struct live *live)
{
	return live->counts;
}

static void end_watcher(struct live *live)
{
	pthread_mutex_lock(&live->lock);
	live->closing = true;
	pthread_cond_broadcast(&live->changed);
	pthread_mutex_unlock(&live->lock);
	shutdown(live->server.fd, SHUT_RDWR);
	pthread_join(live->watcher, NULL);
}

void live_close(struct live *live)
{
	if (live == NULL)
		return;
	if (live->watching)
		end_watcher(live);
	pthread_mutex_destroy(&live->lock);
	pthread_cond_destroy(&live->changed);
	if (live->memory != NULL)
		munmap(live->memory, (size_t)live->n_chunks * CHUNK_SIZE);
	for (uint32_t i = 0; i < live->n_channels; i++)
		close(live->channels[i]);
	call_close(&live->server);
	json_free(live->plan);
	json_free(live->counts);
	free(live->channels);
	free(live->given_back);
	free(live->in_use);
	free(live);
}
