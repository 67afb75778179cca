#include "machine/serve/client_state.h"

#include "base/parse.h"
#include "machine/message.h"

#include <errno.h>
#include <stdio.h>

#define LOOKS_AHEAD 16u /* of at most CHUNK_CLUSTERS each */

int client_since(struct machine *client, const struct machine_since *since, struct error *err)
{
	struct json_t *request, *tokens;
	char uuid[UUID_TEXT_SIZE];

	if (since->tokens == NULL && since->uuid == NULL)
		return 0;
	request = json_make("{s:s}", "execute", "since");
	if (since->uuid != NULL)
		json_put_text(request, "uuid", format_uuid(uuid, since->uuid));
	if (since->parent != NULL)
		json_put_text(request, "parent", format_uuid(uuid, since->parent));
	tokens = json_put_array(request, "tokens");
	for (uint32_t i = 0; since->tokens != NULL && i < client->n_drives; i++)
		json_add_text(tokens, since->tokens[i] == NULL ? "" : since->tokens[i]);
	return call_request(&client->call, request, &client->known, NULL, err);
}

int client_add_runs(const struct json_t *reply, uint64_t *at, uint64_t n_clusters,
		    struct cluster_set *set, struct error *err)
{
	const struct json_t *runs = json_member(reply, "runs");
	uint64_t here = *at, left_out, n, next;
	size_t n_numbers = json_length(runs);

	for (size_t i = 0; i < n_numbers; i += 2) {
		if (!json_item_number(runs, i, &left_out) || !json_item_number(runs, i + 1, &n) ||
		    left_out > n_clusters - here || n == 0 || n > n_clusters - here - left_out)
			return message_unexpected(err);
		here += left_out;
		if (cluster_set_add(set, here, n, err) < 0)
			return err->code;
		here += n;
	}
	/* It has to go on, or it would be asked for ever. */
	if (!json_member_number(reply, "next", &next) || next < here || next > n_clusters ||
	    next == *at)
		return message_unexpected(err);
	*at = next;
	return 0;
}

static int ask(const struct machine *client, uint32_t i, struct cluster_set *set, struct error *err)
{
	/* The watcher listens at the control socket. */
	const struct call channel = {client->channels[0], client->call.path};
	uint64_t at = 0, n_clusters = clusters_of(client->drives[i].size_bytes);

	while (at < n_clusters) {
		struct json_t *reply, *request = json_make("{s:s}", "execute", "changes");
		int code;

		json_put_number(request, "drive", i);
		json_put_number(request, "from", at);
		TRY(call_request(&channel, request, &reply, NULL, err));
		code = client_add_runs(reply, &at, n_clusters, set, err);
		json_free(reply);
		TRY(code);
	}
	return 0;
}

/* A server that has gone, or gives no sign of life, which the watcher finds out, has no checkpoint;
 * that is no affair of the archive's. */
int client_commit(struct machine *client, const struct machine_archive *archive, struct error *err)
{
	struct json_t *reply, *request = json_make("{s:s}", "execute", "commit");
	int code;

	json_put_number(request, "written_bytes", archive->written_bytes);
	if (message_send(client->channels[0], request, -1, err) < 0)
		return err->sys == ENOMEM ? err->code : 0;
	code = message_receive(client->channels[0], &reply, NULL, err);
	if (code <= 0)
		return code;
	code = json_member(reply, "return") != NULL ? 0 : message_error(reply, err);
	json_free(reply);
	return code;
}

int client_changes(struct machine *client, uint32_t i, struct machine_changes *out,
		   struct error *err)
{
	const struct json_t *told = json_item(json_member(client->known, "drives"), i);
	const char *why = json_member_text(told, "why");

	if (json_member_bool(told, "known")) {
		out->known = true;
		return ask(client, i, &out->set, err);
	}
	snprintf(out->why, sizeof(out->why), "%s", why == NULL ? "" : why);
	return 0;
}

