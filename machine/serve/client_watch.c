#include "machine/serve/client_state.h"

#include "base/clock.h"
#include "base/patience.h"
#include "base/watcher.h"
#include "machine/message.h"

#include <poll.h>
#include <sys/socket.h>

#define STUCK_MS 3000 /* for other threads to notice that the backup has failed */

static int fail_gone(struct error *err)
{
	return fail(err, ERR_SYSTEM, "the server ended before the backup was complete");
}

void client_fail(struct machine *client, const struct error *why)
{
	pthread_mutex_lock(&client->lock);
	if (!client->failed)
		client->err = *why;
	client->failed = true;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
}

void client_cut(const struct machine *client)
{
	shutdown(client->call.fd, SHUT_RDWR);
	for (uint32_t i = 0; i < client->n_channels; i++)
		shutdown(client->channels[i], SHUT_RDWR);
}

/* Until *what, or for STUCK_MS. */
static void wait_locked(struct machine *client, const bool *what)
{
	int64_t until_ms = clock_ms() + STUCK_MS;
	int sys = 0;

	while (!*what && sys == 0)
		sys = clock_cond_wait(&client->changed, &client->lock, until_ms);
}

int client_find_reason(struct machine *client, struct error *err)
{
	pthread_mutex_lock(&client->lock);
	wait_locked(client, &client->failed);
	if (client->failed)
		*err = client->err;
	else
		fail_gone(err);
	pthread_mutex_unlock(&client->lock);
	return err->code;
}

/* Whether the server is to be given up: it gives no sign of life, or no data for very long. */
static bool is_silent(const struct machine *client)
{
	int64_t quiet_ms = clock_ms() - atomic_load(&client->heard_ms);

	if (quiet_ms < PATIENCE_QUIET_MS)
		return false;
	return (atomic_load(&client->n_asking) > 0 && quiet_ms / 1000 > PATIENCE_SERVE_S) ||
	       call_is_silent(client->call.path);
}

/* Until the server has gone, or says why the backup has failed: it says nothing else unasked. */
static void hear(const struct machine *client, struct error *err)
{
	struct pollfd poll_fd = {.fd = client->call.fd, .events = POLLIN};
	struct json_t *message;
	int got;

	while (poll(&poll_fd, 1, PATIENCE_QUIET_MS) == 0) {
		if (!is_silent(client))
			continue;
		call_fail_silent(client->call.path, err);
		client_cut(client);
		return;
	}
	got = message_receive(client->call.fd, &message, NULL, err);
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
	struct machine *client = context;
	struct error err;
	bool stuck;

	hear(client, &err);
	client_fail(client, &err);
	pthread_mutex_lock(&client->lock);
	wait_locked(client, &client->closing);
	stuck = !client->closing && client->counts == NULL;
	err = client->err;
	pthread_mutex_unlock(&client->lock);
	if (stuck)
		watcher_give_up(client->told, &err);
	return NULL;
}

int client_watch(struct machine *client, struct error *err)
{
	int sys = pthread_create(&client->watcher, NULL, watch, client);

	client->watching = sys == 0;
	return sys == 0 ? 0 : fail_start(err, sys, "cannot start a thread");
}

void client_watch_end(struct machine *client)
{
	if (!client->watching)
		return;
	pthread_mutex_lock(&client->lock);
	client->closing = true;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->lock);
	shutdown(client->call.fd, SHUT_RDWR);
	pthread_join(client->watcher, NULL);
}
