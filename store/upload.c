#include "store/upload.h"

#include "store/retry.h"
#include "store/settings.h"
#include "store/store.h"

#include "base/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ID_MAX	     1024u
#define QUERY_MAX    (ID_MAX * 3 + 60)
#define STEP_MS	     200u
#define REFUSALS_MAX 4u
#define STEPS_DOUBLE 6u
#define ABANDON_S    5 /* for the store to forget an upload when the process is about to end */

int upload_open(struct upload *out, const char *name, struct error *err)
{
	TRY(s3_open(&out->s3, name, store_endpoint, err));
	return http_open(&out->http, err);
}

void upload_close(struct upload *upload)
{
	upload_leave(upload->note);
	http_close(upload->http);
	s3_close(&upload->s3);
	free(upload->id);
}

/* ---- removing ---- */

static int remove_upload(struct s3 *s3, struct http *http, const char *id, bool once)
{
	char query[QUERY_MAX];
	const struct s3_call call = {.method = "DELETE", .query = query, .once = once};
	struct s3_answer answer;
	struct error ignored = {0};

	snprintf(query, sizeof(query), "uploadId=%s", id);
	return s3_do(s3, http, &call, &answer, &ignored) == 0 || answer.http.status == 404 ? 0 : -1;
}

void upload_abort(struct upload *upload)
{
	if (upload->id == NULL)
		return;
	atomic_store(&upload->s3.stop, false);
	if (remove_upload(&upload->s3, upload->http, upload->id, false) != 0)
		return;
	upload_forget(upload->note);
	upload->note = NULL;
}

void upload_begin_anew(struct upload *upload)
{
	upload_abort(upload);
	upload_leave(upload->note); /* one that could not be removed is tried again */
	upload->note = NULL;
	free(upload->id);
	upload->id = NULL;
}

void upload_abandon(struct upload *upload)
{
	struct s3 s3 = {.name = upload->s3.name,
			.account = upload->s3.account,
			.url = upload->s3.url,
			.limit_s = ABANDON_S};
	struct error ignored = {0};
	struct http *http;

	if (upload->id == NULL || http_open(&http, &ignored) != 0)
		return;
	remove_upload(&s3, http, upload->id, true);
	http_close(http);
}

static int remove_dead(void *context, const char *url, const char *id)
{
	struct upload *upload = context;
	char *own = upload->s3.url;
	int code;

	if (*id == NOTE_OF_LOCK)
		return -1;
	upload->s3.url = (char *)(uintptr_t)url;
	code = remove_upload(&upload->s3, upload->http, id, true);
	upload->s3.url = own;
	return code;
}

static void remove_all_dead(struct upload *upload)
{
	const char *key = strchr(upload->s3.name + strlen("s3://"), '/') + 1;
	char *encoded = s3_encode(key, true), *bucket;

	if (encoded == NULL)
		return;
	bucket = strndup(upload->s3.url, strlen(upload->s3.url) - strlen(encoded));
	if (bucket != NULL)
		upload_each_dead(bucket, upload->s3.url, remove_dead, upload);
	free(bucket);
	free(encoded);
}

/* ---- beginning ---- */

/* One of the calendar, in full: it goes to the store as it is. */
static bool is_day(const char *text)
{
	struct tm day = {0};
	char again[16];

	return strptime(text, "%Y-%m-%d", &day) != NULL && timegm(&day) != -1 &&
	       strftime(again, sizeof(again), "%Y-%m-%d", &day) > 0 && strcmp(text, again) == 0;
}

int store_check(const char *name, const struct store_options *options, struct error *err)
{
	if (options->retain_until != NULL && !is_day(options->retain_until))
		return fail(err, ERR_USAGE, "--retain-until '%.40s': must be a day as 2027-01-31",
			    options->retain_until);
	return s3_check_name(name, err);
}

int upload_resume(struct upload *upload, struct upload_kept *kept, struct upload_part **out,
		  unsigned *n_parts, struct error *err)
{
	struct upload_at at = {.s3 = &upload->s3, .http = upload->http};
	int code = upload_find_kept(&upload->note, upload->s3.url, kept, err);

	if (code <= 0) {
		if (code < 0)
			error_prefix(err, "%.200s", upload->s3.name);
		return code;
	}
	upload->id = strdup(kept->id);
	at.id = upload->id;
	code = upload->id != NULL ? upload_list_parts(&at, out, n_parts, err) : fail_memory(err);
	if (code == 1) {
		memcpy(upload->mark, kept->mark, sizeof(upload->mark));
		return 1;
	}
	/* After an error it may be there: who frees the upload must not remove it. */
	(code == 0 ? upload_forget : upload_leave)(upload->note);
	upload->note = NULL;
	free(upload->id);
	upload->id = NULL;
	return code;
}

