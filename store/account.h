/*
 * Who asks an object store, and which one: from where the tools of AWS have it, in this order: what
 * the command line says, the environment, ~/.aws/credentials and ~/.aws/config
 * (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE) with the profile AWS_PROFILE. Secrets come from
 * the last three only, and are in no message.
 */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include "base/error.h"

struct account {
	/* Owned. */
	char *endpoint; /* http://HOST[:PORT] or https://..., without a slash at the end; NULL: AWS
			 */
	char *region;
	char *user, *secret;
	char *token;	     /* of credentials for a time; NULL: none */
	bool bucket_in_host; /* https://BUCKET.HOST/KEY, not https://HOST/BUCKET/KEY */
};

/* endpoint: NULL: as it is set elsewhere. Free *out in any case. ERR_USAGE: there are no
 * credentials, or what is set cannot be understood. */
int account_find(struct account *out, const char *endpoint, struct error *err);
void account_free(struct account *account);

#endif
