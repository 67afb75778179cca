#include "store/s3.h"

#include "store/retry.h"
#include "store/settings.h"
#include "store/sign.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_HEADER "x-amz-content-sha256: "
#define KEY_MAX	    1024u
#define HEADERS_MAX 12u

/* ---- names ---- */

char *s3_encode(const char *text, bool keep_slashes)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *out = malloc(strlen(text) * 3 + 1), *at = out;

	if (out == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL || (keep_slashes && *text == '/'))
			*at++ = *text;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*text);
	}
	*at = '\0';
	return out;
}

/* 3 to 63 of [a-z0-9.-], and what some stores allow besides: no character that an address would
 * read otherwise. */
static bool is_bucket(const char *name, size_t length)
{
	if (length < 3 || length > 63 || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_",
			   name[i]) == NULL)
			return false;
	return true;
}

static int make_url(struct s3 *s3, const char *bucket, size_t n_bucket, const char *key,
		    struct error *err)
{
	const struct account *account = &s3->account;
	char *path = s3_encode(key, true), *host;

	host = account->endpoint != NULL
		       ? strdup(account->endpoint)
		       : text_make("https://s3.%s.amazonaws.com", account->region);
	if (path == NULL || host == NULL) {
		free(path);
		free(host);
		return fail_memory(err);
	}
	/* A certificate for *.HOST does not cover a bucket with dots. */
	if (account->bucket_in_host && memchr(bucket, '.', n_bucket) == NULL) {
		const char *rest = strstr(host, "//") + 2;

		s3->url = text_make("%.*s%.*s.%s/%s", (int)(rest - host), host, (int)n_bucket,
				    bucket, rest, path);
	} else {
		s3->url = text_make("%s/%.*s/%s", host, (int)n_bucket, bucket, path);
	}
	free(path);
	free(host);
	return s3->url != NULL ? 0 : fail_memory(err);
}

/* Some libraries and servers take these for folders. */
static bool has_dots(const char *key)
{
	for (size_t n; *key != '\0'; key += n + (key[n] == '/')) {
		n = strcspn(key, "/");
		if ((n == 1 && key[0] == '.') || (n == 2 && strncmp(key, "..", 2) == 0))
			return true;
	}
	return false;
}

int s3_check_name(const char *name, struct error *err)
{
	const char *bucket = name + strlen("s3://"), *slash = strchr(bucket, '/');

	if (store_is_web(name))
		return fail(err, ERR_USAGE,
			    "%.200s: archives of a web server are read, and cannot be written",
			    name);
	if (slash == NULL || !is_bucket(bucket, (size_t)(slash - bucket)) || slash[1] == '\0' ||
	    slash[strlen(slash) - 1] == '/' || strlen(slash + 1) > KEY_MAX)
		return fail(err, ERR_USAGE,
			    "%.200s: must be s3://BUCKET/KEY, with a bucket of 3 to 63 letters, "
			    "digits, dots and hyphens, and a key of at most %u bytes that does not "
			    "end in /",
			    name, KEY_MAX);
	return has_dots(slash + 1)
		       ? fail(err, ERR_USAGE, "%.200s: . and .. cannot be parts of a key", name)
		       : 0;
}

int s3_open(struct s3 *out, const char *name, const char *endpoint, struct error *err)
{
	const char *bucket = name + strlen("s3://"), *slash = strchr(bucket, '/');

	*out = (struct s3){.name = name};
	TRY(s3_check_name(name, err));
	TRY(account_find(&out->account, endpoint, err));
	return make_url(out, bucket, (size_t)(slash - bucket), slash + 1, err);
}

int s3_open_bucket(struct s3 *out, const char *name, const char **prefix, struct error *err)
{
	const char *bucket = name + strlen("s3://");
	size_t n = strcspn(bucket, "/");

	*out = (struct s3){.name = name};
	if (store_is_web(name))
		return fail(err, ERR_USAGE, "%.200s: a web server has no list of archives", name);
	*prefix = bucket[n] == '\0' ? "" : bucket + n + 1;
	if (!is_bucket(bucket, n) || strlen(*prefix) > KEY_MAX / 2 ||
	    (bucket[n] != '\0' &&
	     (**prefix == '\0' || **prefix == '/' || bucket[strlen(bucket) - 1] == '/')))
		return fail(err, ERR_USAGE,
			    "%.200s: must be s3://BUCKET/PREFIX, with a bucket of 3 to 63 letters, "
			    "digits, dots and hyphens, and a prefix of at most %u bytes",
			    name, KEY_MAX / 2);
	if (has_dots(*prefix))
		return fail(err, ERR_USAGE, "%.200s: . and .. cannot be parts of a prefix", name);
	TRY(account_find(&out->account, store_endpoint, err));
	return make_url(out, bucket, n, "", err);
}