/* Whether an object is there. 1: it is; 0: not. */
static int look_for_object(struct upload *upload, struct s3_answer *answer, struct error *err)
{
	const struct s3_call call = {.method = "HEAD"};
	struct error why = {0};

	if (s3_do(&upload->s3, upload->http, &call, answer, &why) == 0)
		return 1;
	if (answer->http.status == 404)
		return 0;
	s3_ask_why(&upload->s3, upload->http, answer, &why);
	*err = why;
	return why.code;
}

static int exists_already(const struct upload *upload, struct error *err)
{
	return fail(err, ERR_USAGE, "%.200s: exists already; --force replaces it", upload->s3.name);
}

static int choose_mark(char mark[33], struct error *err)
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return fail_system(err, EIO, "getrandom");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(mark + 2 * (size_t)i, 3, "%02x", bytes[i]);
	return 0;
}

static int ask_for_id(struct upload *upload, const char *day, uint8_t *body, char id[ID_MAX],
		      struct error *err)
{
	const char *headers[4] = {NULL};
	char until[80], mark[80];
	struct s3_answer answer;
	const struct s3_call call = {.method = "POST",
				     .query = "uploads=",
				     .headers = headers,
				     .into = body,
				     .room = S3_TEXT_MAX};

	if (day != NULL) {
		snprintf(until, sizeof(until),
			 "x-amz-object-lock-retain-until-date: %.20sT00:00:00Z", day);
		headers[1] = "x-amz-object-lock-mode: COMPLIANCE";
		headers[2] = until;
	}
	TRY(choose_mark(upload->mark, err));
	snprintf(mark, sizeof(mark), "x-amz-meta-vmabak-upload: %s", upload->mark);
	headers[0] = mark;
	TRY(s3_do(&upload->s3, upload->http, &call, &answer, err));
	return s3_pick(body, answer.http.n_body, "UploadId", id, ID_MAX) && id[0] != '\0'
		       ? 0
		       : fail(err, ERR_SYSTEM, "%.200s: the object store began no upload",
			      upload->s3.name);
}

/* What is not noted cannot be taken up. */
static int note_upload(struct upload *upload, struct error *err)
{
	struct upload_kept kept;

	if (upload->keep == NULL) {
		upload->note = upload_note(upload->s3.url, upload->id, NULL);
		return 0;
	}
	kept = *upload->keep;
	strcpy(kept.mark, upload->mark);
	strcpy(kept.day, upload->retain_until);
	upload->note = upload_note(upload->s3.url, upload->id, &kept);
	return upload->note != NULL ? 0
				    : fail(err, ERR_SYSTEM,
					   "%.200s: --resume: no file for notes can be made in "
					   "$XDG_STATE_HOME/vmabak or $HOME/.local/state/vmabak",
					   upload->s3.name);
}

int upload_begin(struct upload *upload, const char *retain_until, struct error *err)
{
	struct s3_answer answer;
	char id[ID_MAX];
	uint8_t *body;
	int code = upload->force ? 0 : look_for_object(upload, &answer, err);

	if (code > 0)
		return exists_already(upload, err);
	if (code < 0)
		return code;
	if (retain_until != NULL)
		snprintf(upload->retain_until, sizeof(upload->retain_until), "%s", retain_until);
	remove_all_dead(upload);
	if (upload->id != NULL) /* taken up */
		return 0;
	body = malloc(S3_TEXT_MAX);
	code = body != NULL ? ask_for_id(upload, retain_until, body, id, err) : fail_memory(err);
	free(body);
	if (code != 0)
		return code;
	upload->id = s3_encode(id, false);
	if (upload->id == NULL)
		return fail_memory(err);
	return note_upload(upload, err);
}

/* ---- parts ---- */

/* With object lock stores demand their MD5. */
#define MD5_HEADER "Content-MD5: "

