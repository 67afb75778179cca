/*
 * One thread takes clients in, each client has a thread. A client that sends nothing costs one of
 * CLIENTS_MAX places, and when all are taken the oldest gives way, unless it has just come;
 * requests are few and short, but for a backup, which stays in its client's thread until it is
 * over.
 */
#include "machine/serve/serve.h"

#include "machine/qemu/line.h"
#include "machine/serve/message.h"
#include "cli/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define YOUNG_MS    500 /* after it has come, or was answered, a client does not give way */
#define STEP_MS	    10

struct client {
	struct serve *serve;
	int fd; /* -1: none, or handed over to stop_fd */
	bool started;
	bool done;	  /* the thread does nothing more */
	bool backs_up;	  /* it may be silent */
	int64_t heard_ms; /* when it came or was answered last */
	pthread_t thread;
};

struct serve_control {
	int listener;
	pthread_t thread;
	pthread_mutex_t lock; /* guards clients, stopping, stop_fd */
	struct client clients[CLIENTS_MAX];
	bool stopping;
	int stop_fd; /* owned: of the client that waits for the end, -1: none */
};

/* ---- requests ---- */

static int refuse_stop(struct serve *serve, struct error *err)
{
	unsigned n = 0; /* without those that are in their handshake */
	bool busy;

	for (uint32_t i = 0; i < serve->n_drives; i++)
		n += nbdserver_export_users(serve->nbd, i);
	pthread_mutex_lock(&serve->lock);
	busy = serve->session != NULL;
	pthread_mutex_unlock(&serve->lock);
	if (n > 0)
		return fail(err, ERR_LOCKED, "%u client%s connected; --force stops all the same", n,
			    n == 1 ? " is" : "s are");
	if (busy)
		return fail(err, ERR_LOCKED, "a backup is running; --force stops all the same");
	return 0;
}

/* The answer comes when all is over, from serve_control_close. */
static int request_stop(struct client *client, const struct json_t *request, struct error *err)
{
	struct serve_control *control = client->serve->control;
	bool first;

	if (!json_member_bool(request, "force") && refuse_stop(client->serve, err) < 0)
		return err->code;
	pthread_mutex_lock(&control->lock);
	first = control->stop_fd < 0;
	if (first) {
		control->stop_fd = client->fd;
		client->fd = -1;
	}
	pthread_mutex_unlock(&control->lock);
	if (!first)
		return fail(err, ERR_LOCKED, "it is stopping already");
	serve_wake(client->serve);
	return 0;
}

static int request_status(struct client *client, struct error *err)
{
	struct json_t *reply = json_new();

	serve_status(client->serve, json_put_object(reply, "return"));
	return control_send(client->fd, reply, -1, err);
}

/* False: this client's time is over. */
static bool answer(struct client *client, const struct json_t *request)
{
	const char *what = json_member_text(request, "execute");
	struct error err = {0}, ignored;
	int code;

	if (what == NULL)
		code = fail(&err, ERR_USAGE, "a message that asks for nothing");
	else if (strcmp(what, "status") == 0)
		code = request_status(client, &err);
	else if (strcmp(what, "stop") == 0)
		code = request_stop(client, request, &err);
	else if (strcmp(what, "backup") == 0)
		code = serve_backup(client->serve, client->fd, request, &err);
	else
		code = fail(&err, ERR_UNSUPPORTED, "this server does not know how to '%s'", what);
	if (code < 0)
		return control_send_error(client->fd, &err, &ignored) == 0;
	return client->fd >= 0;
}

static void note_backup(struct client *client, const struct json_t *request)
{
	struct serve_control *control = client->serve->control;
	const char *what = json_member_text(request, "execute");

	pthread_mutex_lock(&control->lock);
	client->backs_up = what != NULL && strcmp(what, "backup") == 0;
	client->heard_ms = channel_now_ms();
	pthread_mutex_unlock(&control->lock);
}

static void *serve_client(void *context)
{
	struct client *client = context;
	struct serve_control *control = client->serve->control;
	struct json_t *request;
	struct error err, ignored;
	bool more = true;

	while (more) {
		int got = control_receive(client->fd, &request, NULL, &err);
		if (got < 0)
			control_send_error(client->fd, &err, &ignored);
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

static struct client *free_place_locked(struct serve_control *control)
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
static struct client *oldest_locked(struct serve_control *control)
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
static struct client *find_place_locked(struct serve_control *control)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	struct client *client = free_place_locked(control);

	while (client == NULL && !control->stopping) {
		struct client *oldest = oldest_locked(control);
		if (oldest != NULL && channel_now_ms() - oldest->heard_ms >= YOUNG_MS)
			shutdown(oldest->fd, SHUT_RDWR);
		pthread_mutex_unlock(&control->lock);
		nanosleep(&step, NULL);
		pthread_mutex_lock(&control->lock);
		client = free_place_locked(control);
	}
	return client;
}

static void take_client(struct serve *serve, int fd)
{
	struct serve_control *control = serve->control;
	struct error err = {0}, ignored;
	struct client *client;
	int sys;

	pthread_mutex_lock(&control->lock);
	client = find_place_locked(control);
	if (client != NULL) {
		client->serve = serve;
		client->fd = fd;
		client->backs_up = false;
		client->heard_ms = channel_now_ms();
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
	control_send_error(fd, &err, &ignored);
	close(fd);
}

static void *take_clients(void *context)
{
	struct serve *serve = context;
	struct serve_control *control = serve->control;
	const struct timespec moment = {.tv_nsec = 20000000};
	bool stopping = false;
	int fd;

	while (!stopping) {
		if (control_accept(&fd, control->listener) == 0)
			take_client(serve, fd);
		else
			nanosleep(&moment, NULL); /* descriptors may have run out */
		pthread_mutex_lock(&control->lock);
		stopping = control->stopping;
		pthread_mutex_unlock(&control->lock);
	}
	return NULL;
}

int serve_control_open(struct serve *serve, struct error *err)
{
	struct serve_control *control = calloc(1, sizeof(*control));
	int sys;

	if (control == NULL)
		return fail_system(err, ENOMEM, "the control socket");
	control->stop_fd = -1;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	if (control_listen(&control->listener, serve->options->control, err) < 0) {
		free(control);
		return err->code;
	}
	pthread_mutex_init(&control->lock, NULL);
	serve->control = control;
	sys = pthread_create(&control->thread, NULL, take_clients, serve);
	if (sys == 0)
		return 0;
	serve->control = NULL;
	unlink(serve->options->control);
	close(control->listener);
	free(control);
	return fail_start(err, sys, "cannot start a thread");
}

void serve_control_cut(struct serve *serve)
{
	struct serve_control *control = serve->control;

	if (control == NULL)
		return;
	unlink(serve->options->control);
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

void serve_control_close(struct serve *serve, const struct error *how)
{
	struct serve_control *control = serve->control;
	struct json_t *reply;
	struct error ignored;

	if (control == NULL)
		return;
	if (control->stop_fd >= 0 && how->code != 0)
		control_send_error(control->stop_fd, how, &ignored);
	if (control->stop_fd >= 0 && how->code == 0) {
		reply = json_new();
		struct json_t *told = json_put_object(reply, "return");
		if (serve->map_error.code != 0)
			json_put_text(told, "warning", serve->map_error.text);
		control_send(control->stop_fd, reply, -1, &ignored);
	}
	if (control->stop_fd >= 0)
		close(control->stop_fd);
	close(control->listener);
	pthread_mutex_destroy(&control->lock);
	free(control);
	serve->control = NULL;
}
