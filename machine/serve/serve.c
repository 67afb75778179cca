/*
 * Drives, maps, volumes, exports, the NBD server, and the control socket last: a client that finds
 * it can count on the rest. Then everything happens on other threads, until one of them or a signal
 * wakes serve_wait; all is closed in the opposite order, the drives flushed before their maps are
 * closed.
 */
#include "machine/serve/serve.h"

#include "base/clock.h"
#include "base/stop.h"
#include "base/watcher.h"
#include "machine/serve/listen.h"
#include "machine/serve/mirror.h"
#include "machine/serve/state.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define GRACE_MS 5000u /* for clients to take their last replies */

/* ---- the end ---- */

static atomic_int wake_fd = -1; /* for signals */

static enum stop_next end_by_signal(void)
{
	eventfd_write(atomic_load(&wake_fd), 1);
	return STOP_ENDS;
}

void serve_wait(struct serve *serve)
{
	eventfd_t count;

	while (eventfd_read(serve->wake, &count) < 0 && errno == EINTR)
		;
}

int serve_end_fd(const struct serve *serve)
{
	return serve->wake;
}

unsigned serve_n_users(const struct serve *serve)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < serve->n_drives; i++)
		n += nbdserver_export_users(serve->nbd, i);
	return n;
}

uint64_t serve_n_come(const struct serve *serve)
{
	return nbdserver_n_come(serve->nbd);
}

/* ---- NBD ---- */

static int open_nbd(struct serve *serve, struct error *err)
{
	struct nbdserver_export exports[SERVED_MAX];

	for (uint32_t i = 0; i < serve->n_drives; i++)
		exports[i] = serve_export(&serve->drives[i], serve->options->read_only);
	return serve_listen(&serve->nbd, exports, serve->n_drives, serve->options, serve->watcher,
			    err);
}

/* Characters that have a meaning in a URI become %XX. Cut if out is too small. */
static void escape_uri(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < size; text++) {
		bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			     (*text >= '0' && *text <= '9') || strchr("-._~/:@", *text) != NULL;
		if (plain)
			out[n++] = *text;
		else
			n += (size_t)sprintf(out + n, "%%%02X", (unsigned char)*text);
	}
	out[n] = '\0';
}

static void tell_where(const struct serve *serve)
{
	const struct serve_options *options = serve->options;
	const char *s = options->tls_certificates != NULL || options->tls_psk != NULL ? "s" : "";

	for (uint32_t i = 0; i < serve->n_drives; i++) {
		char name[1024], place[1024];
		const char *first = options->nbd.items[0];

		escape_uri(name, sizeof(name), serve->drives[i].argument.name);
		escape_uri(place, sizeof(place), first + (strncmp(first, "unix:", 5) == 0 ? 5 : 0));
		if (strncmp(first, "unix:", 5) == 0)
			watcher_note(serve->watcher, "drive %s: nbd%s+unix:///%s?socket=%s",
				     serve->drives[i].argument.name, s, name, place);
		else
			watcher_note(serve->watcher, "drive %s: nbd%s://%s/%s",
				     serve->drives[i].argument.name, s, first, name);
	}
}

/* ---- the whole ---- */

static int check_options(const struct serve_options *options, struct error *err)
{
	if (options->control == NULL && options->given == NULL)
		return fail(err, ERR_USAGE, "--control SOCKET is needed");
	if (options->nbd.n == 0)
		return fail(err, ERR_USAGE,
			    "--nbd is needed: unix:PATH, or HOST:PORT, where drives are served");
	if (options->tls_verify_peer && options->tls_certificates == NULL)
		return fail(err, ERR_USAGE, "--tls-verify-peer: only with --tls-certificates");
	if (options->read_only && options->maps.n > 0)
		return fail(err, ERR_USAGE, "--map: with --read-only nothing changes");
	return 0;
}

static int open_all(struct serve *serve, struct error *err)
{
	TRY(check_options(serve->options, err));
	serve->drives = calloc((size_t)serve->options->arguments.n + serve->options->n_given + 1,
			       sizeof(*serve->drives));
	if (serve->drives == NULL)
		return fail_memory(err);
	TRY(drives_parse(serve, err));
	serve->wake = eventfd(0, EFD_CLOEXEC);
	if (serve->wake < 0)
		return fail_system(err, errno, "eventfd");
	atomic_store(&wake_fd, serve->wake);
	TRY(drives_open(serve, err));
	stop_handle(end_by_signal);
	TRY(open_nbd(serve, err));
	TRY(mirrors_open(serve, err));
	if (serve->options->control != NULL)
		TRY(control_open(serve, err));
	if (!serve->options->quiet)
		tell_where(serve);
	return 0;
}

static void free_all(struct serve *serve)
{
	stop_handle(NULL);
	atomic_store(&wake_fd, -1);
	if (serve->wake >= 0)
		close(serve->wake);
	pthread_mutex_destroy(&serve->lock);
	pthread_mutex_destroy(&serve->arrivals_lock);
	free(serve->drives);
	free(serve);
}

static int close_all(struct serve *serve, struct error *err)
{
	int code;

	control_cut(serve);
	if (serve->nbd != NULL)
		nbdserver_stop(serve->nbd, GRACE_MS);
	nbdserver_free(serve->nbd);
	code = drives_flush(serve, err);
	mirrors_close(serve->mirrors);
	drives_close(serve);
	mirrors_free(serve->mirrors);
	return code;
}

int serve_open(struct serve **out, const struct serve_options *options,
	       const struct watcher *watcher, struct error *err)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	struct error ignored;

	if (serve == NULL)
		return fail_memory(err);
	serve->options = options;
	serve->watcher = watcher;
	serve->wake = -1;
	serve->began_s = clock_s();
	pthread_mutex_init(&serve->lock, NULL);
	pthread_mutex_init(&serve->arrivals_lock, NULL);
	if (open_all(serve, err) == 0) {
		*out = serve;
		return 0;
	}
	close_all(serve, &ignored);
	free_all(serve);
	return err->code;
}

int serve_close(struct serve *serve, struct error *err)
{
	int code;

	*err = (struct error){0};
	code = close_all(serve, err);
	control_close(serve, err);
	free_all(serve);
	return code;
}
