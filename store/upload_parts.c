/* The parts of an upload: as they are told to the store, and as it tells what it has of them. */
#include "store/upload_parts.h"

#include <openssl/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX  (UINT64_C(1) << 20) /* bytes of an answer with 1000 parts */
#define QUERY_MAX 4096u
#define N_LISTS	  16u /* of at most 10000 parts */

/* ---- telling ---- */

static void put_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputs("&quot;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else
			fputc(*text, out);
	}
}

char *upload_make_list(upload_tag *tags, unsigned n_parts)
{
	char *list = NULL;
	size_t size = 0;
	bool failed;
	FILE *out = open_memstream(&list, &size);

	if (out == NULL)
		return NULL;
	fputs("<CompleteMultipartUpload>", out);
	for (unsigned i = 0; i < n_parts; i++) {
		fprintf(out, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
		put_escaped(out, tags[i]);
		fputs("</ETag></Part>", out);
	}
	fputs("</CompleteMultipartUpload>", out);
	/* That there was no memory for a part shows in the stream, not when it is closed. */
	failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return list;
	free(list);
	return NULL;
}

bool upload_expect_tag(upload_tag *tags, unsigned n_parts, upload_tag *out)
{
	uint8_t sum[MD5_DIGEST_LENGTH];
	char *at = *out;
	MD5_CTX all;

	MD5_Init(&all);
	for (unsigned i = 0; i < n_parts; i++) {
		const char *tag = tags[i] + (tags[i][0] == '"');

		if (strspn(tag, "0123456789abcdef") != 2 * sizeof(sum))
			return false;
		for (unsigned j = 0; j < sizeof(sum); j++)
			sscanf(tag + 2 * j, "%2hhx", &sum[j]);
		MD5_Update(&all, sum, sizeof(sum));
	}
	MD5_Final(sum, &all);
	for (unsigned j = 0; j < sizeof(sum); j++)
		at += sprintf(at, "%02x", sum[j]);
	sprintf(at, "-%u", n_parts);
	return true;
}

bool upload_tag_is_of(const upload_tag tag, const uint8_t *bytes, size_t n_bytes)
{
	uint8_t sum[MD5_DIGEST_LENGTH];
	char text[2 * MD5_DIGEST_LENGTH + 1];

	MD5(bytes, n_bytes, sum);
	for (unsigned i = 0; i < sizeof(sum); i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", sum[i]);
	return strncmp(tag + (tag[0] == '"'), text, sizeof(text) - 1) == 0;
}

/* ---- being told ---- */

struct parts {
	struct upload_part *items; /* owned */
	unsigned n;
};

static bool pick_number(const uint8_t *xml, size_t n, const char *tag, uint64_t *out)
{
	char text[24], *end;

	if (!s3_pick(xml, n, tag, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return *end == '\0';
}

static int add_part(struct parts *parts, const uint8_t *xml, size_t n, struct error *err)
{
	struct upload_part *more = realloc(parts->items, (parts->n + 1) * sizeof(*more));
	struct upload_part part;
	uint64_t number;

	if (more == NULL)
		return fail_memory(err);
	parts->items = more;
	if (!pick_number(xml, n, "PartNumber", &number) || number < 1 || number > 10000 ||
	    !pick_number(xml, n, "Size", &part.n_bytes) ||
	    !s3_pick(xml, n, "ETag", part.tag, sizeof(part.tag)))
		return fail(err, ERR_SYSTEM, "a list of parts that makes no sense");
	part.number = (unsigned)number;
	parts->items[parts->n++] = part;
	return 0;
}

static int add_all(struct parts *parts, const uint8_t *xml, size_t n, struct error *err)
{
	const uint8_t *at = xml, *end = xml + n, *from, *to;

	while ((from = memmem(at, (size_t)(end - at), "<Part>", 6)) != NULL) {
		to = memmem(from, (size_t)(end - from), "</Part>", 7);
		if (to == NULL)
			return fail(err, ERR_SYSTEM, "a list of parts that is cut");
		TRY(add_part(parts, from, (size_t)(to - from), err));
		at = to;
	}
	return 0;
}

/* The parts behind *marker. 1: there are more; 0: no; negative, with answer->http.status. */
static int list_some(const struct upload_at *at, struct parts *parts, uint64_t *marker,
		     uint8_t *body, struct s3_answer *answer, struct error *err)
{
	char query[QUERY_MAX], more[8];
	const struct s3_call call = {
		.method = "GET", .query = query, .into = body, .room = LIST_MAX};
	size_t n;

	snprintf(query, sizeof(query), "part-number-marker=%llu&uploadId=%s",
		 (unsigned long long)*marker, at->id);
	TRY(s3_do(at->s3, at->http, &call, answer, err));
	n = answer->http.n_body;
	TRY(s3_check_body(at->s3, body, n, answer, err));
	if (answer->http.cut || memmem(body, n, "ListPartsResult", 15) == NULL)
		return fail(err, ERR_SYSTEM, "no list of parts");
	TRY(add_all(parts, body, n, err));
	if (!s3_pick(body, n, "IsTruncated", more, sizeof(more)) || strcmp(more, "true") != 0)
		return 0;
	return pick_number(body, n, "NextPartNumberMarker", marker)
		       ? 1
		       : fail(err, ERR_SYSTEM, "a list of parts that makes no sense");
}

int upload_list_parts(const struct upload_at *at, struct upload_part **out, unsigned *n_parts,
		      struct error *err)
{
	struct parts all = {0}, *parts = &all;
	uint8_t *body = malloc(LIST_MAX);
	struct s3_answer answer = {0};
	uint64_t marker = 0;
	int code = body != NULL ? 1 : fail_memory(err);

	for (unsigned i = 0; i < N_LISTS && code == 1; i++)
		code = list_some(at, parts, &marker, body, &answer, err);
	free(body);
	if (code == 0) {
		*out = all.items;
		*n_parts = all.n;
		return 1;
	}
	free(all.items);
	if (code > 0)
		return fail(err, ERR_SYSTEM, "%.200s: a list of parts without an end",
			    at->s3->name);
	if (answer.http.status != 404)
		return code;
	*err = (struct error){0};
	return 0;
}