static void md5_header(char out[sizeof(MD5_HEADER) + 24], const uint8_t *bytes, size_t n_bytes)
{
	uint8_t sum[MD5_DIGEST_LENGTH];

	MD5(bytes, n_bytes, sum);
	memcpy(out, MD5_HEADER, sizeof(MD5_HEADER) - 1);
	EVP_EncodeBlock((uint8_t *)out + sizeof(MD5_HEADER) - 1, sum, sizeof(sum));
}

int upload_part(struct upload *upload, struct http *http, unsigned number, const uint8_t *bytes,
		size_t n_bytes, upload_tag *tag, struct error *err)
{
	char query[QUERY_MAX], md5[sizeof(MD5_HEADER) + 24];
	bool is_locked = upload->retain_until[0] != '\0';
	const char *const headers[] = {is_locked ? md5 : NULL, NULL};
	struct s3_answer answer;
	const struct s3_call call = {.method = "PUT",
				     .query = query,
				     .headers = headers,
				     .body = bytes,
				     .body_size = n_bytes};

	if (is_locked)
		md5_header(md5, bytes, n_bytes);
	snprintf(query, sizeof(query), "partNumber=%u&uploadId=%s", number, upload->id);
	TRY(s3_do(&upload->s3, http, &call, &answer, err));
	if (answer.http.etag[0] == '\0' || strlen(answer.http.etag) >= UPLOAD_TAG_MAX)
		return fail(err, ERR_SYSTEM,
			    "%.200s: the object store does not tell a tag of part %u",
			    upload->s3.name, number);
	memcpy(*tag, answer.http.etag, strlen(answer.http.etag) + 1);
	return 0;
}

/* ---- the end ---- */

/* A refusal may be a passing one, where the upload itself was allowed. */
static int look_at_end(struct upload *upload, struct s3_answer *answer)
{
	struct error ignored = {0};
	int is_there = look_for_object(upload, answer, &ignored);

	for (unsigned n = 1; n < REFUSALS_MAX && is_there < 0 && answer->http.status == 403; n++) {
		clock_sleep_ms(STEP_MS);
		is_there = look_for_object(upload, answer, &ignored);
	}
	return is_there;
}

/* Whether the object that is there is the one that was uploaded. */
static bool is_ours(struct upload *upload, upload_tag *tags, unsigned n_parts, uint64_t n_bytes)
{
	struct s3_answer answer;
	upload_tag tag;

	if (look_at_end(upload, &answer) != 1 || answer.http.size != n_bytes)
		return false;
	if (answer.http.mark[0] != '\0')
		return strcmp(answer.http.mark, upload->mark) == 0;
	return upload_expect_tag(tags, n_parts, &tag) && strstr(answer.http.etag, tag) != NULL;
}

static int judge_end(struct upload *upload, const uint8_t *body, struct s3_answer *answer,
		     struct error *err)
{
	static const char sign[] = "CompleteMultipartUploadResult";
	size_t n = answer->http.n_body;

	TRY(s3_check_body(&upload->s3, body, n, answer, err));
	return memmem(body, n, sign, sizeof(sign) - 1) != NULL
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "%.200s: the object store does not say that it is complete",
			      upload->s3.name);
}

static int ask_for_end(struct upload *upload, const char *list, struct s3_answer *answer,
		       struct error *err)
{
	const char *const headers[] = {"Content-Type: application/xml",
				       upload->force ? NULL : "If-None-Match: *", NULL};
	char query[QUERY_MAX];
	uint8_t *body = malloc(S3_TEXT_MAX);
	const struct s3_call call = {.method = "POST",
				     .query = query,
				     .headers = headers,
				     .body = (const uint8_t *)list,
				     .body_size = strlen(list),
				     .into = body,
				     .room = S3_TEXT_MAX,
				     .once = true};
	int code;

	if (body == NULL)
		return fail_memory(err);
	snprintf(query, sizeof(query), "uploadId=%s", upload->id);
	code = s3_do(&upload->s3, upload->http, &call, answer, err);
	if (code == 0)
		code = judge_end(upload, body, answer, err);
	free(body);
	return code;
}

