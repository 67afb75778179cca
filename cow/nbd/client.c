#include "cow/nbd/client.h"

#if HAVE_LIBNBD

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes. Servers must take up to 32 MiB, but qemu-nbd gets a new buffer from the kernel for each
 * large one: measured on an image in the page cache, 4 MiB gave 700 MiB/s and 512 KiB gave 2000. */
#define REQUEST_MAX 524288u

#define STATUS_MAX 4294901760u /* bytes: the most whole clusters that 32 bits can ask about */
#define KNOWN_MAX  1024u       /* stretches kept of one answer; the rest is asked for again */

struct stretch {
	uint64_t end; /* byte */
	bool zero;
};

struct nbd_client {
	const char *name; /* borrowed */
	uint64_t size_bytes;
	bool tells_zeros; /* the server has base:allocation */
	unsigned n_handles;
	struct nbd_handle *handles[NBD_CONNECTIONS_MAX];

	/* The last answer about zeros, for the one caller of nbd_client_status. */
	uint64_t known_from; /* byte where the first stretch begins */
	unsigned n_known;
	struct stretch known[KNOWN_MAX];

	/* A connection serves one caller at a time. lock guards which of them are idle; it is not
	 * held while one is used. */
	pthread_mutex_t lock;
	pthread_cond_t returned;
	unsigned n_idle;
	struct nbd_handle *idle[NBD_CONNECTIONS_MAX];
};

static struct nbd_handle *take_connection(struct nbd_client *client)
{
	pthread_mutex_lock(&client->lock);
	while (client->n_idle == 0)
		pthread_cond_wait(&client->returned, &client->lock);
	struct nbd_handle *handle = client->idle[--client->n_idle];
	pthread_mutex_unlock(&client->lock);
	return handle;
}

static void return_connection(struct nbd_client *client, struct nbd_handle *handle)
{
	pthread_mutex_lock(&client->lock);
	client->idle[client->n_idle++] = handle;
	pthread_cond_signal(&client->returned);
	pthread_mutex_unlock(&client->lock);
}

/* What libnbd says is kept for each thread, so this comes from the thread whose call failed. */
static int fail_nbd(const struct nbd_client *client, uint64_t offset, struct error *err)
{
	int sys = nbd_get_errno();

	fail(err, ERR_SYSTEM, "%s: reading at byte %" PRIu64 ": %s", client->name, offset,
	     nbd_get_error());
	err->sys = sys;
	return ERR_SYSTEM;
}

/* Takes over the socket. Returns NULL and what was wrong in *err. */
static struct nbd_handle *connect_one(const char *name, int socket, struct error *err)
{
	struct nbd_handle *handle = nbd_create();

	if (!handle) {
		close(socket);
		fail(err, ERR_SYSTEM, "%s: %s", name, nbd_get_error());
		return NULL;
	}
	nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION);
#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_BLOCK_SIZE
	/* A client that does not ask for block sizes may read at any byte. */
	nbd_set_request_block_size(handle, false);
#endif
	if (nbd_connect_socket(handle, socket) != 0) {
		fail(err, ERR_SYSTEM, "%s: %s", name, nbd_get_error());
		nbd_close(handle);
		return NULL;
	}
	return handle;
}

