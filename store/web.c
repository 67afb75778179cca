/*
 * A file of a web server, read in ranges. What servers do was seen with nginx, Apache, rclone, the
 * one of Python, and Ceph's gateway; what they may do is in RFC 9110.
 *
 * Not If-Range: it answers a change with all of the new file, and some servers ignore it. Where
 * there is no strong ETag, If-Unmodified-Since, which some ignore too; so what each answer says of
 * itself is compared. With neither, the size alone can tell; that of two archives none is mixed is
 * certain even so, as each section of a VMAB names its archive and has a checksum.
 */
#include "store/origin.h"
#include "store/retry.h"
#include "store/secrets.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct web {
	char *url; /* owned; with all that is secret */
	atomic_bool stop;
	bool found; /* a server has answered: what fails from then on may pass */
};

static void web_free(void *state)
{
	struct web *web = state;

	if (web == NULL)
		return;
	free(web->url);
	free(web);
}

static int web_open(void **state, const char *name, struct error *err)
{
	struct web *web = calloc(1, sizeof(*web));

	if (web != NULL)
		web->url = strdup(secrets_of(name));
	if (web == NULL || web->url == NULL) {
		web_free(web);
		return fail_memory(err);
	}
	*state = web;
	return 0;
}

static void web_stop(void *state)
{
	atomic_store(&((struct web *)state)->stop, true);
}

/* ---- what an answer says ---- */

/* "bytes FIRST-LAST/SIZE", and nothing else. */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *size)
{
	uint64_t *const numbers[] = {first, last, size};
	const char ends[] = {'-', '/', '\0'};

	if (strncmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	for (unsigned i = 0; i < 3; i++) {
		char *end;

		if (!isdigit((unsigned char)*text) || strspn(text, "0123456789") > 18)
			return false;
		*numbers[i] = strtoull(text, &end, 10);
		if (*end != ends[i])
			return false;
		text = end + 1;
	}
	return true;
}

static int fail_status(const struct origin *origin, int status, struct error *err)
{
	fail(err, ERR_SYSTEM, "%.300s: the server answers %d", origin->name, status);
	if (status == 401 || status == 403)
		error_append(err, ", access denied: a user and password can be in ~/.netrc");
	else if (status == 404 || status == 410)
		error_append(err, ", there is no such file");
	else if (status >= 300 && status < 400)
		error_append(err, ", a redirection that is not followed");
	return err->code;
}

static int fail_whole(const struct origin *origin, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "%.300s: the server does not answer with the range that was asked for, but "
		    "with everything: curl -L URL | vmabak COMMAND - reads it from the beginning",
		    origin->name);
}

static int fail_replaced(const struct origin *origin, struct error *err)
{
	return fail(err, ERR_SYSTEM, "%.300s: was replaced while it was read", origin->name);
}

static int fail_range(const struct origin *origin, const struct origin_range *wanted,
		      struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "%.300s: the server does not answer with the range that was asked for, bytes "
		    "%" PRIu64 " to %" PRIu64,
		    origin->name, wanted->position, wanted->position + wanted->n - 1);
}

/* ---- requests ---- */

/* 1: answered. Else *err tells why the same may be asked again; that is of no use if out->hopeless.
 */
static int try_once(struct origin *origin, struct http *http, const struct http_request *request,
		    struct http_answer *out, struct error *err)
{
	size_t room = request->sink != NULL ? request->sink->room : request->room;
	uint64_t first, last, size;

	if (http_do(http, request, out, err) != 0) {
		error_prefix(err, "%.300s", origin->name);
		return err->code;
	}
	if (retry_helps(out->status))
		return fail_status(origin, out->status, err);
	/* A connection that ends is not always told from an answer that does. */
	if (out->status == 206 && !out->refused && out->n_body < room &&
	    parse_range(out->range, &first, &last, &size) && last >= first &&
	    out->n_body < last - first + 1)
		return fail(err, ERR_SYSTEM, "%.300s: the server's answer is cut", origin->name);
	return 1;
}

static int try_often(struct origin *origin, struct http *http, const struct http_request *request,
		     struct http_answer *out, struct error *err)
{
	struct web *web = origin->state;

	for (unsigned n = 1;; n++) {
		int code = try_once(origin, http, request, out, err);

		if (code > 0) {
			*err = (struct error){0};
			return 0;
		}
		if (atomic_load(&web->stop) || (out->hopeless && !web->found))
			return code;
		if (n == RETRY_TRIES) {
			error_append(err, " (tried %u times)", n);
			return code;
		}
		retry_wait(n, &web->stop);
	}
}

