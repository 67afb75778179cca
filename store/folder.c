#include "store/folder.h"

#include "store/retry.h"
#include "store/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX    (4u << 20) /* bytes of one answer: a thousand keys of a kibibyte, escaped */
#define HURRY_S	    5
#define BEGIN_MAX   64u
#define OBJECTS_MAX 1000000u
#define PAGES_MAX   10000u /* of a list: what lies deeper counts in them, too */
#define TOKEN_MAX   4096u
#define NAME_MAX_S3 6200u /* a key of 1024 bytes, escaped */

struct store_folder {
	struct s3 s3; /* its url is that of the bucket, or, during a request, that of an object */
	struct http *http;
	const char *path, *prefix;
	char *key; /* of the prefix, encoded; with a slash at its end, or empty; owned */
};

int store_folder_open(struct store_folder **out, const char *path, struct error *err)
{
	struct store_folder *folder = calloc(1, sizeof(*folder));
	int code;

	*out = NULL;
	if (folder == NULL)
		return fail_memory(err);
	folder->path = path;
	code = s3_open_bucket(&folder->s3, path, &folder->prefix, err);
	if (code == 0) {
		char *encoded = s3_encode(folder->prefix, true);

		folder->key = encoded == NULL	 ? NULL
			      : *encoded == '\0' ? strdup("")
						 : text_make("%s/", encoded);
		free(encoded);
		code = folder->key == NULL ? fail_memory(err) : http_open(&folder->http, err);
	}
	if (code != 0)
		store_folder_close(folder);
	else
		*out = folder;
	return code;
}

void store_folder_hurry(struct store_folder *folder)
{
	folder->s3.limit_s = HURRY_S;
}

void store_folder_close(struct store_folder *folder)
{
	if (folder == NULL)
		return;
	http_close(folder->http);
	s3_close(&folder->s3);
	free(folder->key);
	free(folder);
}

/* ---- requests ---- */

char *store_folder_url(const struct store_folder *folder, const char *name)
{
	char *encoded = s3_encode(name, false), *url = NULL;

	if (encoded != NULL)
		url = text_make("%s%s%s", folder->s3.url, folder->key, encoded);
	free(encoded);
	return url;
}

/* About an object, with its name in messages. */
static int ask(struct store_folder *folder, const char *name, struct s3_call *call,
	       struct s3_answer *answer, struct error *err)
{
	struct s3 *s3 = &folder->s3;
	char *bucket = s3->url, *url = store_folder_url(folder, name);
	char *shown = text_make("%s/%s", folder->path, name);
	int code;

	call->once = call->once || s3->limit_s != 0;
	s3->url = url;
	s3->name = shown;
	*answer = (struct s3_answer){0};
	code = url != NULL && shown != NULL ? s3_do(s3, folder->http, call, answer, err)
					    : fail_memory(err);
	free(url);
	free(shown);
	s3->url = bucket;
	s3->name = folder->path;
	return code;
}

int store_folder_peek(struct store_folder *folder, const char *name, uint8_t *bytes, size_t n,
		      size_t *got, struct error *err)
{
	char range[60];
	const char *const headers[] = {range, NULL};
	struct s3_call call = {.method = "GET", .headers = headers, .into = bytes, .room = n};
	struct s3_answer answer;
	int code;

	*got = 0;
	snprintf(range, sizeof(range), "Range: bytes=0-%zu", n - 1);
	code = ask(folder, name, &call, &answer, err);
	/* 416: it is empty. */
	if (answer.http.status == 404 || answer.http.status == 416) {
		*err = (struct error){0};
		return 0;
	}
	if (code == 0)
		*got = answer.http.n_body;
	return code;
}

int store_folder_has(struct store_folder *folder, const char *name, struct error *err)
{
	struct s3_call call = {.method = "HEAD"};
	struct s3_answer answer;
	int code = ask(folder, name, &call, &answer, err);

	if (answer.http.status != 404)
		return code == 0 ? 1 : code;
	*err = (struct error){0};
	return 0;
}

static bool is_locked(const struct http_answer *answer)
{
	char now[40];
	time_t seconds = time(NULL);
	struct tm parts;

	if (strcasecmp(answer->hold, "ON") == 0)
		return true;
	return answer->until[0] != '\0' && gmtime_r(&seconds, &parts) != NULL &&
	       strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S", &parts) > 0 &&
	       strncmp(answer->until, now, strlen(now)) > 0;
}

int store_folder_check(struct store_folder *folder, const char *name, struct error *err)
{
	struct s3_call call = {.method = "HEAD"};
	struct s3_answer answer;
	char until[40];
	int code = ask(folder, name, &call, &answer, err);

	if (answer.http.status == 404) {
		*err = (struct error){0};
		return 0;
	}
	TRY(code);
	if (!is_locked(&answer.http))
		return 0;
	escape_text(until, sizeof(until), (const uint8_t *)answer.http.until,
		    least(strlen(answer.http.until), 10));
	return fail(err, ERR_LOCKED, "%s/%.200s: is locked by the object store%s%s", folder->path,
		    name, until[0] != '\0' ? " until " : "", until);
}

