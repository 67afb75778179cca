#include "store/sign.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE_END "s3/aws4_request"

static void put_hex(char *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out += sprintf(out, "%02x", bytes[i]);
}

void sign_hash(char out[SIGN_HASH_SIZE], const void *bytes, size_t n)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];

	SHA256(n > 0 ? bytes : "", n, sum);
	put_hex(out, sum, sizeof(sum));
}

/* The parts of a URL; path and query are not ended. */
struct parts {
	const char *host, *path, *query;
	size_t n_host, n_path;
};

static struct parts take_apart(const char *url)
{
	struct parts parts = {.host = strstr(url, "//") + 2};

	parts.n_host = strcspn(parts.host, "/");
	parts.path = parts.host + parts.n_host;
	parts.n_path = strcspn(parts.path, "?");
	parts.query = parts.path + parts.n_path + (parts.path[parts.n_path] == '?');
	return parts;
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* The lines to be signed, in order. */
static unsigned choose(const struct sign_request *request, const struct signature *signature,
		       const char *lines[SIGN_HEADERS_MAX])
{
	unsigned n = 0;

	lines[n++] = signature->host;
	lines[n++] = signature->date;
	for (const char *const *line = request->headers; *line != NULL && n < SIGN_HEADERS_MAX;
	     line++)
		if (strncmp(*line, "x-amz-", 6) == 0)
			lines[n++] = *line;
	qsort(lines, n, sizeof(*lines), compare);
	return n;
}

/* The request as it is signed. names: of its headers. Both are owned by the caller. */
static bool put_request(const struct sign_request *request, const char *const *lines, unsigned n,
			char **out, char **names)
{
	struct parts parts = take_apart(request->url);
	size_t sizes[2];
	FILE *to = open_memstream(out, &sizes[0]), *list = open_memstream(names, &sizes[1]);
	bool failed = to == NULL || list == NULL;

	if (!failed) {
		fprintf(to, "%s\n%.*s\n%s\n", request->method, (int)parts.n_path, parts.path,
			parts.query);
		for (unsigned i = 0; i < n; i++) {
			int length = (int)strcspn(lines[i], ":");

			fprintf(to, "%.*s:%s\n", length, lines[i], lines[i] + length + 2);
			fprintf(list, "%s%.*s", i == 0 ? "" : ";", length, lines[i]);
		}
		fflush(list);
		failed = ferror(list) != 0 || *names == NULL;
		if (!failed)
			fprintf(to, "\n%s\n%s", *names, request->hash);
		failed = failed || ferror(to) != 0;
	}
	if (to != NULL)
		failed = fclose(to) != 0 || failed;
	if (list != NULL)
		failed = fclose(list) != 0 || failed;
	return !failed;
}

static void hmac(uint8_t out[SHA256_DIGEST_LENGTH], const uint8_t *key, size_t n_key,
		 const char *text)
{
	unsigned n = SHA256_DIGEST_LENGTH;

	HMAC(EVP_sha256(), key, (int)n_key, (const uint8_t *)text, strlen(text), out, &n);
}

/* Of a text to be signed, with the key of the day, the region and the service. */
static bool put_signature(const struct account *account, const char *day, const char *text,
			  char out[SIGN_HASH_SIZE])
{
	const char *const steps[] = {account->region, "s3", "aws4_request", text};
	char *secret = text_make("AWS4%s", account->secret);
	uint8_t key[SHA256_DIGEST_LENGTH];

	if (secret == NULL)
		return false;
	hmac(key, (const uint8_t *)secret, strlen(secret), day);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		hmac(key, key, sizeof(key), steps[i]);
	put_hex(out, key, sizeof(key));
	explicit_bzero(secret, strlen(secret));
	free(secret);
	return true;
}

static bool make(struct signature *out, const struct sign_request *request, const char *stamp)
{
	const struct account *account = request->account;
	const char *lines[SIGN_HEADERS_MAX];
	char day[9], hash[SIGN_HASH_SIZE], value[SIGN_HASH_SIZE];
	char *canonical = NULL, *names = NULL, *text = NULL;
	unsigned n = choose(request, out, lines);
	bool made = put_request(request, lines, n, &canonical, &names);

	snprintf(day, sizeof(day), "%.8s", stamp);
	if (made) {
		sign_hash(hash, canonical, strlen(canonical));
		text = text_make("AWS4-HMAC-SHA256\n%s\n%s/%s/" SCOPE_END "\n%s", stamp, day,
				 account->region, hash);
		made = text != NULL && put_signature(account, day, text, value);
	}
	if (made)
		out->authorization =
			text_make("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/" SCOPE_END
				  ", SignedHeaders=%s, Signature=%s",
				  account->user, day, account->region, names, value);
	free(canonical);
	free(names);
	free(text);
	return out->authorization != NULL;
}

int sign(struct signature *out, const struct sign_request *request, struct error *err)
{
	struct parts parts = take_apart(request->url);
	struct tm utc;
	char stamp[20];

	*out = (struct signature){0};
	if (gmtime_r(&request->now, &utc) == NULL ||
	    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc) == 0)
		return fail(err, ERR_SYSTEM, "the time cannot be told");
	out->host = text_make("host: %.*s", (int)parts.n_host, parts.host);
	out->date = text_make("x-amz-date: %s", stamp);
	return out->host != NULL && out->date != NULL && make(out, request, stamp)
		       ? 0
		       : fail_memory(err);
}

void signature_free(struct signature *signature)
{
	free(signature->host);
	free(signature->date);
	free(signature->authorization);
	*signature = (struct signature){0};
}