/* A range on its way: no byte is handed on that is not of the file, and of this place in it. */
struct fetching {
	const struct origin *origin;
	const struct origin_range *wanted;
};

static bool is_same(const struct origin *origin, const struct http_answer *answer)
{
	return strcmp(answer->etag, origin->etag) == 0 &&
	       strcmp(answer->modified, origin->modified) == 0;
}

static bool is_range(const struct origin_range *wanted, const struct http_answer *answer,
		     uint64_t *size)
{
	uint64_t first, last;

	return parse_range(answer->range, &first, &last, size) && first == wanted->position &&
	       last - first + 1 == wanted->n;
}

static bool take(void *context, const struct http_answer *answer, const uint8_t *bytes, size_t n)
{
	const struct fetching *fetching = context;
	const struct origin_range *wanted = fetching->wanted;
	uint64_t size;

	/* A longer body shows at its end, when its bytes have been used already. */
	return is_same(fetching->origin, answer) && is_range(wanted, answer, &size) &&
	       size == fetching->origin->size &&
	       (answer->size == UINT64_MAX || answer->size == wanted->n) &&
	       wanted->take(wanted->context, answer->n_body, bytes, n);
}

/* if_unchanged: a further header, or NULL. */
static int ask(struct origin *origin, struct http *http, const struct origin_range *wanted,
	       const char *if_unchanged, struct http_answer *out, struct error *err)
{
	struct fetching fetching = {origin, wanted};
	const struct http_sink sink = {take, &fetching, wanted->n};
	struct web *web = origin->state;
	char range[80];
	const char *const headers[] = {range, if_unchanged, NULL};
	const struct http_request request = {
		.method = "GET",
		.url = web->url,
		.headers = headers,
		.into = wanted->into,
		.room = wanted->into != NULL ? wanted->n : 0,
		.sink = wanted->into != NULL ? NULL : &sink,
		.stop = &web->stop,
		.is_web = true,
	};

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, wanted->position,
		 wanted->position + wanted->n - 1);
	return try_often(origin, http, &request, out, err);
}

static int find(struct origin *origin, struct http *http, const struct origin_range *wanted,
		size_t *n, struct error *err)
{
	struct web *web = origin->state;
	struct http_answer answer;
	uint64_t first, last, size;

	TRY(ask(origin, http, wanted, NULL, &answer, err));
	web->found = true;
	*n = 0;
	if (answer.status == 416 && strcmp(answer.range, "bytes */0") == 0)
		return 0;
	if (answer.status == 200)
		return fail_whole(origin, err);
	if (answer.status != 206)
		return fail_status(origin, answer.status, err);
	if (!parse_range(answer.range, &first, &last, &size) || first != 0 || answer.cut ||
	    last + 1 != least(wanted->n, size) || answer.n_body != last + 1)
		return fail_range(origin, wanted, err);
	origin->size = size;
	memcpy(origin->etag, answer.etag, sizeof(origin->etag));
	memcpy(origin->modified, answer.modified, sizeof(origin->modified));
	*n = answer.n_body;
	return 0;
}

static int fetch(struct origin *origin, struct http *http, const struct origin_range *wanted,
		 struct error *err)
{
	char header[HTTP_WORD + 30];
	bool dated = origin->modified[0] != '\0', tagged = origin->etag[0] != '\0';
	struct http_answer answer;
	uint64_t size;

	if (tagged && strncmp(origin->etag, "W/", 2) != 0)
		snprintf(header, sizeof(header), "If-Match: %s", origin->etag);
	else
		snprintf(header, sizeof(header), "If-Unmodified-Since: %s", origin->modified);
	TRY(ask(origin, http, wanted, tagged || dated ? header : NULL, &answer, err));
	if (answer.status == 412)
		return fail_replaced(origin, err);
	if (answer.status == 200)
		return fail_whole(origin, err);
	if (answer.status != 206 && answer.status != 416)
		return fail_status(origin, answer.status, err);
	if (!is_same(origin, &answer))
		return fail_replaced(origin, err);
	if (!is_range(wanted, &answer, &size) || answer.cut)
		return fail_range(origin, wanted, err);
	if (size == origin->size && answer.n_body != wanted->n)
		return fail_range(origin, wanted, err);
	return size != origin->size ? fail_replaced(origin, err) : 0;
}

const struct origin_kind origin_web = {web_open, find, fetch, web_stop, web_free};
