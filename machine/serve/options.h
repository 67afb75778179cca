/*
 * What a user may say about a serve.
 */
#ifndef MACHINE_SERVE_OPTIONS_H
#define MACHINE_SERVE_OPTIONS_H

#include "base/text.h"

#include <stdbool.h>

#define SERVED_MAX 64u /* drives of one serve */

struct drive;

/* A drive that is open. Both are borrowed. */
struct serve_given {
	const char *name;
	struct drive *drive;
	/* Of a drive that is filled: how much is not there yet, asked from any thread; or NULL. */
	uint64_t (*missing_bytes)(struct drive *drive);
};

struct serve_options {
	struct strings arguments;	 /* [NAME=]DRIVE; at most SERVED_MAX */
	const struct serve_given *given; /* instead of them; NULL: none */
	unsigned n_given;
	const char *control; /* the control socket; NULL, with given: none */
	struct strings nbd;  /* unix:PATH or HOST:PORT */
	bool read_only;
	struct strings maps; /* [NAME=]FILE */
	const char *tls_certificates;
	const char *tls_psk;
	bool tls_verify_peer;
	bool plain_loopback;
	bool quiet; /* where drives are served is not told */
};

#endif
