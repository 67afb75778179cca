/*
 * One thread accepts clients, each client has a thread. A client that sends nothing costs one of
 * CLIENTS_MAX places, and when all are taken the oldest gives way, unless it has just come;
 * requests are few and short, but for a backup, which stays in its client's thread until it is
 * over.
 */
#include "machine/serve/mirror.h"
#include "machine/serve/state.h"

#include "base/clock.h"
#include "base/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define YOUNG_MS    500 /* after it has come, or was answered, a client does not give way */
#define STEP_MS	    10	/* until it is looked again for a free place */
#define PAUSE_MS    20	/* when no client can be accepted, as for want of descriptors */

struct client {
	struct serve *serve;
	int fd; /* -1: none, or moved to stop_fd */
	bool started;
	bool done;	  /* the thread is about to end */
	bool backs_up;	  /* it may be silent */
	int64_t heard_ms; /* when it came or was answered last */
	pthread_t thread;
};

struct control {
	int listener;
	struct socket_place place;
	pthread_t thread;
	pthread_mutex_t lock; /* guards clients, stopping, stop_fd */
	struct client clients[CLIENTS_MAX];
	bool stopping;
	int stop_fd; /* owned: of the client that waits for the end; -1: none */
};

/* ---- requests ---- */

static int check_idle(struct serve *serve, struct error *err)
{
	unsigned n = 0; /* not those that are in their handshake */

	for (uint32_t i = 0; i < serve->n_drives; i++)
		n += nbdserver_export_users(serve->nbd, i);
	if (n > 0)
		return fail(err, ERR_LOCKED,
			    "%u client%s connected; --force stops the server anyway", n,
			    n == 1 ? " is" : "s are");
	if (!serve_take_turn(serve, NULL))
		return fail(err, ERR_LOCKED,
			    "a backup is running; --force stops the server anyway");
	return 0;
}

/* The answer comes from control_close, when all is closed. */
static int request_stop(struct client *client, const struct json_t *request, struct error *err)
{
	struct control *control = client->serve->control;
	bool first;

	if (!json_member_bool(request, "force") && check_idle(client->serve, err) < 0)
		return err->code;
	pthread_mutex_lock(&control->lock);
	first = control->stop_fd < 0;
	if (first) {
		control->stop_fd = client->fd;
		client->fd = -1;
	}
	pthread_mutex_unlock(&control->lock);
	if (!first)
		return fail(err, ERR_LOCKED, "the server is stopping already");
	eventfd_write(client->serve->wake, 1);
	return 0;
}

static const char *mirror_phase(struct serve_mirrors *mirrors)
{
	enum mirror_phase phase;

	if (mirrors == NULL)
		return mirrors_phase_text(MIRROR_NONE);
	pthread_mutex_lock(&mirrors->lock);
	phase = mirrors->phase;
	pthread_mutex_unlock(&mirrors->lock);
	return mirrors_phase_text(phase);
}

static int request_status(struct client *client, struct error *err)
{
	struct json_t *reply = json_new(), *status = json_put_object(reply, "return");

	serve_status(client->serve, status);
	json_put_text(status, "mirror", mirror_phase(client->serve->mirrors));
	return message_send(client->fd, reply, -1, err);
}

static int request_delete(struct client *client, const struct json_t *request, struct error *err)
{
	TRY(serve_delete_checkpoint(client->serve, request, err));
	return message_send(client->fd, json_make("{s:{}}", "return"), -1, err);
}

/* False: the connection ends. */
static bool answer(struct client *client, const struct json_t *request)
{
	const char *what = json_member_text(request, "execute");
	struct error err = {0}, ignored;
	int code = what == NULL ? 1 : serve_move(client->serve, client->fd, request, &err);

	if (code <= 0)
		; /* answered, or an error */
	else if (what == NULL)
		code = fail(&err, ERR_USAGE, "a message without 'execute'");
	else if (strcmp(what, "status") == 0)
		code = request_status(client, &err);
	else if (strcmp(what, "stop") == 0)
		code = request_stop(client, request, &err);
	else if (strcmp(what, "backup") == 0)
		code = serve_backup(client->serve, client->fd, request, &err);
	else if (strcmp(what, "checkpoint") == 0)
		code = serve_checkpoint(client->serve, client->fd, request, &err);
	else if (strcmp(what, "checkpoints") == 0)
		code = serve_checkpoints(client->serve, client->fd, request, &err);
	else if (strncmp(what, "mirror-", 7) == 0)
		code = serve_mirror(client->serve, client->fd, request, &err);
	else if (strcmp(what, "delete-checkpoint") == 0)
		code = request_delete(client, request, &err);
	else
		code = fail(&err, ERR_UNSUPPORTED, "this server does not know the request '%s'",
			    what);
	if (code < 0)
		return message_send_error(client->fd, &err, &ignored) == 0;
	return client->fd >= 0;
}

static void note_backup(struct client *client, const struct json_t *request)
{
	struct control *control = client->serve->control;
	const char *what = json_member_text(request, "execute");

	pthread_mutex_lock(&control->lock);
	client->backs_up =
		what != NULL && (strcmp(what, "backup") == 0 || strcmp(what, "checkpoint") == 0 ||
				 strncmp(what, "mirror-", 7) == 0);
	client->heard_ms = clock_ms();
	pthread_mutex_unlock(&control->lock);
}

