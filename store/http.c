#include "store/http.h"

#include "base/library.h"
#include "store/retry.h"
#include "base/patience.h"

/* Its macros that check types call functions by their names. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FUNCTIONS(X)         \
	X(curl_global_init)  \
	X(curl_easy_init)    \
	X(curl_easy_reset)   \
	X(curl_easy_setopt)  \
	X(curl_easy_perform) \
	X(curl_easy_getinfo) \
	X(curl_easy_strerror) X(curl_easy_cleanup) X(curl_slist_append) X(curl_slist_free_all)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;
static struct library library = LIBRARY(FILE_curl, FUNCTIONS, lib);
static pthread_once_t started = PTHREAD_ONCE_INIT;
static CURLcode start_code;
static _Atomic uint64_t n_fetched;

#define CONNECT_S    20L
#define DRIP_BYTES   256L /* a second: a server that takes or gives less for as long is silent */
#define POST_S	     300L /* a store that puts an object together may be, and send spaces */
#define REDIRECTIONS 5L
#define LIMIT_S	     600 /* of a request, and a second for each SLOWEST bytes */
#define SLOWEST	     16384u
#define SMALL_ROOM   16384u /* many of these are asked for at a time */

struct http {
	CURL *curl;
	/* Of the request: */
	const struct http_request *request;
	struct http_answer *answer;
	size_t n_sent;
	struct curl_slist *headers;
	char text[CURL_ERROR_SIZE];
};

static void start(void)
{
	start_code = lib.curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_open(struct http **out, struct error *err)
{
	struct http *http;

	TRY(library_load(&library, err));
	pthread_once(&started, start);
	if (start_code != CURLE_OK)
		return fail(err, ERR_SYSTEM, "libcurl: %s", lib.curl_easy_strerror(start_code));
	http = calloc(1, sizeof(*http));
	if (http == NULL)
		return fail_memory(err);
	http->curl = lib.curl_easy_init();
	if (http->curl == NULL) {
		free(http);
		return fail_memory(err);
	}
	*out = http;
	return 0;
}

void http_close(struct http *http)
{
	if (http == NULL)
		return;
	lib.curl_easy_cleanup(http->curl);
	free(http);
}

/* ---- what libcurl calls ---- */

static size_t send_more(char *to, size_t size, size_t n, void *context)
{
	struct http *http = context;
	const struct http_request *request = http->request;
	size_t part = least(size * n, request->body_size - http->n_sent);

	memcpy(to, request->body + http->n_sent, part);
	http->n_sent += part;
	return part;
}

/* A connection that broke before the body was through is made anew, and the body sent again. */
static int send_again(void *context, curl_off_t offset, int origin)
{
	struct http *http = context;

	if (origin != SEEK_SET || offset < 0 || (size_t)offset > http->request->body_size)
		return CURL_SEEKFUNC_FAIL;
	http->n_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Where the body goes, by the status, which is known when the first of it comes. */
static const struct http_sink *sink_of(struct http *http)
{
	long status = 0;

	if (http->request->sink == NULL)
		return NULL;
	if (http->answer->status == 0) {
		lib.curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
		http->answer->status = (int)status;
	}
	return http->answer->status == 206 ? http->request->sink : NULL;
}

static size_t take(char *from, size_t size, size_t n, void *context)
{
	struct http *http = context;
	struct http_answer *answer = http->answer;
	const struct http_sink *sink = sink_of(http);
	size_t room = sink != NULL ? sink->room : http->request->room;
	size_t part = least(size * n, room - answer->n_body);

	atomic_fetch_add(&n_fetched, size * n);
	if (part > 0 && sink != NULL)
		answer->refused = !sink->take(sink->context, answer, (const uint8_t *)from, part);
	else if (part > 0)
		memcpy(http->request->into + answer->n_body, from, part);
	if (answer->refused)
		return 0;
	answer->n_body += part;
	answer->cut = answer->cut || part < size * n;
	/* More than was asked for need not come in full. */
	return answer->n_body == room && answer->cut ? part : size * n;
}

static bool take_word(const char *line, size_t length, const char *name, char out[HTTP_WORD])
{
	size_t n = strlen(name);

	if (length <= n || strncasecmp(line, name, n) != 0)
		return false;
	for (line += n, length -= n; length > 0 && (*line == ' ' || *line == '\t'); length--)
		line++;
	while (length > 0 && (unsigned char)line[length - 1] <= ' ')
		length--;
	length = least(length, HTTP_WORD - 1);
	memcpy(out, line, length);
	out[length] = '\0';
	return true;
}

static size_t take_header(char *line, size_t size, size_t n, void *context)
{
	struct http_answer *answer = ((struct http *)context)->answer;
	char word[HTTP_WORD];

	/* Of an answer after "100 Continue", these begin anew. */
	if (size * n > 5 && strncmp(line, "HTTP/", 5) == 0)
		*answer = (struct http_answer){.size = UINT64_MAX};
	if (!take_word(line, size * n, "ETag:", answer->etag) &&
	    !take_word(line, size * n, "Content-Range:", answer->range) &&
	    !take_word(line, size * n, "Last-Modified:", answer->modified) &&
	    !take_word(line, size * n, "x-amz-bucket-region:", answer->region) &&
	    !take_word(line, size * n, "x-amz-meta-vmabak-upload:", answer->mark) &&
	    !take_word(line, size * n, "x-amz-object-lock-retain-until-date:", answer->until) &&
	    !take_word(line, size * n, "x-amz-object-lock-legal-hold:", answer->hold) &&
	    take_word(line, size * n, "Content-Length:", word))
		answer->size = strtoull(word, NULL, 10);
	return size * n;
}

static int look(void *context, curl_off_t down, curl_off_t downed, curl_off_t up, curl_off_t upped)
{
	const struct http_request *request = ((struct http *)context)->request;

	(void)down, (void)downed, (void)up, (void)upped;
	return request->stop != NULL && atomic_load(request->stop);
}

/* ---- a request ---- */

static int add_headers(struct http *http, struct error *err)
{
	for (const char *const *line = http->request->headers; line != NULL && *line != NULL;
	     line++) {
		struct curl_slist *more = lib.curl_slist_append(http->headers, *line);

		if (more == NULL)
			return fail_memory(err);
		http->headers = more;
	}
	return 0;
}

#define SET(option, value) lib.curl_easy_setopt(http->curl, option, value)

static void set_method(struct http *http)
{
	const struct http_request *request = http->request;

	if (strcmp(request->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (strcmp(request->method, "PUT") == 0) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
	} else if (strcmp(request->method, "POST") == 0) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, request->body_size == 0 ? "" : (const char *)request->body);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
	} else if (strcmp(request->method, "DELETE") == 0) {
		SET(CURLOPT_CUSTOMREQUEST, "DELETE");
	}
}

static size_t room_of(const struct http_request *request)
{
	return request->sink != NULL ? request->sink->room : request->room;
}

/* A server that drips keeps nobody for ever. */
static long limit(const struct http_request *request)
{
	size_t n = request->body_size + room_of(request);

	return request->limit_s != 0 ? request->limit_s : LIMIT_S + (long)(n / SLOWEST);
}

static void set_web(struct http *http)
{
	const char *bundle = getenv("CURL_CA_BUNDLE");
	bool safe = strncasecmp(http->request->url, "https:", 6) == 0;

	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, REDIRECTIONS);
	SET(CURLOPT_REDIR_PROTOCOLS_STR, safe ? "https" : "http,https");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	if (bundle != NULL && *bundle != '\0')
		SET(CURLOPT_CAINFO, bundle);
}