void s3_close(struct s3 *s3)
{
	account_free(&s3->account);
	free(s3->url);
	*s3 = (struct s3){0};
}

/* ---- answers ---- */

/* UTF-8 of a character; 0: it is none. */
static size_t encode(unsigned long character, char out[4])
{
	static const struct {
		unsigned long end;
		unsigned char first;
	} lengths[] = {{0x80, 0}, {0x800, 0xc0}, {0x10000, 0xe0}, {0x110000, 0xf0}};
	size_t n = 0;

	while (n < 4 && character >= lengths[n].end)
		n++;
	if (character == 0 || n == 4 || (character >= 0xd800 && character < 0xe000))
		return 0;
	for (size_t i = n; i > 0; i--, character >>= 6)
		out[i] = (char)(0x80 | (character & 0x3f));
	out[0] = (char)(lengths[n].first | character);
	return n + 1;
}

/* "&#233;" or "&#xe9;". 0: it is none. */
static size_t numbered(const char **at, char out[4])
{
	const char *digits = *at + 2;
	bool hex;
	size_t n;

	if (strncmp(*at, "&#", 2) != 0)
		return 0;
	hex = *digits == 'x';
	digits += hex;
	n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (n == 0 || n > 7 || digits[n] != ';')
		return 0;
	*at = digits + n + 1;
	return encode(strtoul(digits, NULL, hex ? 16 : 10), out);
}

/* The next character, or byte, of a text; how many bytes. */
static size_t take_text(const char **at, char out[4])
{
	static const struct {
		const char *name;
		char is;
	} entities[] = {
		{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}};
	const char *begin = *at;
	size_t n = numbered(at, out);

	if (n > 0)
		return n;
	*at = begin;
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		n = strlen(entities[i].name);
		if (strncmp(*at, entities[i].name, n) == 0) {
			*at += n;
			out[0] = entities[i].is;
			return 1;
		}
	}
	out[0] = *(*at)++;
	return 1;
}

bool s3_pick(const uint8_t *xml, size_t n, const char *tag, char *out, size_t room)
{
	char open[40], end[40], one[4], *text, *from, *to;
	size_t used = 0, length;
	bool found;

	snprintf(open, sizeof(open), "<%s>", tag);
	snprintf(end, sizeof(end), "</%s>", tag);
	text = strndup((const char *)xml, n);
	if (text == NULL)
		return false;
	from = strstr(text, open);
	to = from != NULL ? strstr(from, end) : NULL;
	found = to != NULL;
	if (found) {
		const char *at = from + strlen(open);

		*to = '\0';
		for (; found && *at != '\0'; used += found ? length : 0) {
			length = take_text(&at, one);
			found = length < room - used;
			if (found)
				memcpy(out + used, one, length);
		}
		out[used] = '\0';
	}
	free(text);
	return found;
}

/* What the store says went wrong. */
static int tell(struct s3 *s3, const uint8_t *body, size_t n, struct s3_answer *answer,
		struct error *err)
{
	int status = answer->http.status, code = ERR_SYSTEM;
	char message[300] = "", shown[2][320];

	if (!s3_pick(body, n, "Code", answer->code, sizeof(answer->code)))
		answer->code[0] = '\0';
	if (!s3_pick(body, n, "Message", message, sizeof(message)))
		message[0] = '\0';
	escape_text(shown[0], sizeof(shown[0]), (const uint8_t *)answer->code,
		    strlen(answer->code));
	escape_text(shown[1], sizeof(shown[1]), (const uint8_t *)message, strlen(message));
	if (status == 507 || strcmp(answer->code, "QuotaExceeded") == 0)
		code = ERR_FULL;
	fail(err, code, "%.200s: the object store answers %d%s%s%s%s", s3->name, status,
	     shown[0][0] != '\0' ? " " : "", shown[0], shown[1][0] != '\0' ? ": " : "", shown[1]);
	if (status == 403 && answer->code[0] == '\0')
		error_append(err,
			     ", access denied: the key, its secret or its rights are not right");
	if (status == 301 || status == 307 || strcmp(answer->code, "PermanentRedirect") == 0)
		error_append(err,
			     "; the bucket is elsewhere: set the endpoint or the region%s%.60s",
			     answer->http.region[0] != '\0' ? ", " : "", answer->http.region);
	return code;
}

int s3_check_body(struct s3 *s3, const uint8_t *body, size_t n, struct s3_answer *answer,
		  struct error *err)
{
	if (memmem(body, n, "<Error>", 7) == NULL)
		return 0;
	return tell(s3, body, n, answer, err);
}

/* ---- requests ---- */

