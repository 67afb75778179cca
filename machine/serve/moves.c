/*
 * Checkpoints on their way from this map to another, and from others into this one: spec/moves.md.
 * Bits go as a message of their own after the one that tells of them.
 */
#include "machine/serve/message_line.h"
#include "machine/serve/state.h"

#include "base/bytes.h"
#include "base/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int find_drive(struct serve *serve, const struct json_t *request, struct served **out,
		      uint32_t *number, struct error *err)
{
	uint64_t i;

	if (!json_member_number(request, "drive", &i) || i >= serve->n_drives)
		return fail(err, ERR_USAGE, "of which drive?");
	*out = &serve->drives[i];
	if (number != NULL)
		*number = (uint32_t)i;
	return (*out)->map != NULL
		       ? 0
		       : fail(err, ERR_USAGE, "the server has no maps: its drives are read only");
}

/* ---- away from here ---- */

static int find_line(const struct served *served, const struct json_t *request,
		     struct checkpoint *out, struct error *err)
{
	const char *name = json_member_text(request, "name");

	if (name == NULL || !checkpoints_find(generation_checkpoints(served->map), name, out))
		return fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name",
			    name == NULL ? "" : name);
	if (!out->good)
		return fail(err, ERR_USAGE, "checkpoint %s: is %s", name,
			    out->incomplete ? "incomplete" : "pending");
	return generation_is_sure(served->map, out->generation)
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "drive %s could not be flushed, and may have gone back to older data",
			      served->argument.name);
}

static bool has_line(const struct served *served, const struct json_t *request)
{
	const char *name = json_member_text(request, "name");
	struct checkpoint found;

	return name != NULL && checkpoints_find(generation_checkpoints(served->map), name, &found);
}

static int answer_outline(struct serve *serve, int fd, const struct json_t *request,
			  struct error *err)
{
	struct json_t *message, *told;
	struct checkpoint line;
	struct served *served;
	uint32_t i;
	bool there;

	TRY(find_drive(serve, request, &served, &i, err));
	/* Once: another client may add or delete it meanwhile. */
	there = has_line(served, request);
	if (there)
		TRY(find_line(served, request, &line, err));
	message = json_new();
	told = json_put_object(message, "return");
	json_put_bool(told, "there", there);
	json_put_text(told, "drive", served->argument.name);
	json_put_number(told, "size_bytes", drive_size(served->drive));
	if (there) {
		if (line.origin_id == 0) {
			line.origin_id = generation_id(served->map);
			line.origin_generation = line.generation;
		}
		message_put_line(told, &line);
		json_put_number(told, "n_changed", generation_count(served->map, line.generation));
		json_put_bool(told, "still", nbdserver_export_users(serve->nbd, i) == 0);
		json_put_number(told, "last_ns", volume_last_request_ns(served->volume));
	}
	return message_send(fd, message, -1, err);
}

static int answer_bits(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	uint8_t bits[MESSAGE_BITS_MAX];
	struct checkpoint line;
	struct served *served;
	uint64_t from, n, n_all;
	int sys;

	TRY(find_drive(serve, request, &served, NULL, err));
	TRY(find_line(served, request, &line, err));
	n_all = generation_n_clusters(served->map);
	if (!json_member_number(request, "from", &from) || !json_member_number(request, "n", &n) ||
	    from % 8 != 0 || from >= n_all || n == 0 || n > 8 * MESSAGE_BITS_MAX ||
	    n > n_all - from)
		return fail(err, ERR_USAGE, "which bits?");
	generation_bits(served->map, line.generation, from, bits, n);
	if (all_zero(bits, (n + 7) / 8))
		return message_send(fd, json_make("{s:{s:b}}", "return", "any", 0), -1, err);
	TRY(message_send(fd, json_make("{s:{s:b}}", "return", "any", 1), -1, err));
	sys = socket_send(fd, bits, (n + 7) / 8, -1);
	return sys == 0 ? 0 : fail_system(err, sys, "the control socket");
}

/* ---- to here ---- */

static int get_outline(const struct served *served, const struct json_t *request,
		       struct outline *out, struct error *err)
{
	const char *compared = json_member_text(request, "compared");

	*out = (struct outline){.size_bytes = drive_size(served->drive)};
	snprintf(out->drive, sizeof(out->drive), "%s", served->argument.name);
	if (!message_get_line(request, &out->line) ||
	    !json_member_number(request, "n_changed", &out->n_changed))
		return fail(err, ERR_USAGE, "which checkpoint?");
	out->still = json_member_bool(request, "still");
	json_member_number(request, "last_ns", &out->last_ns);
	return compared == NULL || generation_parse_token(compared, &out->compared_id,
							  &out->compared_generation)
		       ? 0
		       : fail(err, ERR_USAGE, "compared with what?");
}

