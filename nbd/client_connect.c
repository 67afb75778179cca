#include "nbd/client.h"

#include <string.h>
#include <strings.h>

bool nbdclient_is_uri(const char *text)
{
	static const char *const schemes[] = {"nbd://",	      "nbds://",      "nbd+unix://",
					      "nbds+unix://", "nbd+vsock://", "nbds+vsock://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

#if HAVE_LIBNBD

#include "base/clock.h"
#include "nbd/client_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BYTES_EACH (UINT64_C(256) << 20) /* of a drive that is worth a further connection */

struct nbdclient_lib nbdclient_lib;

static struct library library = LIBRARY(FILE_nbd, NBDCLIENT_FUNCTIONS, nbdclient_lib);

/* As nbd_poll, but with a deadline that a trickle of bytes does not extend. */
static int poll_until(struct nbd_handle *handle, int64_t until_ms)
{
	int64_t left = until_ms - clock_ms();

	return left > 0 ? nbdclient_lib.nbd_poll(handle, (int)left) : 0;
}

/* Without the name of libnbd's function, which means nothing to the user. */
const char *nbdclient_words(const char *instead)
{
	const char *words = nbdclient_lib.nbd_get_error();
	const char *colon = words != NULL ? strstr(words, ": ") : NULL;

	if (words == NULL)
		return instead;
	return strncmp(words, "nbd_", 4) == 0 && colon != NULL ? colon + 2 : words;
}

/* Asks for what every connection needs. */
static struct nbd_handle *new_handle(const char *name, const char *context, struct error *err)
{
	struct nbd_handle *handle;

	if (library_load(&library, err) != 0)
		return NULL;
	handle = nbdclient_lib.nbd_create();
	if (handle == NULL) {
		fail(err, ERR_SYSTEM, "%s: %s", name, nbdclient_words("no connection"));
		return NULL;
	}
	nbdclient_lib.nbd_add_meta_context(handle, context);
#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_BLOCK_SIZE
	/* Without negotiated block sizes a client may read at any byte. */
	nbdclient_lib.nbd_set_request_block_size(handle, false);
#endif
	return handle;
}

/* From the first connection. */
static int learn_server(struct nbdclient *client, struct error *err)
{
	struct nbd_handle *handle = client->connections[0].handle;
	int64_t size = nbdclient_lib.nbd_get_size(handle);

	if (size < 0)
		return fail(err, ERR_SYSTEM, "%s: %s", client->name,
			    nbdclient_words("no connection"));
	client->size_bytes = (uint64_t)size;
	client->read_only = nbdclient_lib.nbd_is_read_only(handle) > 0;
	client->can_zero = nbdclient_lib.nbd_can_zero(handle) > 0;
	client->can_flush = nbdclient_lib.nbd_can_flush(handle) > 0;
	client->tells = nbdclient_lib.nbd_can_meta_context(handle, client->context) > 0;
	return 0;
}

static void add_connection(struct nbdclient *client, struct nbd_handle *handle)
{
	struct nbdclient_connection *connection = &client->connections[client->n_connections++];

	connection->handle = handle;
	client->idle[client->n_idle++] = connection;
}

static struct nbdclient *new_client(const char *name, struct error *err)
{
	struct nbdclient *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		fail_memory(err);
		return NULL;
	}
	client->name = name;
	client->context = LIBNBD_CONTEXT_BASE_ALLOCATION;
	client->flag = LIBNBD_STATE_ZERO;
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->returned, NULL);
	return client;
}

/* code: the result of the call that started connecting. */
static int await_connected(struct nbd_handle *handle, int code, const char *name, int patience_ms,
			   struct error *err)
{
	int64_t until = clock_ms() + patience_ms;

	while (code >= 0 && nbdclient_lib.nbd_aio_is_connecting(handle) > 0) {
		code = poll_until(handle, until);
		if (code == 0)
			return fail(err, ERR_SYSTEM, "%s: no answer within %d s", name,
				    patience_ms / 1000);
	}
	return code >= 0 ? 0
			 : fail(err, ERR_SYSTEM, "%s: %s", name, nbdclient_words("cannot connect"));
}

static int finish_connecting(struct nbd_handle *handle, int code, const char *name, int patience_ms,
			     struct error *err)
{
	TRY(await_connected(handle, code, name, patience_ms, err));
	if (nbdclient_lib.nbd_aio_is_ready(handle) > 0)
		return 0;
	return fail(err, ERR_SYSTEM, "%s: %s", name, nbdclient_words("cannot connect"));
}