static int complete(struct upload *upload, const char *list, upload_tag *tags, unsigned n_parts,
		    uint64_t n_bytes, struct error *err)
{
	struct s3_answer answer = {0};
	struct error unsaid = {0};

	/* It may have come meanwhile, and not every store heeds If-None-Match here (Ceph 16). */
	if (!upload->force && look_for_object(upload, &answer, &unsaid) > 0)
		return is_ours(upload, tags, n_parts, n_bytes) ? 0 : exists_already(upload, err);
	for (unsigned n = 1;; n++) {
		int code = ask_for_end(upload, list, &answer, err);

		if (code == 0 || atomic_load(&upload->s3.stop))
			return code;
		/* The answer may have been lost, or that of the request before. */
		if (is_ours(upload, tags, n_parts, n_bytes))
			return 0;
		if (answer.http.status == 412)
			return exists_already(upload, err);
		if (n == RETRY_TRIES || (!s3_may_pass(&answer) && answer.http.status != 200 &&
					 answer.http.status != 409))
			return code;
		clock_sleep_ms(STEP_MS << least(n, STEPS_DOUBLE));
	}
}

/* Whether what the store called complete is there. Keys that may write need not have the right to
 * ask. */
static int check_object(struct upload *upload, uint64_t n_bytes, struct error *err)
{
	struct s3_answer answer;
	int is_there = look_for_object(upload, &answer, err);

	if (is_there < 0)
		return answer.http.status == 403 ? 0 : is_there;
	return is_there > 0 && answer.http.size == n_bytes
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "%.200s: the object store says that it is complete, but it %s",
			      upload->s3.name, is_there > 0 ? "has another size" : "is not there");
}

/* ---- object lock ---- */

enum lock { LOCK_HELD, LOCK_NONE, LOCK_UNKNOWN };

/* A store that knows no object lock ignores that it was asked for, and answers with the object.
 * Keys that may write need not have the right to ask. */
static enum lock ask_for_lock(struct upload *upload, uint8_t *body, struct error *why)
{
	const struct s3_call call = {
		.method = "GET", .query = "retention=", .into = body, .room = S3_TEXT_MAX};
	struct s3_answer answer;
	char until[40];

	if (s3_do(&upload->s3, upload->http, &call, &answer, why) != 0)
		return answer.http.status == 403		   ? LOCK_HELD
		       : strstr(answer.code, "ObjectLock") != NULL ? LOCK_NONE
								   : LOCK_UNKNOWN;
	return s3_pick(body, answer.http.n_body, "RetainUntilDate", until, sizeof(until)) &&
			       strncmp(until, upload->retain_until, 10) >= 0
		       ? LOCK_HELD
		       : LOCK_UNKNOWN;
}

/* Some stores heed it in no upload in parts (Ceph 16). Never asked of one that does not know what a
 * lock is: it would take this for the object. */
static void lock_object(struct upload *upload)
{
	char text[200], md5[sizeof(MD5_HEADER) + 24];
	const char *const headers[] = {md5, NULL};
	struct s3_call call = {.method = "PUT", .query = "retention=", .headers = headers};
	struct error ignored = {0};
	struct s3_answer answer;

	call.body = (const uint8_t *)text;
	call.body_size = (size_t)snprintf(text, sizeof(text),
					  "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>%s"
					  "T00:00:00Z</RetainUntilDate></Retention>",
					  upload->retain_until);
	md5_header(md5, call.body, call.body_size);
	s3_do(&upload->s3, upload->http, &call, &answer, &ignored);
}

static int check_lock(struct upload *upload, struct error *err)
{
	uint8_t *body = malloc(S3_TEXT_MAX);
	struct error why = {0};
	enum lock lock;

	if (body == NULL)
		return fail_memory(err);
	lock = ask_for_lock(upload, body, &why);
	if (lock == LOCK_NONE) {
		lock_object(upload);
		why = (struct error){0};
		lock = ask_for_lock(upload, body, &why);
	}
	free(body);
	return lock == LOCK_HELD
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "%.200s: is complete, but the object store has not locked it until "
			      "%s%s%s",
			      upload->s3.name, upload->retain_until, why.code != 0 ? ": " : "",
			      why.text);
}

int upload_complete(struct upload *upload, upload_tag *tags, unsigned n_parts, uint64_t n_bytes,
		    struct error *err)
{
	char *list = upload_make_list(tags, n_parts);
	int code;

	if (list == NULL)
		return fail_memory(err);
	code = complete(upload, list, tags, n_parts, n_bytes, err);
	free(list);
	if (code != 0)
		return code;
	upload_forget(upload->note);
	upload->note = NULL;
	TRY(check_object(upload, n_bytes, err));
	return upload->retain_until[0] != '\0' ? check_lock(upload, err) : 0;
}
