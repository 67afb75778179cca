/* A store that knows no ranges answers with all of an object, and a replaced object with bytes of
 * another: see store/origin.h. */
#include "store/origin.h"
#include "store/s3.h"
#include "store/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void s3_free(void *state)
{
	if (state == NULL)
		return;
	s3_close(state);
	free(state);
}

static int open_s3(void **state, const char *name, struct error *err)
{
	struct s3 *s3 = calloc(1, sizeof(*s3));
	int code = s3 == NULL ? fail_memory(err) : s3_open(s3, name, store_endpoint, err);

	if (code == 0)
		*state = s3;
	else
		s3_free(s3);
	return code;
}

static int find(struct origin *origin, struct http *http, const struct origin_range *range,
		size_t *n, struct error *err)
{
	const struct s3_call call = {.method = "HEAD"};
	struct s3 *s3 = origin->state;
	struct s3_answer answer;

	(void)range;
	*n = 0;
	if (s3_do(s3, http, &call, &answer, err) != 0) {
		s3_ask_why(s3, http, &answer, err);
		if (answer.http.status != 404 || strcmp(answer.code, "NoSuchBucket") == 0)
			return err->code;
		fail(err, ERR_SYSTEM,
		     "%.200s: there is no such object; what stands for a folder ends with /",
		     s3->name);
		err->sys = ENOENT;
		return err->code;
	}
	if (answer.http.size == UINT64_MAX || answer.http.etag[0] == '\0')
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not tell its size and tag", s3->name);
	origin->size = answer.http.size;
	memcpy(origin->etag, answer.http.etag, sizeof(origin->etag));
	return 0;
}

/* A range on its way: no byte is handed on that is not of the object, and of this place in it. */
struct fetching {
	const struct origin *origin;
	const struct origin_range *wanted;
	char expected[80]; /* Content-Range */
};

static bool is_right(const struct fetching *fetching, const struct http_answer *answer)
{
	return strcmp(answer->range, fetching->expected) == 0 &&
	       strcmp(answer->etag, fetching->origin->etag) == 0;
}

static bool take(void *context, const struct http_answer *answer, const uint8_t *bytes, size_t n)
{
	const struct fetching *fetching = context;
	const struct origin_range *wanted = fetching->wanted;

	return is_right(fetching, answer) &&
	       wanted->take(wanted->context, answer->n_body, bytes, n);
}

static int judge(const struct fetching *fetching, const struct http_answer *answer,
		 struct error *err)
{
	const struct origin_range *wanted = fetching->wanted;

	if (answer->status != 206 || strcmp(answer->range, fetching->expected) != 0)
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not answer with the range that was "
			    "asked for, bytes %" PRIu64 " to %" PRIu64,
			    fetching->origin->name, wanted->position,
			    wanted->position + wanted->n - 1);
	if (answer->n_body != wanted->n || answer->cut || !is_right(fetching, answer))
		return fail(err, ERR_SYSTEM, "%.200s: was replaced while it was read, or is cut",
			    fetching->origin->name);
	return 0;
}

static int fetch(struct origin *origin, struct http *http, const struct origin_range *wanted,
		 struct error *err)
{
	struct fetching fetching = {.origin = origin, .wanted = wanted};
	char range[80], tag[HTTP_WORD + 20];
	const char *const headers[] = {range, tag, NULL};
	const struct http_sink sink = {take, &fetching, wanted->n};
	const struct s3_call call = {.method = "GET", .headers = headers, .sink = &sink};
	uint64_t last = wanted->position + wanted->n - 1;
	struct s3_answer answer;

	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, wanted->position, last);
	snprintf(tag, sizeof(tag), "If-Match: %s", origin->etag);
	snprintf(fetching.expected, sizeof(fetching.expected),
		 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, wanted->position, last, origin->size);
	TRY(s3_do(origin->state, http, &call, &answer, err));
	return judge(&fetching, &answer.http, err);
}

static void stop(void *state)
{
	atomic_store(&((struct s3 *)state)->stop, true);
}

const struct origin_kind origin_s3 = {open_s3, find, fetch, stop, s3_free};