bool s3_may_pass(const struct s3_answer *answer)
{
	return retry_helps(answer->http.status) || strcmp(answer->code, "RequestTimeout") == 0 ||
	       strcmp(answer->code, "SlowDown") == 0 || strcmp(answer->code, "BadDigest") == 0 ||
	       strcmp(answer->code, "XAmzContentSHA256Mismatch") == 0 ||
	       strcmp(answer->code, "RequestTimeTooSkewed") == 0;
}

/* Signed anew for each try: a signature counts for some minutes. */
static int try_once(struct s3 *s3, struct http *http, const struct http_request *request,
		    const char *hash, struct s3_answer *out, struct error *err)
{
	const char *headers[HEADERS_MAX + 4];
	const struct sign_request signing = {
		.account = &s3->account,
		.method = request->method,
		.url = request->url,
		.hash = hash,
		.headers = request->headers,
		.now = time(NULL),
	};
	struct http_request signed_request = *request;
	struct signature signature;
	unsigned n = 0;
	int code;

	*out = (struct s3_answer){0};
	code = sign(&signature, &signing, err);
	headers[n++] = signature.host;
	headers[n++] = signature.date;
	headers[n++] = signature.authorization;
	for (unsigned i = 0; request->headers[i] != NULL; i++)
		headers[n++] = request->headers[i];
	headers[n] = NULL;
	signed_request.headers = headers;
	if (code == 0 && http_do(http, &signed_request, &out->http, err) != 0) {
		error_prefix(err, "%.200s", s3->name);
		code = err->code;
	}
	signature_free(&signature);
	if (code == 0 && (out->http.status < 200 || out->http.status > 299))
		code = tell(s3, request->into,
			    strcmp(request->method, "HEAD") == 0 ? 0 : out->http.n_body, out, err);
	return code;
}

static int try_often(struct s3 *s3, struct http *http, const struct http_request *request,
		     const char *hash, bool once, struct s3_answer *out, struct error *err)
{
	unsigned n = 0;
	int code;

	for (;;) {
		code = try_once(s3, http, request, hash, out, err);
		n++;
		if (code == 0)
			*err = (struct error){0};
		if (code == 0 || atomic_load(&s3->stop) || once || !s3_may_pass(out))
			return code;
		if (n == RETRY_TRIES) {
			error_append(err, " (tried %u times)", n);
			return code;
		}
		retry_wait(n, &s3->stop);
	}
}

int s3_do(struct s3 *s3, struct http *http, const struct s3_call *call, struct s3_answer *out,
	  struct error *err)
{
	char header[sizeof(HASH_HEADER) + SIGN_HASH_SIZE] = HASH_HEADER, *token = NULL, *url;
	char *hash = header + sizeof(HASH_HEADER) - 1;
	const char *headers[HEADERS_MAX + 1];
	struct http_request request = {
		.method = call->method,
		.headers = headers,
		.body = call->body,
		.body_size = call->body_size,
		.into = call->into,
		.room = call->room,
		.sink = call->sink,
		.stop = &s3->stop,
		.limit_s = s3->limit_s,
		.once = call->once,
	};
	uint8_t *text = NULL;
	unsigned n = 0;
	int code;

	*out = (struct s3_answer){0}; /* also when there is no memory to ask */
	sign_hash(hash, call->body, call->body_size);
	headers[n++] = header;
	if (s3->account.token != NULL)
		headers[n++] = token = text_make("x-amz-security-token: %s", s3->account.token);
	for (unsigned i = 0; call->headers != NULL && call->headers[i] != NULL && n < HEADERS_MAX;
	     i++)
		headers[n++] = call->headers[i];
	headers[n] = NULL;
	url = call->query != NULL ? text_make("%s?%s", s3->url, call->query) : strdup(s3->url);
	if (call->into == NULL)
		request.into = text = malloc(request.room = S3_TEXT_MAX);
	request.url = url;
	if (url == NULL || request.into == NULL || (s3->account.token != NULL && token == NULL))
		code = fail_memory(err);
	else
		code = try_often(s3, http, &request, hash, call->once, out, err);
	free(text);
	free(token);
	free(url);
	return code;
}

void s3_ask_why(struct s3 *s3, struct http *http, struct s3_answer *answer, struct error *err)
{
	static const char *const headers[] = {"Range: bytes=0-0", NULL};
	const struct s3_call call = {.method = "GET", .headers = headers, .once = true};
	struct s3_answer told;
	struct error why = {0};

	if (answer->http.status < 400 || s3_do(s3, http, &call, &told, &why) == 0 ||
	    told.code[0] == '\0' || told.http.status != answer->http.status)
		return;
	*answer = told;
	*err = why;
}
