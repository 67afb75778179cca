/*
 * An archive on a web server, read in any order. The input is the archive, which the server has, a
 * byte for each of its lies, at most 32, and their number: its n-th answer is the lie of the n-th
 * byte, and those after the last are honest. Either all is as in the archive, or it fails; never is
 * it something else. http_do and the wait before another try are this file's.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/look.h"
#include "store/http.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LIES_MAX 32u

enum lie {
	HONEST,
	NO_ANSWER,
	BUSY,
	WHOLE,
	GONE,
	OTHER_TAG,
	NO_TAG,
	SHIFTED,
	OTHER_RANGE,
	NO_RANGE,
	OTHER_SIZE,
	SHORT,
	LONG,
	FLIPPED,
	CUT,
	N_LIES
};

static struct server {
	const uint8_t *data, *lies;
	uint64_t size;
	unsigned n_lies, n_asked;
	pthread_mutex_t lock; /* guards n_asked */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

int __wrap_http_do(struct http *http, const struct http_request *request, struct http_answer *out,
		   struct error *err);
void __wrap_retry_wait(unsigned n_tried, const void *stop);

void __wrap_retry_wait(unsigned n_tried, const void *stop)
{
	(void)n_tried, (void)stop;
}

static uint8_t next_lie(void)
{
	uint8_t lie = HONEST;

	pthread_mutex_lock(&server.lock);
	if (server.n_asked < server.n_lies)
		lie = server.lies[server.n_asked++];
	pthread_mutex_unlock(&server.lock);
	return lie;
}

/* n bytes of the body, as they come: into a buffer, or in pieces to a sink. */
static void hand_over(const struct http_request *request, const uint8_t *body, size_t n,
		      struct http_answer *out)
{
	size_t room =
		request->sink != NULL && out->status == 206 ? request->sink->room : request->room;

	for (size_t part; n > 0 && !out->cut && !out->refused; n -= part, body += part) {
		part = n < 16384 ? n : 16384;
		out->cut = part > room - out->n_body;
		part = out->cut ? room - out->n_body : part;
		if (part == 0)
			break;
		if (request->sink == NULL || out->status != 206)
			memcpy(request->into + out->n_body, body, part);
		else if (!request->sink->take(request->sink->context, out, body, part))
			out->refused = true;
		out->n_body += part;
	}
}

static void answer(const struct http_request *request, uint64_t first, uint64_t last, uint8_t lie,
		   struct http_answer *out)
{
	unsigned how = lie % N_LIES, much = 1u + lie / N_LIES;
	uint64_t n, from = first, size = server.size;
	uint8_t *body;

	last = last < size ? last : size - 1;
	n = last - first + 1;
	out->status = how == BUSY ? 503 : how == WHOLE ? 200 : how == GONE ? 404 : 206;
	if (how == WHOLE) {
		from = 0;
		n = size;
	}
	if (how == SHIFTED)
		from = (first + 512 * much) % size;
	if (how == OTHER_SIZE)
		size += 512 * much;
	if (how == SHORT && n > much)
		n -= much;
	if (how == LONG)
		n += much;
	if (how != NO_TAG)
		snprintf(out->etag, sizeof(out->etag), how == OTHER_TAG ? "\"%u\"" : "\"tag\"",
			 much);
	if (how != NO_RANGE && how != WHOLE)
		snprintf(out->range, sizeof(out->range), "bytes %llu-%llu/%llu",
			 (unsigned long long)(first + (how == OTHER_RANGE ? much : 0)),
			 (unsigned long long)last, (unsigned long long)size);
	out->size = how == NO_TAG ? UINT64_MAX : n;
	body = calloc(1, n);
	MUST(body != NULL);
	if (from < server.size)
		memcpy(body, server.data + from, n < server.size - from ? n : server.size - from);
	if (how == FLIPPED)
		body[(much * 997u) % n] ^= 1;
	hand_over(request, body, how == CUT ? n / 2 : n, out);
	free(body);
}

int __wrap_http_do(struct http *http, const struct http_request *request, struct http_answer *out,
		   struct error *err)
{
	unsigned long long first = 0, last = 0;
	uint8_t lie = next_lie();

	(void)http;
	*out = (struct http_answer){.size = UINT64_MAX};
	MUST(sscanf(request->headers[0], "Range: bytes=%llu-%llu", &first, &last) == 2);
	if (lie % N_LIES == NO_ANSWER)
		return fail(err, ERR_SYSTEM, "no answer");
	if (first < server.size) {
		answer(request, first, last, lie, out);
	} else {
		out->status = 416;
		snprintf(out->range, sizeof(out->range), "bytes */%llu",
			 (unsigned long long)server.size);
	}
	if (lie % N_LIES != CUT)
		return 0;
	out->status = 0;
	return fail(err, ERR_SYSTEM, "the answer is cut");
}

static struct view *open_view(const char *name)
{
	struct view *view = NULL;
	struct error err = {0};
	struct view_options options = {
		.archives = {&name, 1}, .cache_bytes = VIEW_CACHE_MIN, .n_threads = 1};

	if (view_open(&view, &options, NULL, &err) == 0)
		return view;
	MUST(err.text[0] != '\0');
	return NULL;
}

/* All of a VMAB lies under checksums; of it alone can be said what must come. */
static bool is_full_vmab(const uint8_t *data, size_t size)
{
	static const uint8_t none[16];

	return size >= 64 && data[0] == 0x89 && memcmp(data + 48, none, sizeof(none)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = size > 0 ? data[size - 1] % (LIES_MAX + 1) : 0;
	struct view *view, *truth = NULL;

	if (size < n + 2u)
		return 0;
	server.data = data;
	server.size = size - 1 - n;
	server.lies = data + server.size;
	server.n_lies = n;
	server.n_asked = 0;
	view = open_view("http://localhost/a.vmab");
	if (view != NULL && is_full_vmab(server.data, server.size))
		truth = open_view(look_write_file(0, server.data, server.size));
	if (view != NULL)
		look_everywhere(view, truth);
	view_close(view);
	view_close(truth);
	look_remove_files();
	return 0;
}