/* The first connection tells what there is. */
static int learn_server(struct nbd_client *client, struct error *err)
{
	int64_t size = nbd_get_size(client->handles[0]);

	if (size < 0)
		return fail(err, ERR_SYSTEM, "%s: %s", client->name, nbd_get_error());
	client->size_bytes = (uint64_t)size;
	client->tells_zeros =
		nbd_can_meta_context(client->handles[0], LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	return 0;
}

static int connect_all(struct nbd_client *client, int *sockets, unsigned n_sockets,
		       struct error *err)
{
	for (unsigned i = 0; i < n_sockets; i++) {
		if (i == 1 && nbd_can_multi_conn(client->handles[0]) <= 0)
			return 0;
		struct nbd_handle *handle = connect_one(client->name, sockets[i], err);
		sockets[i] = -1;
		if (!handle)
			return err->code;
		client->handles[client->n_handles++] = handle;
		client->idle[client->n_idle++] = handle;
		int rc = i == 0 ? learn_server(client, err) : 0;
		if (rc != 0)
			return rc;
	}
	return 0;
}

int nbd_client_new(struct nbd_client **out, const char *name, int *sockets, unsigned n_sockets,
		   struct error *err)
{
	struct nbd_client *client = calloc(1, sizeof *client);
	int rc;

	if (!client) {
		rc = fail_system(err, ENOMEM, "%s", name);
	} else {
		client->name = name;
		pthread_mutex_init(&client->lock, NULL);
		pthread_cond_init(&client->returned, NULL);
		rc = connect_all(client, sockets, n_sockets, err);
	}
	for (unsigned i = 0; i < n_sockets; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
	if (rc != 0) {
		nbd_client_free(client);
		return rc;
	}
	*out = client;
	return 0;
}

void nbd_client_free(struct nbd_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; i < client->n_handles; i++)
		nbd_close(client->handles[i]);
	pthread_cond_destroy(&client->returned);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

uint64_t nbd_client_size(const struct nbd_client *client)
{
	return client->size_bytes;
}

int nbd_client_read(struct nbd_client *client, uint64_t offset, void *buffer, size_t n,
		    struct error *err)
{
	struct nbd_handle *handle = take_connection(client);
	uint8_t *to = buffer;
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t part = n < REQUEST_MAX ? n : REQUEST_MAX;
		if (nbd_pread(handle, to, part, offset, 0) != 0)
			rc = fail_nbd(client, offset, err);
		to += part;
		n -= part;
		offset += part;
	}
	return_connection(client, handle);
	return rc;
}

/* entries are pairs of a length and flags. */
static int take_answer(void *user_data, const char *context, uint64_t offset, uint32_t *entries,
		       size_t n_entries, int *error)
{
	struct nbd_client *client = user_data;
	uint64_t end = offset;

	(void)context; /* there is only the one that was asked for */
	(void)error;
	client->known_from = offset;
	client->n_known = 0;
	for (size_t i = 0; i + 1 < n_entries && client->n_known < KNOWN_MAX; i += 2) {
		end += entries[i];
		client->known[client->n_known++] = (struct stretch){
			.end = end,
			.zero = (entries[i + 1] & LIBNBD_STATE_ZERO) != 0,
		};
	}
	return 0;
}

static int ask(struct nbd_client *client, uint64_t offset, struct error *err)
{
	struct nbd_handle *handle = take_connection(client);
	nbd_extent_callback callback = {.callback = take_answer, .user_data = client};
	uint64_t n = client->size_bytes - offset;
	int rc = 0;

	if (n > STATUS_MAX)
		n = STATUS_MAX;
	client->n_known = 0;
	if (nbd_block_status(handle, n, offset, callback, 0) != 0)
		rc = fail_nbd(client, offset, err);
	return_connection(client, handle);
	return rc;
}

/* The stretch of the last answer that offset lies in, or NULL. */
static const struct stretch *find_known(const struct nbd_client *client, uint64_t offset)
{
	if (offset < client->known_from)
		return NULL;
	for (unsigned i = 0; i < client->n_known; i++)
		if (offset < client->known[i].end)
			return &client->known[i];
	return NULL;
}

int nbd_client_status(struct nbd_client *client, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err)
{
	const struct stretch *stretch;

	if (!client->tells_zeros) {
		*n = client->size_bytes - offset;
		*zero = false;
		return 0;
	}
	stretch = find_known(client, offset);
	if (!stretch) {
		int rc = ask(client, offset, err);
		if (rc != 0)
			return rc;
		stretch = find_known(client, offset);
	}
	if (!stretch)
		return fail(err, ERR_SYSTEM, "%s: the server tells nothing about byte %" PRIu64,
			    client->name, offset);
	*n = stretch->end - offset;
	*zero = stretch->zero;
	return 0;
}

#endif