static int adopt_socket(struct nbdclient *client, int socket, struct error *err)
{
	struct nbd_handle *handle = new_handle(client->name, client->context, err);

	if (handle == NULL) {
		close(socket);
		return err->code;
	}
	int code = nbdclient_lib.nbd_aio_connect_socket(handle, socket);
	if (finish_connecting(handle, code, client->name, CAPTIVE_MS, err) != 0) {
		nbdclient_lib.nbd_close(handle);
		return err->code;
	}
	add_connection(client, handle);
	return client->n_connections == 1 ? learn_server(client, err) : 0;
}

static int adopt_all(struct nbdclient *client, int *sockets, unsigned n_sockets, struct error *err)
{
	for (unsigned i = 0; i < n_sockets; i++) {
		if (i == 1 && nbdclient_lib.nbd_can_multi_conn(client->connections[0].handle) <= 0)
			return 0;
		int code = adopt_socket(client, sockets[i], err);
		sockets[i] = -1;
		if (code != 0)
			return code;
	}
	return 0;
}

int nbdclient_new(struct nbdclient **out, const char *name, int *sockets, unsigned n_sockets,
		  struct error *err)
{
	struct nbdclient *client = new_client(name, err);
	int code = client != NULL ? adopt_all(client, sockets, n_sockets, err) : err->code;

	for (unsigned i = 0; i < n_sockets; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
	if (code != 0) {
		nbdclient_free(client);
		return code;
	}
	*out = client;
	return 0;
}

static int connect_uri(struct nbd_handle *handle, const char *uri, int patience_ms,
		       struct error *err)
{
	/* The user wrote the URI, so the TLS files it names are the user's too. */
	nbdclient_lib.nbd_set_uri_allow_local_file(handle, true);
	return finish_connecting(handle, nbdclient_lib.nbd_aio_connect_uri(handle, uri), uri,
				 patience_ms, err);
}

/* Not past the negotiation before somebody keeps the socket. *fd: a duplicate, or -1. */
static int connect_in_steps(const struct nbdclient *client, struct nbd_handle *handle,
			    int patience_ms, int *fd, struct error *err)
{
	const char *name = client->name;
	int code, socket;

	nbdclient_lib.nbd_set_opt_mode(handle, true);
	code = nbdclient_lib.nbd_aio_connect_uri(handle, name);
	socket = code < 0 ? -1 : nbdclient_lib.nbd_aio_get_fd(handle);
	if (socket < 0)
		return fail(err, ERR_SYSTEM, "%s: %s", name, nbdclient_words("cannot connect"));
	*fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	if (*fd < 0)
		return fail_system(err, errno, "%s", name);
	TRY(client->hold->keep(client->hold->context, *fd, err));
	TRY(await_connected(handle, code, name, patience_ms, err));
	code = nbdclient_lib.nbd_aio_is_negotiating(handle) <= 0
		       ? -1
		       : nbdclient_lib.nbd_aio_opt_go(handle, NBD_NULL_COMPLETION);
	return finish_connecting(handle, code, name, patience_ms, err);
}

static int connect_held(const struct nbdclient *client, struct nbd_handle *handle, int patience_ms,
			struct error *err)
{
	int fd = -1;
	int code = connect_in_steps(client, handle, patience_ms, &fd, err);