int store_folder_remove(struct store_folder *folder, const char *name, struct error *err)
{
	struct s3_call call = {.method = "DELETE"};
	struct s3_answer answer;
	int code = ask(folder, name, &call, &answer, err);

	if (answer.http.status != 404)
		return code;
	*err = (struct error){0};
	return 0;
}

enum found { FOUND_NOTHING, FOUND_OTHER, FOUND_OWN };

/* An enum found, or negative; with the tag of what is there. */
static int look_at(struct store_folder *folder, const char *name, const char *text,
		   char tag[HTTP_WORD], struct error *err)
{
	uint8_t first[BEGIN_MAX];
	char range[60];
	const char *const headers[] = {range, NULL};
	struct s3_call call = {.method = "GET", .headers = headers, .into = first};
	struct s3_answer answer;
	size_t n = strlen(text);
	int code;

	call.room = least(n, sizeof(first));
	snprintf(range, sizeof(range), "Range: bytes=0-%zu", call.room - 1);
	code = ask(folder, name, &call, &answer, err);
	if (answer.http.status == 404 || answer.http.status == 416) {
		*err = (struct error){0};
		return FOUND_NOTHING;
	}
	TRY(code);
	/* A weak one matches nothing. */
	if (strncmp(answer.http.etag, "W/", 2) != 0)
		memcpy(tag, answer.http.etag, HTTP_WORD);
	return n <= answer.http.n_body && memcmp(first, text, n) == 0 ? FOUND_OWN : FOUND_OTHER;
}

/* tag "": any. */
static int remove_once(struct store_folder *folder, const char *name, const char *tag,
		       struct s3_answer *answer, struct error *err)
{
	char condition[HTTP_WORD + 20];
	const char *const headers[] = {*tag != '\0' ? condition : NULL, NULL};
	struct s3_call call = {.method = "DELETE", .headers = headers, .once = true};
	int code;

	snprintf(condition, sizeof(condition), "If-Match: %s", tag);
	code = ask(folder, name, &call, answer, err);
	if (answer->http.status == 501 && *tag != '\0') { /* no such condition */
		call.headers = NULL;
		code = ask(folder, name, &call, answer, err);
	}
	if (answer->http.status != 404)
		return code;
	*err = (struct error){0};
	return 0;
}

int store_folder_remove_own(struct store_folder *folder, const char *name, const char *begins,
			    bool is_there, struct error *err)
{
	struct s3 *s3 = &folder->s3;
	struct s3_answer answer;
	char tag[HTTP_WORD];
	int code;

	for (unsigned n = 1;; n++) {
		*tag = '\0';
		code = look_at(folder, name, begins, tag, err);
		if (code == FOUND_NOTHING && is_there && n == 1 && s3->limit_s == 0) {
			retry_wait(n, &s3->stop);
			continue;
		}
		if (code != FOUND_OWN)
			return code < 0 ? code : 0;
		code = remove_once(folder, name, tag, &answer, err);
		/* 409, 412: it is another one since, or this one anew. */
		if (code == 0 || n == RETRY_TRIES || s3->limit_s != 0 ||
		    (!s3_may_pass(&answer) && answer.http.status != 409 &&
		     answer.http.status != 412))
			return code;
		*err = (struct error){0};
		retry_wait(n, &s3->stop);
	}
}

int store_folder_put_new(struct store_folder *folder, const char *name, const char *text,
			 struct error *err)
{
	static const char *const headers[] = {"If-None-Match: *", NULL};
	struct s3_call call = {.method = "PUT",
			       .headers = headers,
			       .body = (const uint8_t *)text,
			       .body_size = strlen(text)};
	struct s3_answer answer;

	if (ask(folder, name, &call, &answer, err) == 0)
		return 0;
	if (answer.http.status == 501) { /* no such condition (Swift) */
		call.headers = NULL;
		if (ask(folder, name, &call, &answer, err) == 0)
			return 0;
	}
	if (answer.http.status != 412 && answer.http.status != 409)
		return err->code;
	*err = (struct error){0};
	return 1;
}

/* ---- a list ---- */

static uint64_t hash(const char *text)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		sum = (sum ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return sum;
}

/* "2026-11-30T21:03:03.609Z" without what is between the digits of its seconds. */
static uint64_t time_number(const char *text)
{
	uint64_t number = 0;

	for (unsigned n = 0; *text != '\0' && n < 14; text++)
		if (*text >= '0' && *text <= '9') {
			number = number * 10 + (uint64_t)(*text - '0');
			n++;
		}
	return number;
}

/* One element of the list. */
static int add(struct store_folder *folder, struct store_objects *out, const uint8_t *xml, size_t n,
	       struct error *err)
{
	char key[NAME_MAX_S3], size[32], tag[HTTP_WORD], modified[64];
	size_t n_prefix = *folder->prefix != '\0' ? strlen(folder->prefix) + 1 : 0;
	struct store_object *items = out->items, *object;

