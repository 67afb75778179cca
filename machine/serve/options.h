/*
 * What a user may say about a serve.
 */
#ifndef MACHINE_SERVE_OPTIONS_H
#define MACHINE_SERVE_OPTIONS_H

#include "base/text.h"

#include <stdbool.h>

#define SERVED_MAX 64u /* drives of one serve */

struct serve_options {
	struct strings arguments; /* [NAME=]DRIVE; at most SERVED_MAX */
	const char *control;	  /* the control socket */
	struct strings nbd;	  /* unix:PATH or HOST:PORT */
	bool read_only;
	struct strings maps; /* [NAME=]FILE */
	const char *tls_certificates;
	const char *tls_psk;
	bool tls_verify_peer;
	bool plain_loopback;
};

#endif
