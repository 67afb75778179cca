/*
 * Dependent writers over NBD: operation n to drive 0, and when it is answered operation n to drive
 * 1, and so on; see tests/live/chain.h.
 *
 *	writers [OPTION]... URI...		one URI a drive, as libnbd takes them
 *
 *	--seed N	other offsets, lengths and bytes
 *	--chains K	so many chains at once, each in its own part of every drive (1)
 *	--connections C	to each drive; every request of a chain takes the next one (1)
 *	--align N	of offsets and lengths: 1 for NBD servers that allow it, 512, 4096 (1)
 *	--longest N	bytes in a request (2 MiB)
 *	--no-zeroes --no-trims	neither WRITE_ZEROES nor TRIM among the requests
 *	--rate N	requests a second, of all chains together
 *	--operations N	end after so many in each chain; without, on SIGTERM or SIGINT
 *	--resume	go on where the drives' headers say
 *
 * Says "ready" on standard output when every header is on the drives: from then on any moment's
 * image can be checked by replay-check. At the end it flushes all drives and tells in one line of
 * JSON what it did, and how long requests took. Exit code 0: no request failed.
 *
 * For instance, with one qemu-storage-daemon that exports both:
 *
 *	cp A.raw A.initial; cp B.raw B.initial
 *	writers --chains 4 'nbd+unix:///A?socket=S' 'nbd+unix:///B?socket=S' &
 *	... back up, restore to A.out and B.out ...
 *	replay-check A.initial B.initial -- A.out B.out
 *
 * Guests see drives in sectors: for exports with a block size above 1 give --align.
 */
#include "tests/live/options.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX (16 * CHAIN_DRIVES_MAX)

struct chain {
	uint64_t place; /* of the next step, or of the one in flight */
	bool busy;
	bool failed;
	uint64_t due_ns, sent_ns;
	struct step step;
	uint8_t *bytes;
};

struct writers {
	struct writer_options options;
	struct nbd_handle *nbd[CONNECTIONS_MAX]; /* drive * n_connections + connection */
	struct chain chains[CHAIN_CHAINS_MAX];
	uint32_t n_busy;
	uint64_t n_requests, sum_ns, slowest_ns;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void connect_one(struct writers *w, uint32_t drive, uint32_t connection)
{
	const char *uri = w->options.drives[drive];
	struct nbd_handle *nbd = nbd_create();

	if (nbd == NULL || nbd_connect_uri(nbd, uri) == -1)
		errx(1, "%s: %s", uri, nbd_get_error());
	if (w->options.set.zeroes && nbd_can_zero(nbd) != 1)
		errx(1, "%s: no WRITE_ZEROES there: give --no-zeroes", uri);
	if (w->options.set.trims && nbd_can_trim(nbd) != 1)
		errx(1, "%s: no TRIM there: give --no-trims", uri);
	if (connection > 0 && nbd_can_multi_conn(nbd) != 1)
		errx(1, "%s: does not allow several connections", uri);
	w->options.set.size_bytes[drive] = (uint64_t)nbd_get_size(nbd);
	w->nbd[drive * w->options.n_connections + connection] = nbd;
}

static void start_chain(struct writers *w, uint32_t chain)
{
	const struct chain_set *set = &w->options.set;
	struct chain *c = &w->chains[chain];
	uint64_t least = UINT64_MAX;

	c->bytes = malloc(set->longest);
	if (c->bytes == NULL)
		err(1, "memory");
	for (uint32_t i = 0; i < set->n_drives; i++) {
		struct nbd_handle *nbd = w->nbd[i * w->options.n_connections];
		struct chain_set found;
		uint64_t operation = 0;
		uint32_t of_chain, of_drive;
		chain_header(set, chain, i, 0, &c->step);
		chain_fill(set, &c->step, c->bytes);
		int code = w->options.resume
				   ? nbd_pread(nbd, c->bytes, c->step.n, c->step.offset, 0)
				   : nbd_pwrite(nbd, c->bytes, c->step.n, c->step.offset, 0);
		if (code == -1)
			errx(1, "%s: %s", w->options.drives[i], nbd_get_error());
		if (!chain_parse(c->bytes, &found, &of_chain, &of_drive, &operation))
			errx(1, "%s: no header to go on from", w->options.drives[i]);
		if (!chain_same(&found, set))
			errx(1, "%s: was written to with other options", w->options.drives[i]);
		/* Done on all drives before this one: go on with this one. */
		if (operation < least) {
			least = operation;
			c->place = 2 * (least * set->n_drives + i);
		}
	}
}

static int answered(void *user, int *error)
{
	struct chain *c = user;

	c->busy = false;
	if (*error != 0) {
		warnx("drive %u: request at %" PRIu64 " of %u bytes: %s", c->step.drive,
		      c->step.offset, c->step.n, strerror(*error));
		c->failed = true;
	}
	return 1;
}

static void send_step(struct writers *w, uint32_t chain)
{
	struct chain *c = &w->chains[chain];
	uint32_t n = w->options.n_connections;

	chain_step(&w->options.set, chain, c->place, &c->step);
	struct nbd_handle *nbd = w->nbd[c->step.drive * n + (chain + c->place) % n];
	nbd_completion_callback done = {.callback = answered, .user_data = c};
	int64_t code;
	c->busy = true;
	w->n_busy++;
	c->sent_ns = now_ns();
	if (c->step.kind == STEP_TRIM) {
		code = nbd_aio_trim(nbd, c->step.n, c->step.offset, done, 0);
	} else if (c->step.kind == STEP_ZERO) {
		code = nbd_aio_zero(nbd, c->step.n, c->step.offset, done,
				    c->step.n % 2 ? LIBNBD_CMD_FLAG_NO_HOLE : 0);
	} else {
		chain_fill(&w->options.set, &c->step, c->bytes);
		code = nbd_aio_pwrite(nbd, c->bytes, c->step.n, c->step.offset, done, 0);
	}
	if (code == -1)
		errx(1, "%s: %s", w->options.drives[c->step.drive], nbd_get_error());
}

/* Takes what was answered and sends what is due. The time at which to look again. */
static uint64_t work(struct writers *w, bool *failed)
{
	const struct writer_options *o = &w->options;
	uint64_t now = now_ns(), wake = UINT64_MAX;

	for (uint32_t i = 0; i < o->set.n_chains; i++) {
		struct chain *c = &w->chains[i];
		if (c->sent_ns != 0 && !c->busy) {
			uint64_t took = now - c->sent_ns;
			c->sent_ns = 0;
			c->place++;
			w->n_busy--;
			w->n_requests++;
			w->sum_ns += took;
			w->slowest_ns = took > w->slowest_ns ? took : w->slowest_ns;
			*failed = *failed || c->failed;
		}
		bool ended = o->operations != 0 && c->place >= o->operations * 2 * o->set.n_drives;
		if (c->busy || stopped || ended || *failed)
			continue;
		if (c->due_ns > now) {
			wake = c->due_ns < wake ? c->due_ns : wake;
			continue;
		}
		if (o->rate != 0) {
			uint64_t step_ns = 1000000000u * o->set.n_chains / o->rate;
			c->due_ns = (c->due_ns == 0 ? now : c->due_ns) + step_ns;
		}
		send_step(w, i);
	}
	/* Sending can take in answers too, of chains that this loop has passed. */
	for (uint32_t i = 0; i < o->set.n_chains; i++) {
		if (w->chains[i].sent_ns != 0 && !w->chains[i].busy)
			wake = now;
	}
	return wake;
}

static void wait_for_peers(struct writers *w, uint64_t wake, const sigset_t *signals)
{
	uint32_t n = w->options.set.n_drives * w->options.n_connections;
	struct pollfd fds[CONNECTIONS_MAX] = {0};
	uint64_t now = now_ns(), left = wake <= now ? 0 : wake - now;
	struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};

