#include "machine/serve/client_state.h"

#include "base/clock.h"
#include "base/human.h"
#include "base/name.h"
#include "base/patience.h"
#include "base/watcher.h"
#include "machine/freeze.h"
#include "machine/kinds.h"
#include "machine/message.h"
#include "machine/serve/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNKS_MAX (MACHINE_BUFFER_MAX / CHUNK_SIZE)
#define SIZE_LIMIT (UINT64_C(1) << 62) /* bytes of a drive */

/* ---- the plan ---- */

static int parse_drive(struct machine *client, const struct json_t *object, struct error *err)
{
	struct machine_drive *drive = &client->drives[client->n_drives];
	const char *failure = json_member_text(object, "map_failure");

	client->tokens[client->n_drives++] = json_member_text(object, "token");
	drive->name = json_member_text(object, "name");
	drive->path = json_member_text(object, "path");
	if (drive->name == NULL ||
	    !name_usable((const uint8_t *)drive->name, strlen(drive->name)) ||
	    !json_member_number(object, "size_bytes", &drive->size_bytes) ||
	    drive->size_bytes > SIZE_LIMIT)
		return message_unexpected(err);
	json_member_number(object, "data_bytes", &drive->data_bytes);
	if (failure != NULL)
		watcher_warn(client->told,
			     "drive %s: %s; changes are tracked only until the server ends",
			     drive->name, failure);
	return 0;
}

static int parse_plan(struct machine *client, struct error *err)
{
	const struct json_t *drives = json_member(client->plan, "drives");
	uint64_t n_chunks;
	size_t n = json_length(drives);

	if (n == 0 || n > SERVED_MAX || !json_member_number(client->plan, "n_chunks", &n_chunks) ||
	    n_chunks == 0 || n_chunks > CHUNKS_MAX)
		return message_unexpected(err);
	client->n_chunks = (uint32_t)n_chunks;
	client->drives = calloc(n, sizeof(*client->drives));
	client->tokens = calloc(n, sizeof(*client->tokens));
	client->renewed = calloc(n, sizeof(*client->renewed));
	client->in_use = calloc(client->n_chunks, sizeof(*client->in_use));
	client->given_back = calloc(client->n_chunks, sizeof(*client->given_back));
	if (client->drives == NULL || client->tokens == NULL || client->renewed == NULL ||
	    client->in_use == NULL || client->given_back == NULL)
		return fail_memory(err);
	for (size_t i = 0; i < n; i++)
		TRY(parse_drive(client, json_item(drives, i), err));
	return 0;
}

/* Sealed, so that no page of it can go away under us. */
static int map_memory(struct machine *client, int fd, struct error *err)
{
	size_t size = (size_t)client->n_chunks * CHUNK_SIZE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat found;
	void *memory;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &found) < 0 ||
	    (uint64_t)found.st_size < size)
		return message_unexpected(err);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return fail_system(err, errno, "the memory of the server");
	client->memory = memory;
	return 0;
}

static struct json_t *make_request(const struct machine_options *options, const char *spill_dir)
{
	struct json_t *request = json_make("{s:s, s:b}", "execute", "backup", "wait",
					   options->on_full == FULL_CHOICE_WAIT);
	struct json_t *drives = json_put_array(request, "drives");

	for (unsigned i = 0; i < options->drives.n; i++)
		json_add_text(drives, options->drives.items[i]);
	json_put_number(request, "buffer", options->buffer);
	json_put_number(request, "spill", options->spill);
	json_put_text(request, "spill_dir", spill_dir);
	return request;
}

static int agree(struct machine *client, struct error *err)
{
	const struct machine_options *options = client->options;
	const char *folder = options->spill_dir == NULL ? "/var/tmp" : options->spill_dir;
	char *full = realpath(folder, NULL); /* the server has another working directory */
	int memory_fd, code;

	if (full == NULL)
		return fail_system(err, errno, "--spill-dir %s", folder);
	code = call_request(&client->call, make_request(options, full), &client->plan, &memory_fd,
			    err);
	free(full);
	if (code < 0)
		return code;
	code = parse_plan(client, err);
	if (code == 0)
		code = map_memory(client, memory_fd, err);
	if (memory_fd >= 0)
		close(memory_fd);
	return code;
}

