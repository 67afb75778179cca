/*
 * The client's side of checkpoints that move between a serve's maps and others.
 */
#include "base/json.h"
#include "base/socket.h"
#include "cow/generation.h"
#include "machine/serve/client_source.h"
#include "machine/message.h"
#include "machine/serve/message_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct json_t *request_of(const char *what, uint32_t i)
{
	struct json_t *request = json_make("{s:s}", "execute", what);

	json_put_number(request, "drive", i);
	return request;
}

static int get_outline(const struct json_t *told, struct outline *out, struct error *err)
{
	if (!message_get_line(told, &out->line) ||
	    !json_member_number(told, "n_changed", &out->n_changed) ||
	    !json_member_number(told, "last_ns", &out->last_ns))
		return message_unexpected(err);
	out->still = json_member_bool(told, "still");
	return 1;
}

static int get_drive(const struct json_t *told, struct outline *out, struct error *err)
{
	const char *name = json_member_text(told, "drive");

	if (name == NULL || !name_usable((const uint8_t *)name, strlen(name)) ||
	    !json_member_number(told, "size_bytes", &out->size_bytes))
		return message_unexpected(err);
	snprintf(out->drive, sizeof(out->drive), "%s", name);
	return 0;
}

static int outline(struct checkpoint_source *source, uint32_t i, const char *name,
		   struct outline *out, struct error *err)
{
	struct json_t *told, *request = request_of("map-outline", i);
	int code;

	json_put_text(request, "name", name);
	TRY(call_request(&source->call, request, &told, NULL, err));
	*out = (struct outline){0};
	code = json_member_bool(told, "there") ? get_drive(told, out, err) : 0;
	if (code == 0 && json_member_bool(told, "there"))
		code = get_outline(told, out, err);
	json_free(told);
	return code;
}

static int bits(struct checkpoint_source *source, uint32_t i, const char *name, uint64_t cluster,
		uint64_t n, uint8_t *to, bool *any, struct error *err)
{
	struct json_t *told, *request = request_of("map-bits", i);
	ssize_t got;

	json_put_text(request, "name", name);
	json_put_number(request, "from", cluster);
	json_put_number(request, "n", n);
	TRY(call_request(&source->call, request, &told, NULL, err));
	*any = json_member_bool(told, "any");
	json_free(told);
	if (!*any)
		return 0;
	got = socket_receive(source->call.fd, to, (n + 7) / 8, NULL);
	if (got < 0)
		return fail_system(err, errno, "the control socket");
	return (uint64_t)got == (n + 7) / 8 ? 0 : message_unexpected(err);
}

static int send_outline(struct checkpoint_source *source, struct json_t *request,
			const struct outline *outline, struct error *err)
{
	char token[GENERATION_TOKEN_SIZE];
	struct json_t *told;

	message_put_line(request, &outline->line);
	if (outline->compared_id != 0)
		json_put_text(request, "compared",
			      generation_token(token, outline->compared_id,
					       outline->compared_generation));
	json_put_number(request, "n_changed", outline->n_changed);
	json_put_bool(request, "still", outline->still);
	json_put_number(request, "last_ns", outline->last_ns);
	TRY(call_request(&source->call, request, &told, NULL, err));
	json_free(told);
	return 0;
}

static int begin(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
		 uint32_t chunk_bytes, struct error *err)
{
	struct json_t *request = request_of("map-begin", i);

	json_put_number(request, "chunk_bytes", chunk_bytes);
	return send_outline(source, request, outline, err);
}

static int has(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t *n, bool *out,
	       struct error *err)
{
	struct json_t *told, *request = request_of("map-has", i);
	int code = 0;

	json_put_number(request, "chunk", chunk);
	TRY(call_request(&source->call, request, &told, NULL, err));
	*out = json_member_bool(told, "has");
	if (!json_member_number(told, "n", n) || *n == 0)
		code = message_unexpected(err);
	json_free(told);
	return code;
}

/* The server's answer comes after both messages: an error of sending the second is told by it. */
static int take(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t n,
		const uint8_t *from, uint32_t n_bytes, struct error *err)
{
	struct json_t *told, *request = request_of("map-take", i);
	int sys;

	json_put_number(request, "chunk", chunk);
	json_put_number(request, "n", n);
	json_put_bool(request, "any", from != NULL);
	if (from == NULL) {
		TRY(call_request(&source->call, request, &told, NULL, err));
		json_free(told);
		return 0;
	}
	TRY(message_send(source->call.fd, request, -1, err));
	sys = socket_send(source->call.fd, from, n_bytes, -1);
	if (sys != 0)
		return fail_system(err, sys, "the control socket");
	TRY(call_answer(&source->call, &told, err));
	json_free(told);
	return 0;
}

static int end(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
	       bool trust, struct error *err)
{
	struct json_t *request = request_of("map-end", i);

	json_put_bool(request, "trust", trust);
	return send_outline(source, request, outline, err);
}

const struct checkpoint_moves checkpoint_serve_moves = {
	.outline = outline,
	.bits = bits,
	.begin = begin,
	.has = has,
	.take = take,
	.end = end,
};
