#include "machine/serve/listen.h"

#include "base/watcher.h"
#include "nbd/server.h"

static void log_line(void *context, const char *text)
{
	watcher_detail(context, "nbd: %s", text);
}

int serve_listen(struct nbdserver **out, const struct nbdserver_export *exports, uint32_t n,
		 const struct serve_options *options, const struct watcher *watcher,
		 struct error *err)
{
	const struct nbdserver_tls tls = {
		.certificates = options->tls_certificates,
		.psk = options->tls_psk,
		.verify_peer = options->tls_verify_peer,
	};
	const struct nbdserver_options how = {
		.tls = tls.certificates != NULL || tls.psk != NULL ? &tls : NULL,
		.log = log_line,
		.log_context = (void *)(uintptr_t)watcher,
	};

	TRY(nbdserver_new(out, exports, n, &how, err));
	for (unsigned i = 0; i < options->nbd.n; i++)
		TRY(nbdserver_listen(*out, options->nbd.items[i], options->plain_loopback, err));
	return 0;
}
