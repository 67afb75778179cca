#include "nbd/state.h"

#include "nbd/protocol.h"

#include <stdlib.h>
#include <string.h>

static bool block_sizes_fit(const struct nbdserver_export *export)
{
	uint32_t min = export->block_min, preferred = export->block_preferred;

	return min > 0 && (min & (min - 1)) == 0 && min <= BLOCK_SIZE * 16 && preferred >= min &&
	       preferred >= 512 && (preferred & (preferred - 1)) == 0 &&
	       export->block_max >= preferred && export->block_max <= PAYLOAD_MAX &&
	       export->block_max % min == 0;
}

static int check_export(const struct nbdserver *server, unsigned i, struct error *err)
{
	struct nbdserver_export *export = &server->exports[i];
	size_t n = strlen(export->name);

	if (n == 0 || n > NAME_MAX_BYTES)
		return fail(err, ERR_USAGE, "the name of an nbd export has 1 to %u bytes",
			    NAME_MAX_BYTES);
	for (unsigned other = 0; other < i; other++)
		if (strcmp(server->exports[other].name, export->name) == 0)
			return fail(err, ERR_USAGE, "two nbd exports are named %s", export->name);
	if (export->description != NULL && strlen(export->description) > NAME_MAX_BYTES)
		return fail(err, ERR_USAGE, "%s: the description is too long", export->name);
	if (export->size_bytes > INT64_MAX)
		return fail(err, ERR_USAGE, "%s: larger than nbd allows", export->name);
	if (export->block_min == 0)
		export->block_min = 1;
	if (export->block_preferred == 0)
		export->block_preferred = BLOCK_SIZE;
	if (export->block_max == 0)
		export->block_max = PAYLOAD_MAX;
	if (!block_sizes_fit(export))
		return fail(err, ERR_USAGE, "%s: block sizes that nbd does not allow",
			    export->name);
	if (export->ops->write == NULL)
		export->read_only = true;
	if (export->ops->read == NULL)
		export->write_only = true;
	return 0;
}

/* An empty name means the only export. */
int exports_take(struct nbdserver *server, const struct nbdserver_export *exports, unsigned n,
		 struct error *err)
{
	server->n_exports = n;
	server->exports = calloc(n + 1, sizeof(*exports));
	server->users = calloc(n + 1, sizeof(*server->users));
	if (server->exports == NULL || server->users == NULL)
		return fail_memory(err);
	memcpy(server->exports, exports, n * sizeof(*exports));
	for (unsigned i = 0; i < n; i++)
		TRY(check_export(server, i, err));
	return 0;
}

const struct nbdserver_export *exports_find(const struct nbdserver *server, const uint8_t *name,
					    size_t n)
{
	if (n == 0)
		return server->n_exports == 1 ? &server->exports[0] : NULL;
	for (unsigned i = 0; i < server->n_exports; i++) {
		const struct nbdserver_export *export = &server->exports[i];
		if (strlen(export->name) == n && memcmp(export->name, name, n) == 0)
			return export;
	}
	return NULL;
}

bool exports_use(struct connection *connection, const struct nbdserver_export *export)
{
	struct nbdserver *server = connection->server;

	pthread_mutex_lock(&server->lock);
	bool room = !connection->cut && server->n_clients < server->n_clients_max;
	if (room) {
		connection->is_client = true;
		connection->export = export;
		server->n_clients++;
		server->n_come++;
		server->users[export - server->exports]++;
		pthread_cond_broadcast(&server->gone); /* its place among the handshakes is free */
	}
	pthread_mutex_unlock(&server->lock);
	if (!room)
		connection_log(connection, "too many clients (limit %u)", server->n_clients_max);
	return room;
}