static void set_up(struct http *http)
{
	const struct http_request *request = http->request;
	const char *bundle = getenv("AWS_CA_BUNDLE");
	bool completes = strcmp(request->method, "POST") == 0 && request->body_size > 0;

	lib.curl_easy_reset(http->curl);
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	SET(CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L);
	SET(CURLOPT_TIMEOUT, limit(request));
	SET(CURLOPT_LOW_SPEED_LIMIT, completes ? 1L : DRIP_BYTES);
	SET(CURLOPT_LOW_SPEED_TIME, completes ? POST_S : retry_stall_s());
	SET(CURLOPT_ERRORBUFFER, http->text);
	SET(CURLOPT_HTTPHEADER, http->headers);
	SET(CURLOPT_READFUNCTION, send_more);
	SET(CURLOPT_READDATA, http);
	SET(CURLOPT_SEEKFUNCTION, send_again);
	SET(CURLOPT_SEEKDATA, http);
	SET(CURLOPT_WRITEFUNCTION, take);
	SET(CURLOPT_WRITEDATA, http);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, http);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, look);
	SET(CURLOPT_XFERINFODATA, http);
	SET(CURLOPT_BUFFERSIZE, (room_of(request) <= SMALL_ROOM ? 16L : 512L) * 1024);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, 1024L * 1024);
	if (bundle != NULL && *bundle != '\0')
		SET(CURLOPT_CAINFO, bundle);
	if (request->is_web)
		set_web(http);
	set_method(http);
}

static bool is_hopeless(CURLcode code)
{
	static const CURLcode codes[] = {
		CURLE_UNSUPPORTED_PROTOCOL,	CURLE_URL_MALFORMAT,
		CURLE_COULDNT_RESOLVE_PROXY,	CURLE_COULDNT_RESOLVE_HOST,
		CURLE_COULDNT_CONNECT,		CURLE_SSL_CONNECT_ERROR,
		CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
		CURLE_TOO_MANY_REDIRECTS,
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return true;
	return false;
}

uint64_t http_fetched(void)
{
	return atomic_load(&n_fetched);
}

int http_do(struct http *http, const struct http_request *request, struct http_answer *out,
	    struct error *err)
{
	CURLcode code;
	long status = 0;
	int result = 0;

	*out = (struct http_answer){.size = UINT64_MAX};
	http->request = request;
	http->answer = out;
	http->n_sent = 0;
	http->headers = NULL;
	http->text[0] = '\0';
	if (add_headers(http, err) == 0) {
		set_up(http);
		code = lib.curl_easy_perform(http->curl);
		lib.curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
		/* What did not fit was not wanted. */
		out->status = 0;
		if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && (out->cut || out->refused)))
			out->status = (int)status;
		else
			out->hopeless = is_hopeless(code);
		if (out->status == 0)
			fail(err, ERR_SYSTEM, "%s",
			     http->text[0] != '\0' ? http->text : lib.curl_easy_strerror(code));
		result = out->status != 0 ? 0 : err->code;
	} else {
		result = err->code;
	}
	lib.curl_slist_free_all(http->headers);
	return result;
}