	if (code != 0 && fd >= 0)
		nbdclient_spoil(fd);
	if (fd >= 0)
		close(fd);
	return code;
}

static int add_uri(struct nbdclient *client, int patience_ms, struct error *err)
{
	struct nbd_handle *handle = new_handle(client->name, client->context, err);

	if (handle == NULL)
		return err->code;
	int code = client->hold != NULL ? connect_held(client, handle, patience_ms, err)
					: connect_uri(handle, client->name, patience_ms, err);
	if (code != 0) {
		nbdclient_lib.nbd_close(handle);
		return code;
	}
	add_connection(client, handle);
	return 0;
}

/* Each costs a server as much as reading some megabytes. */
static unsigned enough_connections(const struct nbdclient *client)
{
	uint64_t n = 1 + client->size_bytes / BYTES_EACH;
	unsigned most = client->hold != NULL ? client->hold->n_each : NBDCLIENT_CONNECTIONS_MAX;

	if (most > NBDCLIENT_CONNECTIONS_MAX)
		most = NBDCLIENT_CONNECTIONS_MAX;
	return n < most ? (unsigned)n : most;
}

int nbdclient_connect(struct nbdclient **out, const char *uri, struct error *err)
{
	return nbdclient_connect_held(out, uri, NULL, err);
}

int nbdclient_connect_held(struct nbdclient **out, const char *uri,
			   const struct nbdclient_hold *hold, struct error *err)
{
	struct nbdclient *client = new_client(uri, err);
	struct error ignored;
	int code;

	if (client == NULL)
		return err->code;
	client->hold = hold;
	code = add_uri(client, CONNECT_MS, err);
	if (code == 0)
		code = learn_server(client, err);
	if (code != 0) {
		nbdclient_free(client);
		return code;
	}
	/* A server with a limit may refuse more, or leave them waiting. */
	if (nbdclient_lib.nbd_can_multi_conn(client->connections[0].handle) > 0)
		while (client->n_connections < enough_connections(client) &&
		       add_uri(client, MORE_MS, &ignored) == 0)
			;
	*out = client;
	return 0;
}

int nbdclient_connect_bitmap(struct nbdclient **out, const char *uri, const char *context,
			     const struct nbdclient_hold *hold, struct error *err)
{
	struct nbdclient *client = new_client(uri, err);
	int code;

	if (client == NULL)
		return err->code;
	client->hold = hold;
	client->context = context;
	client->flag = NBDCLIENT_DIRTY;
	code = add_uri(client, CONNECT_MS, err);
	if (code == 0)
		code = learn_server(client, err);
	if (code == 0 && !client->tells)
		code = fail(err, ERR_UNSUPPORTED, "%s: the server has no %s", uri, context);
	if (code == 0)
		*out = client;
	else
		nbdclient_free(client);
	return code;
}

void nbdclient_free(struct nbdclient *client)
{
	if (client == NULL)
		return;
	for (unsigned i = 0; i < client->n_connections; i++)
		if (client->connections[i].handle != NULL) {
			/* So that the server does not log a lost connection. */
			if (client->hold == NULL)
				nbdclient_lib.nbd_aio_disconnect(client->connections[i].handle, 0);
			nbdclient_lib.nbd_close(client->connections[i].handle);
		}
	pthread_cond_destroy(&client->returned);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

bool nbdclient_knock(const char *uri, int patience_ms)
{
	struct error ignored;
	bool loaded = library_load(&library, &ignored) == 0;
	struct nbd_handle *handle = loaded ? nbdclient_lib.nbd_create() : NULL;
	int64_t until = clock_ms() + patience_ms;
	bool good = handle != NULL && nbdclient_lib.nbd_set_opt_mode(handle, true) == 0 &&
		    nbdclient_lib.nbd_aio_connect_uri(handle, uri) == 0;

	while (good && nbdclient_lib.nbd_aio_is_connecting(handle) > 0)
		good = poll_until(handle, until) > 0;
	good = good && nbdclient_lib.nbd_aio_is_negotiating(handle) > 0 &&
	       nbdclient_lib.nbd_aio_opt_abort(handle) == 0;
	while (good && nbdclient_lib.nbd_aio_is_closed(handle) == 0 &&
	       nbdclient_lib.nbd_aio_is_dead(handle) == 0)
		good = poll_until(handle, until) > 0;
	if (handle != NULL)
		nbdclient_lib.nbd_close(handle);
	return good;
}

uint64_t nbdclient_size(const struct nbdclient *client)
{
	return client->size_bytes;
}

bool nbdclient_is_coherent(const struct nbdclient *client)
{
	return nbdclient_lib.nbd_can_multi_conn(client->connections[0].handle) > 0;
}

int nbdclient_check_writable(const struct nbdclient *client, bool durable, struct error *err)
{
	if (client->read_only)
		return fail(err, ERR_USAGE, "%s: is read-only", client->name);
	if (durable && !client->can_flush)
		return fail(err, ERR_USAGE,
			    "%s: the server offers no flush: nobody can know when what is written "
			    "to it is on its disk",
			    client->name);
	return 0;
}

int nbdclient_read_whole(struct nbdclient *client, struct error *err)
{
	if (nbdclient_lib.nbd_can_df(client->connections[0].handle) <= 0)
		return fail(err, ERR_UNSUPPORTED, "%s: cannot answer reads in one piece",
			    client->name);
	client->whole = true;
	return 0;
}

#else

bool nbdclient_knock(const char *uri, int patience_ms)
{
	(void)uri, (void)patience_ms;
	return false;
}

#endif
