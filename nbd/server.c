#include "nbd/server.h"

#include "base/clock.h"
#include "nbd/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_DEFAULT 64u
#define HANDSHAKE_S	10u
#define HANDSHAKES_MAX	256u
#define HANDSHAKES_MIN	8u
#define YOUNG_MS	500u /* minimum age of a connection that is cut */
#define STEP_MS		100u /* between two checks whether the server stops */

/* ---- the server ---- */

/* A quarter of this process's descriptors: strangers must not use up the rest. */
static unsigned choose_handshakes_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 4 >= HANDSHAKES_MAX)
		return HANDSHAKES_MAX;
	return limit.rlim_cur / 4 > HANDSHAKES_MIN ? (unsigned)(limit.rlim_cur / 4)
						   : HANDSHAKES_MIN;
}

static int server_fill(struct nbdserver *server, const struct nbdserver_options *options,
		       struct error *err)
{
	server->n_clients_max = options->n_connections ? options->n_connections : CLIENTS_DEFAULT;
	server->n_handshakes_max = choose_handshakes_max();
	server->handshake_ms =
		1000 * (int64_t)(options->handshake_s ? options->handshake_s : HANDSHAKE_S);
	server->log = options->log;
	server->log_context = options->log_context;
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->stop_fd < 0)
		return fail_system(err, errno, "nbd server: eventfd");
	return options->tls != NULL ? tls_new(&server->tls, options->tls, err) : 0;
}

int nbdserver_new(struct nbdserver **out, const struct nbdserver_export *exports,
		  unsigned n_exports, const struct nbdserver_options *options, struct error *err)
{
	static const struct nbdserver_options defaults;
	struct nbdserver *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return fail_memory(err);
	server->stop_fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	clock_cond_init(&server->gone);
	int code = exports_take(server, exports, n_exports, err);
	if (code == 0)
		code = server_fill(server, options != NULL ? options : &defaults, err);
	if (code != 0) {
		nbdserver_free(server);
		return code;
	}
	*out = server;
	return 0;
}

void nbdserver_free(struct nbdserver *server)
{
	if (server == NULL)
		return;
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	tls_free(server->tls);
	pthread_cond_destroy(&server->gone);
	pthread_mutex_destroy(&server->lock);
	free(server->users);
	free(server->exports);
	free(server);
}

unsigned nbdserver_n_connections(struct nbdserver *server)
{
	pthread_mutex_lock(&server->lock);
	unsigned n = server->n_connections;
	pthread_mutex_unlock(&server->lock);
	return n;
}

unsigned nbdserver_export_users(struct nbdserver *server, unsigned export_index)
{
	pthread_mutex_lock(&server->lock);
	unsigned n = server->users[export_index];
	pthread_mutex_unlock(&server->lock);
	return n;
}

uint64_t nbdserver_n_come(struct nbdserver *server)
{
	pthread_mutex_lock(&server->lock);
	uint64_t n = server->n_come;
	pthread_mutex_unlock(&server->lock);
	return n;
}

/* ---- connections ---- */

static struct connection *connection_new(struct nbdserver *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection) + INPUT_BYTES);

	if (connection == NULL)
		return NULL;
	*connection = (struct connection){.server = server, .fd = fd, .began_ms = clock_ms()};
	connection->deadline_ms = connection->began_ms + server->handshake_ms;
	pthread_mutex_init(&connection->lock, NULL);
	pthread_mutex_init(&connection->send_lock, NULL);
	clock_cond_init(&connection->role_free);
	return connection;
}

/* Connections in their handshake may belong to strangers, and there may be any number of them. They
 * queue: each gets a place, and YOUNG_MS to finish, before it must give way to a later one. So a
 * client that finishes in that time gets in, whatever strangers do. */
static struct connection *find_oldest_locked(struct nbdserver *server)
{
	struct connection *oldest = NULL;

	for (struct connection *c = server->connections; c != NULL; c = c->next)
		if (!c->is_client && !c->cut)
			oldest = c; /* the list begins with the latest */
	return oldest != NULL && clock_ms() - oldest->began_ms >= YOUNG_MS ? oldest : NULL;
}

static void cut_oldest_locked(struct nbdserver *server)
{
	struct connection *oldest = find_oldest_locked(server);

	if (oldest == NULL)
		return;
	oldest->cut = true;
	server->n_cut++;
	shutdown(oldest->fd, SHUT_RDWR);
}

