/*
 * The capture and its buffer are in this process; the client that asked for the backup maps the
 * buffer's memory, and writes the archive from it (message.h). This thread, which is that of the
 * client's control socket, prepares everything, and then waits for a failure, which has to be told
 * to a client that asks for nothing; a client that leaves is one, too. Meanwhile the attendants
 * answer what is asked for (attend.c).
 */
#include "machine/serve/state.h"

#include "base/clock.h"
#include "base/watcher.h"
#include "machine/options.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LEAVE_MS 10000 /* for a client to leave once it was told of a failure */
#define STEP_MS	 2     /* until it is looked again whether another backup has ended */

/* ---- what the client is told ---- */

/* A full buffer is not a full disk: ERR_FULL is for the archive's. */
static void send_failure(struct serve_backup *backup, const struct error *why)
{
	struct error told = *why, ignored;

	if (why->code == ERR_FULL) {
		told.code = ERR_SYSTEM;
		error_append(&told, "; a larger --buffer or --spill helps, or --on-full wait");
	}
	message_send_error(backup->fd, &told, &ignored);
}

/* ---- what the client sends ---- */

static void add_drive(struct serve_backup *backup, const struct served *served)
{
	backup->drives[backup->n_volumes] = served;
	backup->volumes[backup->n_volumes++] = served->volume;
}

static int list_names(const struct serve *serve, const char *name, struct error *err)
{
	fail(err, ERR_USAGE, "drive '%.60s': not served here; the drives are: ", name);
	for (uint32_t i = 0; i < serve->n_drives && strlen(err->text) < 300; i++)
		error_append(err, "%s%s", i == 0 ? "" : ", ", volume_name(serve->drives[i].volume));
	return ERR_USAGE;
}

static int find_volume(struct serve_backup *backup, const char *name, struct error *err)
{
	struct serve *serve = backup->serve;

	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct volume *volume = serve->drives[i].volume;
		if (name == NULL || strcmp(volume_name(volume), name) != 0)
			continue;
		for (uint32_t j = 0; j < backup->n_volumes; j++)
			if (backup->volumes[j] == volume)
				return fail(err, ERR_USAGE, "drive '%s': named twice", name);
		add_drive(backup, &serve->drives[i]);
		return 0;
	}
	return list_names(serve, name == NULL ? "" : name, err);
}

static int choose_volumes(struct serve_backup *backup, const struct json_t *request,
			  struct error *err)
{
	const struct json_t *names = json_member(request, "drives");
	size_t n = json_length(names);
	struct serve *serve = backup->serve;

	backup->volumes = calloc(serve->n_drives, sizeof(*backup->volumes));
	backup->drives = calloc(serve->n_drives, sizeof(*backup->drives));
	if (backup->volumes == NULL || backup->drives == NULL)
		return fail_memory(err);
	if (n == 0) {
		for (uint32_t i = 0; i < serve->n_drives; i++)
			add_drive(backup, &serve->drives[i]);
		return 0;
	}
	for (size_t i = 0; i < n && backup->n_volumes < serve->n_drives; i++)
		TRY(find_volume(backup, json_item_text(names, i), err));
	return n > backup->n_volumes ? fail(err, ERR_USAGE, "more drives than are served") : 0;
}

static int make_buffer(struct serve_backup *backup, const struct json_t *request, struct error *err)
{
	struct buffer_options options = {
		.spill_dir = json_member_text(request, "spill_dir"),
		.when_full = json_member_bool(request, "wait") ? FULL_WAIT : FULL_FAIL,
	};
	uint64_t size = MACHINE_BUFFER;

	json_member_number(request, "buffer", &size);
	json_member_number(request, "spill", &options.spill_bytes);
	if (size / CHUNK_SIZE < 4 || size > MACHINE_BUFFER_MAX)
		return fail(err, ERR_USAGE, "--buffer: %llu bytes are too few, or too many",
			    (unsigned long long)size);
	if (options.spill_bytes != 0 && options.spill_dir == NULL)
		return fail(err, ERR_USAGE, "no folder for the spill file");
	if (backup->serve->options->read_only)
		options.spill_bytes =
			0; /* nothing is overwritten, and an export may make no file */
	options.n_chunks = backup->n_chunks = (uint32_t)(size / CHUNK_SIZE);
	backup->lent = calloc(backup->n_chunks, sizeof(*backup->lent));
	if (backup->lent == NULL)
		return fail_memory(err);
	return buffer_new(&backup->buffer, &options, err);
}