static void *serve_client(void *context)
{
	struct client *client = context;
	struct control *control = client->serve->control;
	struct json_t *request;
	struct error err, ignored;
	bool more = true;

	while (more) {
		int got = message_receive(client->fd, &request, NULL, &err);
		if (got < 0)
			message_send_error(client->fd, &err, &ignored);
		if (got <= 0)
			break;
		note_backup(client, request);
		more = answer(client, request);
		json_free(request);
		note_backup(client, NULL);
	}
	pthread_mutex_lock(&control->lock);
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->done = true;
	pthread_mutex_unlock(&control->lock);
	return NULL;
}

/* ---- clients ---- */

static struct client *free_place_locked(struct control *control)
{
	for (unsigned i = 0; i < CLIENTS_MAX && !control->stopping; i++) {
		struct client *client = &control->clients[i];
		if (client->started && !client->done)
			continue;
		if (client->started)
			pthread_join(client->thread, NULL);
		client->started = client->done = false;
		return client;
	}
	return NULL;
}

/* NULL: all are at a backup, or leaving. */
static struct client *oldest_locked(struct control *control)
{
	struct client *oldest = NULL;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &control->clients[i];
		if (client->fd >= 0 && !client->backs_up &&
		    (oldest == NULL || client->heard_ms < oldest->heard_ms))
			oldest = client;
	}
	return oldest;
}

/* Waits for one if need be. NULL: the server is stopping. */
static struct client *find_place_locked(struct control *control)
{
	struct client *client = free_place_locked(control);

	while (client == NULL && !control->stopping) {
		struct client *oldest = oldest_locked(control);
		if (oldest != NULL && clock_ms() - oldest->heard_ms >= YOUNG_MS)
			shutdown(oldest->fd, SHUT_RDWR);
		pthread_mutex_unlock(&control->lock);
		clock_sleep_ms(STEP_MS);
		pthread_mutex_lock(&control->lock);
		client = free_place_locked(control);
	}
	return client;
}

static void take_client(struct serve *serve, int fd)
{
	struct control *control = serve->control;
	struct error err = {0}, ignored;
	struct client *client;
	int sys;

	pthread_mutex_lock(&control->lock);
	client = find_place_locked(control);
	if (client != NULL) {
		client->serve = serve;
		client->fd = fd;
		client->backs_up = false;
		client->heard_ms = clock_ms();
		sys = pthread_create(&client->thread, NULL, serve_client, client);
		client->started = sys == 0;
		if (!client->started) {
			client->fd = -1;
			fail_system(&err, sys, "the server cannot start a thread");
		}
	} else {
		fail(&err, ERR_LOCKED, "the server is stopping, or has no room for another client");
	}
	pthread_mutex_unlock(&control->lock);
	if (err.code == 0)
		return;
	message_send_error(fd, &err, &ignored);
	close(fd);
}

/* One that may be served; -1: none. */
static int accept_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
	    (peer.uid != geteuid() && peer.uid != 0)) {
		close(fd);
		return -1;
	}
	message_make_room(fd);
	return fd;
}

static void *take_clients(void *context)
{
	struct serve *serve = context;
	struct control *control = serve->control;
	bool stopping = false;
	int fd;

	while (!stopping) {
		fd = accept_client(control->listener);
		if (fd >= 0)
			take_client(serve, fd);
		else
			clock_sleep_ms(PAUSE_MS);
		pthread_mutex_lock(&control->lock);
		stopping = control->stopping;
		pthread_mutex_unlock(&control->lock);
	}
	return NULL;
}

static int start(struct serve *serve, struct control *control, struct error *err)
{
	int sys;

	TRY(socket_listen(&control->listener, &control->place, serve->options->control,
			  SOCK_SEQPACKET, err));
	serve->control = control;
	sys = pthread_create(&control->thread, NULL, take_clients, serve);
	if (sys == 0)
		return 0;
	serve->control = NULL;
	socket_remove(&control->place);
	close(control->listener);
	return fail_start(err, sys, "cannot start a thread");
}

int control_open(struct serve *serve, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (control == NULL)
		return fail_memory(err);
	control->stop_fd = -1;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	pthread_mutex_init(&control->lock, NULL);
	if (start(serve, control, err) == 0)
		return 0;
	pthread_mutex_destroy(&control->lock);
	free(control);
	return err->code;
}

void control_cut(struct serve *serve)
{
	struct control *control = serve->control;

	if (control == NULL)
		return;
	socket_remove(&control->place);
	pthread_mutex_lock(&control->lock);
	control->stopping = true;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i].fd >= 0)
			shutdown(control->clients[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&control->lock);
	shutdown(control->listener, SHUT_RDWR);
	pthread_join(control->thread, NULL);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i].started)
			pthread_join(control->clients[i].thread, NULL);
	}
}

static void tell_end(const struct serve *serve, int fd, const struct error *how)
{
	struct json_t *reply, *told;
	struct error ignored;

	if (how->code != 0) {
		message_send_error(fd, how, &ignored);
		return;
	}
	reply = json_new();
	told = json_put_object(reply, "return");
	if (serve->map_error.code != 0)
		json_put_text(told, "warning", serve->map_error.text);
	message_send(fd, reply, -1, &ignored);
}

void control_close(struct serve *serve, const struct error *how)
{
	struct control *control = serve->control;

	if (control == NULL)
		return;
	if (control->stop_fd >= 0) {
		tell_end(serve, control->stop_fd, how);
		close(control->stop_fd);
	}
	close(control->listener);
	pthread_mutex_destroy(&control->lock);
	free(control);
	serve->control = NULL;
}