	if (!s3_pick(xml, n, "Key", key, sizeof(key)) ||
	    !s3_pick(xml, n, "Size", size, sizeof(size)) ||
	    !s3_pick(xml, n, "ETag", tag, sizeof(tag)) ||
	    !s3_pick(xml, n, "LastModified", modified, sizeof(modified)) ||
	    strncmp(key, folder->prefix, strlen(folder->prefix)) != 0 || strlen(key) < n_prefix)
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store's list of objects cannot be understood",
			    folder->path);
	if (key[n_prefix] == '\0' || strchr(key + n_prefix, '/') != NULL)
		return 0;
	if (out->n == OBJECTS_MAX)
		return fail(err, ERR_SYSTEM, "%.200s: more than %u objects", folder->path,
			    OBJECTS_MAX);
	if ((out->n & (out->n - 1)) == 0)
		items = realloc(items, (out->n * (size_t)2 + 1) * sizeof(*items));
	if (items == NULL)
		return fail_memory(err);
	out->items = items;
	object = &items[out->n];
	*object = (struct store_object){.name = strdup(key + n_prefix),
					.size_bytes = strtoull(size, NULL, 10),
					.tag = hash(tag),
					.modified_s = time_number(modified)};
	if (object->name == NULL)
		return fail_memory(err);
	out->n++;
	return 0;
}

static int add_all(struct store_folder *folder, struct store_objects *out, const uint8_t *xml,
		   size_t n, struct error *err)
{
	static const char begin[] = "<Contents>", end[] = "</Contents>";
	const uint8_t *at = xml, *from, *to;

	for (;; at = to) {
		size_t left = n - (size_t)(at - xml);

		from = memmem(at, left, begin, sizeof(begin) - 1);
		if (from == NULL)
			return 0;
		to = memmem(from, n - (size_t)(from - xml), end, sizeof(end) - 1);
		if (to == NULL)
			return fail(err, ERR_SYSTEM,
				    "%.200s: the object store's list of objects is cut",
				    folder->path);
		TRY(add(folder, out, from, (size_t)(to - from), err));
	}
}

/* begins: encoded. *token: where the next one goes on, encoded and owned; NULL: this was the last.
 */
static int list_once(struct store_folder *folder, const char *begins, struct store_objects *out,
		     uint8_t *body, char **token, struct error *err)
{
	char more[8], next[TOKEN_MAX], *prefix, *query;
	struct s3_call call = {.method = "GET", .into = body, .room = LIST_MAX};
	struct s3_answer answer;
	size_t n;
	int code;

	prefix = *folder->prefix != '\0' ? s3_encode(folder->prefix, false) : strdup("");
	query = prefix == NULL ? NULL
			       : text_make("%s%s%sdelimiter=%%2F&list-type=2&max-keys=1000&prefix="
					   "%s%s%s",
					   *token != NULL ? "continuation-token=" : "",
					   *token != NULL ? *token : "", *token != NULL ? "&" : "",
					   prefix, *folder->prefix != '\0' ? "%2F" : "", begins);
	free(prefix);
	free(*token);
	*token = NULL;
	if (query == NULL)
		return fail_memory(err);
	call.query = query;
	code = s3_do(&folder->s3, folder->http, &call, &answer, err);
	free(query);
	TRY(code);
	n = answer.http.n_body;
	TRY(s3_check_body(&folder->s3, body, n, &answer, err));
	if (answer.http.cut || memmem(body, n, "</ListBucketResult>", 19) == NULL)
		return fail(err, ERR_SYSTEM, "%.200s: the object store's list of objects is cut",
			    folder->path);
	TRY(add_all(folder, out, body, n, err));
	if (!s3_pick(body, n, "IsTruncated", more, sizeof(more)) || strcmp(more, "true") != 0)
		return 0;
	if (!s3_pick(body, n, "NextContinuationToken", next, sizeof(next)))
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not tell how its list goes on",
			    folder->path);
	*token = s3_encode(next, false);
	return *token != NULL ? 0 : fail_memory(err);
}

static int compare(const void *a, const void *b)
{
	const struct store_object *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int store_folder_list(struct store_folder *folder, const char *begins, struct store_objects *out,
		      struct error *err)
{
	uint8_t *body = malloc(LIST_MAX);
	char *token = NULL, *encoded = s3_encode(begins, false);
	int code = body == NULL || encoded == NULL ? fail_memory(err) : 0;
	unsigned n_pages = 0;

	*out = (struct store_objects){0};
	do {
		if (code == 0)
			code = list_once(folder, encoded, out, body, &token, err);
	} while (code == 0 && token != NULL && ++n_pages < PAGES_MAX);
	if (code == 0 && token != NULL)
		code = fail(err, ERR_SYSTEM, "%.200s: the object store's list has no end",
			    folder->path);
	free(token);
	free(encoded);
	free(body);
	if (out->n > 0)
		qsort(out->items, out->n, sizeof(*out->items), compare);
	return code;
}

void store_objects_free(struct store_objects *objects)
{
	for (unsigned i = 0; i < objects->n; i++)
		free(objects->items[i].name);
	free(objects->items);
	*objects = (struct store_objects){0};
}