/* What the instant will be called, and what is wrong with the map's file: asked before the instant,
 * when the machine may be frozen and would wait for it. */
static void put_map(struct json_t *drive, struct generation *map)
{
	char token[GENERATION_TOKEN_SIZE];
	struct error err;

	if (map == NULL)
		return;
	json_put_text(drive, "token",
		      generation_token(token, generation_id(map), generation_current(map)));
	generation_sync(map);
	if (generation_failure(map, &err) != 0)
		json_put_text(drive, "map_failure", err.text);
}

/* The path is for the client to check that it does not write the archive there. */
static int describe_drive(struct json_t *drive, struct serve *serve, const struct served *served,
			  struct error *err)
{
	char *named = served_path(serve, served);
	char *path = named == NULL ? NULL : realpath(named, NULL);
	struct stat found;

	free(named);

	if (path == NULL && errno == ENOMEM)
		return fail_memory(err);
	json_put_text(drive, "name", served->argument.name);
	if (path != NULL)
		json_put_text(drive, "path", path);
	json_put_number(drive, "size_bytes", served->size_bytes);
	if (path != NULL && stat(path, &found) == 0 && S_ISREG(found.st_mode))
		json_put_number(drive, "data_bytes", (uint64_t)found.st_blocks * 512);
	put_map(drive, served->map);
	free(path);
	return 0;
}

/* The answer to "backup": which drives, and the memory. */
static int send_plan(struct serve_backup *backup, struct error *err)
{
	struct json_t *message = json_new();
	struct json_t *plan = json_put_object(message, "return");
	struct json_t *drives = json_put_array(plan, "drives");

	for (uint32_t i = 0; i < backup->n_volumes; i++) {
		if (describe_drive(json_add_object(drives), backup->serve, backup->drives[i], err) <
		    0) {
			json_free(message);
			return err->code;
		}
	}
	json_put_number(plan, "n_chunks", backup->n_chunks);
	return message_send(backup->fd, message, buffer_fd(backup->buffer), err);
}

static int take_the_instant(struct serve_backup *backup, struct error *err)
{
	struct serve *serve = backup->serve;
	struct capture_status status;
	struct json_t *reply;

	TRY(serve_prepare(backup, err));
	TRY(instant_expect(&backup->instant, backup->drives, backup->n_volumes, err));
	TRY(capture_start(backup->prepared, err));
	pthread_mutex_lock(&serve->lock);
	backup->began_s = clock_s();
	backup->capture = backup->prepared;
	backup->prepared = NULL;
	pthread_mutex_unlock(&serve->lock);
	instant_note_time(&backup->instant);
	capture_status(backup->capture, &status);
	reply = json_make("{s:{s:I}}", "return", "quiesce_ns", (long long)status.quiesce_ns);
	TRY(message_send(backup->fd, reply, -1, err));
	/* Increments need the token alone: without a line it is the commit that fails. */
	if (backup->instant.name[0] != '\0' && instant_add(&backup->instant, false, err) < 0)
		watcher_warn(serve->watcher, "%s", err->text);
	return 0;
}

/* ---- the whole ---- */

/* What the client sends before the instant. 1: it wants more, 0: the instant was taken. */
static int prepare_more(struct serve_backup *backup, const struct json_t *request,
			struct error *err)
{
	const char *what = json_member_text(request, "execute");

	if (what != NULL && strcmp(what, "channel") == 0)
		return attendants_add(backup, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "changes-now") == 0)
		return serve_changes_now(backup, request, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "look") == 0)
		return serve_look(backup, request, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "distrust") == 0)
		return serve_distrust(backup, request, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "since") == 0)
		return serve_since(backup, request, err) < 0 ? err->code : 1;
	if (what != NULL && strcmp(what, "changed") == 0)
		return serve_peek(backup, backup->fd, request, err) < 0 ? err->code : 1;
	backup->snapshot = json_member_bool(request, "snapshot");
	if (what != NULL && strcmp(what, "begin") == 0)
		return take_the_instant(backup, err);
	return fail(err, ERR_USAGE, "unexpected message before a backup");
}