static void cut_oldest(struct nbdserver *server)
{
	pthread_mutex_lock(&server->lock);
	cut_oldest_locked(server);
	pthread_mutex_unlock(&server->lock);
}

static void wait_for_place_locked(struct nbdserver *server)
{
	while (server->n_connections - server->n_clients >= server->n_handshakes_max &&
	       !server->stopping) {
		if (server->n_cut == 0)
			cut_oldest_locked(server);
		clock_cond_wait(&server->gone, &server->lock, clock_ms() + STEP_MS);
	}
}

static bool server_add(struct nbdserver *server, struct connection *connection)
{
	pthread_mutex_lock(&server->lock);
	wait_for_place_locked(server);
	bool room = !server->stopping;
	if (room) {
		server->n_connections++;
		connection->number = ++server->n_seen;
		connection->next = server->connections;
		connection->link = &server->connections;
		if (connection->next != NULL)
			connection->next->link = &connection->next;
		server->connections = connection;
	}
	pthread_mutex_unlock(&server->lock);
	return room;
}

/* The server may be freed at any moment after this. */
static void server_remove(struct connection *connection)
{
	struct nbdserver *server = connection->server;

	pthread_mutex_lock(&server->lock);
	*connection->link = connection->next;
	if (connection->next != NULL)
		connection->next->link = connection->link;
	if (connection->export != NULL)
		server->users[connection->export - server->exports]--;
	pthread_mutex_unlock(&server->lock);
}

static void connection_free(struct connection *connection)
{
	tls_close(connection->tls);
	close(connection->fd);
	pthread_cond_destroy(&connection->role_free);
	pthread_mutex_destroy(&connection->send_lock);
	pthread_mutex_destroy(&connection->lock);
	free(connection);
}

/* It counts until it is closed: after nbdserver_stop all connections are closed. */
static void forget(struct connection *connection)
{
	struct nbdserver *server = connection->server;
	bool was_client = connection->is_client;

	connection_log(connection, "gone");
	server_remove(connection);
	bool was_cut = connection->cut; /* no other thread can find it now */
	connection_free(connection);
	pthread_mutex_lock(&server->lock);
	server->n_connections--;
	server->n_clients -= was_client;
	server->n_cut -= was_cut;
	pthread_cond_broadcast(&server->gone);
	pthread_mutex_unlock(&server->lock);
}

int nbdserver_adopt(struct nbdserver *server, int fd, struct error *err)
{
	static const struct worker_steps steps = {handshake_run, transmission_run, forget};
	struct connection *connection = connection_new(server, fd);

	if (connection == NULL) {
		close(fd);
		return fail_memory(err);
	}
	if (!server_add(server, connection)) {
		connection_free(connection);
		return fail(err, ERR_USAGE, "nbd client: the server is stopping");
	}
	connection_log(connection, "here");
	int code = worker_start(connection, &steps, err);
	if (code != 0)
		forget(connection);
	return code;
}

int nbdserver_listen(struct nbdserver *server, const char *place, bool plain_loopback,
		     struct error *err)
{
	static const struct listen_steps steps = {nbdserver_adopt, cut_oldest};

	return listen_open(server, place, plain_loopback, &steps, err);
}

/* ---- stopping ---- */

static void shut_all(struct nbdserver *server, int how)
{
	for (struct connection *c = server->connections; c != NULL; c = c->next)
		shutdown(c->fd, how);
}

void nbdserver_stop(struct nbdserver *server, unsigned grace_ms)
{
	uint64_t one = 1;
	int waited = 0;

	server->stopping = true;
	if (write(server->stop_fd, &one, sizeof(one)) < 0)
		server_log(server, "nbd server: eventfd: %s", strerror(errno));
	while (server->n_listeners > 0)
		listen_close(server->listeners[--server->n_listeners]);
	int64_t until = clock_ms() + grace_ms;
	pthread_mutex_lock(&server->lock);
	shut_all(server, SHUT_RD);
	while (server->n_connections > 0 && waited == 0)
		waited = clock_cond_wait(&server->gone, &server->lock, until);
	shut_all(server, SHUT_RDWR);
	while (server->n_connections > 0)
		pthread_cond_wait(&server->gone, &server->lock);
	pthread_mutex_unlock(&server->lock);
}
