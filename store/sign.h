/*
 * Signatures of requests: AWS Signature Version 4 (Amazon's "Authenticating Requests: Using the
 * Authorization Header"), for S3. libcurl has them, too, but its versions disagree on what of a
 * path and a query they encode once more: 7.88 takes both as they are, 8.14 does not.
 *
 * Private to store/.
 */
#ifndef STORE_SIGN_H
#define STORE_SIGN_H

#include "store/account.h"

#include <time.h>

#define SIGN_HEADERS_MAX 16u
#define SIGN_HASH_SIZE	 65u /* of a hash as text, with its NUL */

struct sign_request {
	const struct account *account;
	const char *method;
	const char *url;  /* with the query: both encoded, and the query sorted and with each '=' */
	const char *hash; /* of the body: SHA-256 as text */
	/* Header lines "name: value", NULL at the end. Those that begin with x-amz- are signed, and
	 * so have names in lower case. */
	const char *const *headers;
	time_t now;
};

struct signature {
	char *host, *date, *authorization; /* header lines to be added; owned */
};

/* Free *out in any case. */
int sign(struct signature *out, const struct sign_request *request, struct error *err);
void signature_free(struct signature *signature);
/* Of these bytes. */
void sign_hash(char out[SIGN_HASH_SIZE], const void *bytes, size_t n);

#endif