/* 0: begun, or the client has gone. */
static int prepare(struct serve_backup *backup, const struct json_t *request, struct error *err)
{
	struct json_t *message;
	int more = 1;

	TRY(choose_volumes(backup, request, err));
	TRY(make_buffer(backup, request, err));
	TRY(send_plan(backup, err));
	while (more > 0 && (more = message_receive(backup->fd, &message, NULL, err)) > 0) {
		more = prepare_more(backup, message, err);
		json_free(message);
	}
	return more;
}

/* A stopped client is not waited for, so that the next backup can begin. It can still read what it
 * was told. */
static void await_leave(const struct serve_backup *backup)
{
	struct pollfd poll_fd = {.fd = backup->fd, .events = POLLRDHUP};

	if (poll(&poll_fd, 1, LEAVE_MS) == 0)
		shutdown(backup->fd, SHUT_RDWR);
}

/* Until the client has gone. */
static int converse(struct serve_backup *backup, struct error *err)
{
	struct error why;
	int code = attendants_start(backup, err);

	buffer_await_failure(backup->buffer, &why);
	if (!backup_is_over(backup)) {
		send_failure(backup, &why);
		await_leave(backup);
	}
	attendants_join(backup);
	if (code == 0 && backup->misuse.code < 0) {
		*err = backup->misuse;
		code = err->code;
	}
	return code;
}

static void end_backup(struct serve_backup *backup)
{
	struct serve *serve = backup->serve;
	struct capture *capture = backup->capture;

	/* From here on status shows no backup, and so counts this one. */
	pthread_mutex_lock(&serve->lock);
	backup->capture = NULL;
	if (capture != NULL && !backup->snapshot)
		*(atomic_load(&backup->done) ? &serve->n_backups_done : &serve->n_backups_failed) +=
			1;
	pthread_mutex_unlock(&serve->lock);
	capture_end(capture);
	capture_end(backup->prepared);
	buffer_free(backup->buffer);
	instant_drop(&backup->instant);
	instant_free(&backup->instant);
	serve_give_turn(serve);
	pthread_mutex_destroy(&backup->lock);
	pthread_mutex_destroy(&backup->settling);
	attendants_free(backup);
	free(backup->lent);
	free(backup->since);
	free(backup->volumes);
	free(backup->drives);
}

static bool client_has_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* Whether whoever has the turn is about to give it back, or is made to. */
static bool is_ending(const struct serve_backup *holder)
{
	if (holder->yields_s > 0 && clock_s() > holder->yields_s)
		shutdown(holder->fd, SHUT_RDWR);
	return holder->brief || client_has_gone(holder->fd);
}

bool serve_take_turn(struct serve *serve, struct serve_backup *backup)
{
	for (;;) {
		pthread_mutex_lock(&serve->lock);
		bool free_now = serve->backup == NULL;
		bool ending = !free_now && is_ending(serve->backup);
		if (free_now)
			serve->backup = backup;
		pthread_mutex_unlock(&serve->lock);
		if (free_now || !ending)
			return free_now;
		clock_sleep_ms(STEP_MS);
	}
}

void serve_give_turn(struct serve *serve)
{
	pthread_mutex_lock(&serve->lock);
	serve->backup = NULL;
	pthread_mutex_unlock(&serve->lock);
}

static int fail_turn(struct serve *serve, struct error *err)
{
	bool snapshot;

	pthread_mutex_lock(&serve->lock);
	snapshot = serve->backup != NULL && serve->backup->snapshot;
	pthread_mutex_unlock(&serve->lock);
	return fail(err, ERR_LOCKED, "another %s of these drives is running",
		    snapshot ? "command, vmabak snapshot," : "backup");
}

int serve_backup(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	struct serve_backup backup = {.serve = serve, .fd = fd};
	int code;

	if (!serve_take_turn(serve, &backup))
		return fail_turn(serve, err);
	pthread_mutex_init(&backup.lock, NULL);
	pthread_mutex_init(&backup.settling, NULL);
	code = prepare(&backup, request, err);
	if (code == 0 && backup.capture != NULL)
		code = converse(&backup, err);
	end_backup(&backup);
	return code;
}
