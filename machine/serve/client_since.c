#include "machine/serve/client_state.h"

#include "base/parse.h"
#include "machine/message.h"

#include <errno.h>
#include <stdio.h>

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

/* Runs of clusters, CHUNK_CLUSTERS at most in all. */
struct look {
	uint64_t cluster[CHUNK_CLUSTERS], n[CHUNK_CLUSTERS];
	unsigned n_runs;
};

static void gather(struct look *out, const struct cluster_set *set, uint64_t at,
		   uint64_t n_clusters)
{
	uint64_t left = CHUNK_CLUSTERS, n;
	bool in;

	out->n_runs = 0;
	for (; left > 0 && at < n_clusters; at += n) {
		n = cluster_set_run(set, at, n_clusters - at, &in);
		if (!in)
			continue;
		n = least(n, left);
		out->cluster[out->n_runs] = at;
		out->n[out->n_runs++] = n;
		left -= n;
	}
}

static int hand_over(const struct look *look, unsigned run, bool zeros, const uint8_t *bytes,
		     const struct machine_taker *taker, struct error *err)
{
	for (uint64_t k = 0; k < look->n[run]; k++)
		TRY(taker->take(taker->context, look->cluster[run] + k,
				zeros ? NULL : bytes + k * CLUSTER_SIZE, err));
	return 0;
}

/* *at: behind what was answered. A server may know of the first run only. */
static int look_at(const struct machine *client, uint32_t i, const struct look *look,
		   const struct machine_taker *taker, uint64_t *at, struct error *err)
{
	struct json_t *reply, *more, *request = json_make("{s:s}", "execute", "look");
	uint64_t zeros = 0, n = 0;
	int code = 0;

	json_put_number(request, "drive", i);
	json_put_number(request, "cluster", look->cluster[0]);
	json_put_number(request, "n", look->n[0]);
	more = json_put_array(request, "more");
	for (unsigned run = 1; run < look->n_runs; run++) {
		json_add_number(more, look->cluster[run]);
		json_add_number(more, look->n[run]);
	}
	TRY(call_request(&client->call, request, &reply, NULL, err));
	more = json_member(reply, "more");
	zeros = json_member_bool(reply, "zeros");
	for (unsigned run = 0; run < look->n_runs && code == 0; run++) {
		if (run > 0 && !json_item_number(more, run - 1, &zeros))
			break;
		code = hand_over(look, run, zeros != 0, client->memory + n * CLUSTER_SIZE, taker,
				 err);
		n += look->n[run];
		*at = look->cluster[run] + look->n[run];
	}
	json_free(reply);
	return code;
}

int client_look(struct machine *client, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	uint64_t at = 0, n_clusters = clusters_of(client->drives[i].size_bytes);
	struct look look;

	for (;;) {
		gather(&look, set, at, n_clusters);
		if (look.n_runs == 0)
			return 0;
		TRY(look_at(client, i, &look, taker, &at, err));
	}
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