/* ---- before the instant ---- */

static int ask_now(const struct machine *client, struct json_t *asked, uint64_t n_clusters,
		   struct machine_changes *out, struct error *err)
{
	uint64_t at = 0;

	for (out->known = true; out->known && at < n_clusters;) {
		struct json_t *reply, *request = json_new();
		int code = 0;

		json_put_all(request, asked);
		json_put_number(request, "from", at);
		TRY(call_request(&client->call, request, &reply, NULL, err));
		out->known = json_member_bool(reply, "known");
		if (out->known)
			code = client_add_runs(reply, &at, n_clusters, &out->set, err);
		json_free(reply);
		TRY(code);
	}
	return 0;
}

int client_changes_now(struct machine *client, uint32_t i, const struct machine_since *since,
		       struct machine_changes *out, struct error *err)
{
	struct json_t *asked = json_make("{s:s}", "execute", "changes-now");
	char uuid[UUID_TEXT_SIZE];
	int code;

	json_put_number(asked, "drive", i);
	json_put_text(asked, "token", since->tokens[i]);
	if (since->parent != NULL)
		json_put_text(asked, "parent", format_uuid(uuid, since->parent));
	code = ask_now(client, asked, clusters_of(client->drives[i].size_bytes), out, err);
	json_free(asked);
	return code;
}

/* What is to be looked at after this: the server has it read meanwhile. */
struct ahead {
	const struct cluster_set *set;
	uint64_t at, n_clusters;
	unsigned n; /* looks that were announced and are to come */
};

/* False: there are no more. */
static bool next_look(const struct cluster_set *set, uint64_t *at, uint64_t n_clusters, uint64_t *n)
{
	for (bool in; *at < n_clusters; *at += *n) {
		*n = cluster_set_run(set, *at, n_clusters - *at, &in);
		if (in) {
			*n = least(*n, CHUNK_CLUSTERS);
			return true;
		}
	}
	return false;
}

static void announce(struct ahead *ahead, struct json_t *request)
{
	struct json_t *list = json_put_array(request, "ahead");

	for (uint64_t n;
	     ahead->n < LOOKS_AHEAD && next_look(ahead->set, &ahead->at, ahead->n_clusters, &n);
	     ahead->at += n, ahead->n++) {
		json_add_number(list, ahead->at);
		json_add_number(list, n);
	}
	ahead->n--;
}

static int look_at(const struct machine *client, uint32_t i, uint64_t cluster, uint64_t n,
		   struct ahead *ahead, const struct machine_taker *taker, struct error *err)
{
	struct json_t *reply, *request = json_make("{s:s}", "execute", "look");
	bool zeros;

	announce(ahead, request);
	json_put_number(request, "drive", i);
	json_put_number(request, "cluster", cluster);
	json_put_number(request, "n", n);
	TRY(call_request(&client->call, request, &reply, NULL, err));
	zeros = json_member_bool(reply, "zeros");
	json_free(reply);
	for (uint64_t k = 0; k < n; k++)
		TRY(taker->take(taker->context, cluster + k,
				zeros ? NULL : client->memory + k * CLUSTER_SIZE, err));
	return 0;
}

int client_look(struct machine *client, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	uint64_t n_clusters = clusters_of(client->drives[i].size_bytes);
	struct ahead ahead = {.set = set, .n_clusters = n_clusters};

	for (uint64_t n, at = 0; next_look(set, &at, n_clusters, &n); at += n)
		TRY(look_at(client, i, at, n, &ahead, taker, err));
	return 0;
}

int client_distrust(struct machine *client, uint32_t i, struct error *err)
{
	struct json_t *reply, *request = json_make("{s:s}", "execute", "distrust");

	json_put_number(request, "drive", i);
	TRY(call_request(&client->call, request, &reply, NULL, err));
	json_free(client->renewed[i]);
	client->renewed[i] = reply;
	client->tokens[i] = json_member_text(reply, "token");
	return 0;
}