	for (uint32_t i = 0; i < n; i++) {
		unsigned direction = nbd_aio_get_direction(w->nbd[i]);
		fds[i].fd = nbd_aio_get_fd(w->nbd[i]);
		fds[i].events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				(direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
	}
	if (ppoll(fds, n, wake == UINT64_MAX ? NULL : &wait, signals) == -1 && errno != EINTR)
		err(1, "poll");
	for (uint32_t i = 0; i < n; i++) {
		int code = 0;
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			code = nbd_aio_notify_read(w->nbd[i]);
		else if (fds[i].revents & POLLOUT)
			code = nbd_aio_notify_write(w->nbd[i]);
		if (code == -1 || nbd_aio_is_dead(w->nbd[i]) || nbd_aio_is_closed(w->nbd[i]))
			errx(1, "%s: connection lost: %s",
			     w->options.drives[i / w->options.n_connections],
			     nbd_get_error() ? nbd_get_error() : "closed");
	}
}

static void finish(struct writers *w, uint64_t begun_ns)
{
	uint32_t n = w->options.set.n_drives * w->options.n_connections;
	double seconds = (double)(now_ns() - begun_ns) / 1e9;
	uint64_t operations = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (nbd_can_flush(w->nbd[i]) == 1 && nbd_flush(w->nbd[i], 0) == -1)
			errx(1, "flush: %s", nbd_get_error());
		nbd_shutdown(w->nbd[i], 0);
		nbd_close(w->nbd[i]);
	}
	for (uint32_t i = 0; i < w->options.set.n_chains; i++) {
		operations += w->chains[i].place / (2 * w->options.set.n_drives);
		free(w->chains[i].bytes);
	}
	printf("{\"operations\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"seconds\": %.3f, "
	       "\"mean_ms\": %.3f, \"slowest_ms\": %.3f}\n",
	       operations, w->n_requests, seconds,
	       w->n_requests ? (double)w->sum_ns / 1e6 / (double)w->n_requests : 0,
	       (double)w->slowest_ns / 1e6);
}

int main(int argc, char **argv)
{
	static struct writers w;
	struct sigaction act = {.sa_handler = stop};
	sigset_t blocked, before;
	bool failed = false;

	options_read(&w.options, argc, argv);
	for (uint32_t i = 0; i < w.options.set.n_drives * w.options.n_connections; i++)
		connect_one(&w, i / w.options.n_connections, i % w.options.n_connections);
	const char *wrong = chain_check(&w.options.set);
	if (wrong != NULL)
		errx(2, "%s", wrong);
	for (uint32_t i = 0; i < w.options.set.n_chains; i++)
		start_chain(&w, i);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	puts("ready");
	fflush(stdout);
	uint64_t begun_ns = now_ns(), wake = work(&w, &failed);
	while (w.n_busy > 0 || wake != UINT64_MAX) {
		wait_for_peers(&w, wake, &before);
		wake = work(&w, &failed);
	}
	finish(&w, begun_ns);
	return failed ? 1 : 0;
}