static int open_channels(struct machine *client, unsigned n, struct error *err)
{
	struct json_t *reply;

	client->channels = calloc(n, sizeof(*client->channels));
	if (client->channels == NULL)
		return fail_memory(err);
	while (client->n_channels < n) {
		int *channel = &client->channels[client->n_channels];

		TRY(call_request(&client->call, json_make("{s:s}", "execute", "channel"), &reply,
				 channel, err));
		json_free(reply);
		if (*channel < 0)
			return message_unexpected(err);
		client->n_channels++;
	}
	return 0;
}

/* ---- the machine ---- */

static void end(struct machine *client)
{
	if (client == NULL)
		return;
	client_watch_end(client);
	pthread_mutex_destroy(&client->lock);
	pthread_cond_destroy(&client->changed);
	if (client->memory != NULL)
		munmap(client->memory, (size_t)client->n_chunks * CHUNK_SIZE);
	for (uint32_t i = 0; i < client->n_channels; i++)
		close(client->channels[i]);
	call_close(&client->call);
	json_free(client->plan);
	json_free(client->counts);
	json_free(client->known);
	for (uint32_t i = 0; i < client->n_drives; i++)
		json_free(client->renewed[i]);
	free(client->renewed);
	free(client->tokens);
	free(client->channels);
	free(client->given_back);
	free(client->in_use);
	free(client->drives);
	free(client);
}

static int open_client(struct machine **out, const struct machine_options *options,
		       const struct watcher *watcher, struct error *err)
{
	struct machine *client = calloc(1, sizeof(*client));
	int code;

	if (client == NULL)
		return fail_memory(err);
	client->options = options;
	client->told = watcher;
	pthread_mutex_init(&client->lock, NULL);
	clock_cond_init(&client->changed);
	code = call_open(&client->call, options->place, err);
	if (code == 0)
		code = agree(client, err);
	if (code == 0)
		code = open_channels(client, options->threads, err);
	if (code < 0) {
		end(client);
		return code;
	}
	*out = client;
	return 0;
}

static void describe(const struct machine *client, struct machine_description *out)
{
	*out = (struct machine_description){
		.drives = client->drives,
		.n_drives = client->n_drives,
		.is_running = true,
	};
}

static const char *token(const struct machine *client, uint32_t i)
{
	return client->tokens[i];
}

static int take_instant(void *context, struct error *err)
{
	struct machine *client = context;
	struct json_t *reply, *request = json_make("{s:s}", "execute", "begin");

	if (client->snapshot)
		json_put_bool(request, "snapshot", true);
	TRY(call_request(&client->call, request, &reply, NULL, err));
	json_free(reply);
	patience_for_sending(client->call.fd, 0); /* the watcher ends it */
	return client_watch(client, err);
}

static int begin(struct machine *client, const struct machine_since *since, struct error *err)
{
	struct instant instant = {
		.begin = take_instant,
		.context = client,
		.options = client->options,
	};
	struct instant_outcome outcome = {0};
	int code;

	TRY(client_since(client, since, err));
	code = freeze_with_guard(&instant, "serve", &outcome, err);
	if (outcome.thawing[0] != '\0')
		watcher_warn(client->told, "%s", outcome.thawing);
	return code;
}

static int chunks(struct machine *client, uint32_t piece_clusters, const struct chunk_source **out,
		  struct error *err)
{
	(void)err;
	client->source = client_chunks(client, piece_clusters);
	*out = &client->source;
	return 0;
}

static uint64_t count(const struct machine *client, const char *key)
{
	uint64_t number = 0;

	json_member_number(client->counts, key, &number);
	return number;
}

static void outcome(struct machine *client, struct json_t *capture)
{
	char delays[2][HUMAN_SIZE];

	if (capture != NULL) {
		json_put_all(capture, client->counts);
		return;
	}
	watcher_note(
		client->told,
		"the snapshot took %s; %llu clusters were saved for guest writes, which waited "
		"at most %s",
		human_delay(delays[0], count(client, "quiesce_ns")),
		(unsigned long long)count(client, "guest_clusters"),
		human_delay(delays[1], count(client, "delay_max_ns")));
}

const struct machine_kind machine_serve = {
	.open = open_client,
	.describe = describe,
	.token = token,
	.begin = begin,
	.changes = client_changes,
	.changes_now = client_changes_now,
	.look = client_look,
	.distrust = client_distrust,
	.rebuilds = true,
	.commit = client_commit,
	.chunks = chunks,
	/* No finish: the last answer said that all has come. */
	.outcome = outcome,
	.end = end,
};