static int take_beginning(struct served *served, const struct json_t *request, struct error *err)
{
	struct outline outline;
	uint64_t chunk_bytes;

	if (!json_member_number(request, "chunk_bytes", &chunk_bytes) ||
	    chunk_bytes > ARRIVAL_CHUNK_MAX)
		return fail(err, ERR_USAGE, "chunks of which size?");
	TRY(get_outline(served, request, &outline, err));
	return arrival_begin(&served->arrival, served->map, &outline, (uint32_t)chunk_bytes, err);
}

/* What came after a request. */
struct bits {
	uint8_t bytes[MESSAGE_BITS_MAX];
	ssize_t n; /* 0: none */
};

static int tell_has(struct served *served, const struct json_t *request, struct json_t **out,
		    struct error *err)
{
	uint64_t chunk, n;
	bool has;

	if (!json_member_number(request, "chunk", &chunk) ||
	    chunk >= arrival_n_chunks(served->arrival))
		return fail(err, ERR_USAGE, "which chunk?");
	has = arrival_has(served->arrival, chunk, &n);
	*out = json_make("{s:{s:b, s:I}}", "return", "has", (int)has, "n", (long long)n);
	return 0;
}

static int take_chunks(struct served *served, const struct json_t *request, const struct bits *bits,
		       struct error *err)
{
	uint64_t chunk, n;

	if (!json_member_number(request, "chunk", &chunk) || !json_member_number(request, "n", &n))
		return fail(err, ERR_USAGE, "which chunks?");
	return arrival_take(served->arrival, chunk, n, bits->n > 0 ? bits->bytes : NULL,
			    (uint64_t)bits->n, err);
}

static int take_end(struct served *served, const struct json_t *request, struct error *err)
{
	struct outline outline;

	TRY(get_outline(served, request, &outline, err));
	return arrival_end(served->arrival, &outline, json_member_bool(request, "trust"), err);
}

static int take(struct served *served, const struct json_t *request, const struct bits *bits,
		struct json_t **out, struct error *err)
{
	const char *what = json_member_text(request, "execute");

	if (strcmp(what, "map-begin") != 0 && served->arrival == NULL)
		return fail(err, ERR_USAGE, "no checkpoint is coming");
	if (strcmp(what, "map-has") == 0)
		return tell_has(served, request, out, err);
	if (strcmp(what, "map-begin") == 0)
		TRY(take_beginning(served, request, err));
	else if (strcmp(what, "map-take") == 0)
		TRY(take_chunks(served, request, bits, err));
	else
		TRY(take_end(served, request, err));
	*out = json_make("{s:{}}", "return");
	return 0;
}

/* The lock is never held while a client is waited for. */
static int answer_arrival(struct serve *serve, int fd, const struct json_t *request,
			  struct error *err)
{
	struct json_t *message = NULL;
	struct served *served;
	struct bits bits;
	int code;

	bits.n = json_member_bool(request, "any")
			 ? socket_receive(fd, bits.bytes, sizeof(bits.bytes), NULL)
			 : 0;
	if (bits.n < 0)
		return fail_system(err, errno, "the control socket");
	/* Who was killed before has said nothing of these clusters. */
	if (bits.n == 0 && json_member_bool(request, "any"))
		return fail(err, ERR_INCOMPLETE, "the bits of a chunk have not come");
	TRY(find_drive(serve, request, &served, NULL, err));
	pthread_mutex_lock(&serve->arrivals_lock);
	code = take(served, request, &bits, &message, err);
	pthread_mutex_unlock(&serve->arrivals_lock);
	return code < 0 ? code : message_send(fd, message, -1, err);
}

int serve_move(struct serve *serve, int fd, const struct json_t *request, struct error *err)
{
	const char *what = json_member_text(request, "execute");

	if (what == NULL || strncmp(what, "map-", 4) != 0)
		return 1;
	if (strcmp(what, "map-outline") == 0)
		return answer_outline(serve, fd, request, err);
	if (strcmp(what, "map-bits") == 0)
		return answer_bits(serve, fd, request, err);
	return strcmp(what, "map-begin") == 0 || strcmp(what, "map-has") == 0 ||
			       strcmp(what, "map-take") == 0 || strcmp(what, "map-end") == 0
		       ? answer_arrival(serve, fd, request, err)
		       : 1;
}
