/*
 * Drives, maps, volumes, exports, the NBD server, and last the control socket: whoever sees that
 * can count on the rest. Then everything else happens on other threads, until somebody wakes this
 * one; it closes in the opposite order, the drives flushed before their maps are closed.
 */
#include "machine/serve/serve.h"

#include "cli/commands.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct serve_command {
	struct common_options common;
	struct serve_options serve;
};

static const struct serve_command defaults = {.common = {COMMON_DEFAULTS}};

static const struct option_spec specs[] = {
	{"control", 0, OPTION_TEXT, OPTION_FIELD(serve_options, control), .argument = "SOCKET",
	 .help = "make a control socket there, for backup, status and stop"},
	{"nbd", 0, OPTION_LIST, OPTION_FIELD(serve_options, nbd), .argument = "PLACE",
	 .help = "serve the drives there: unix:PATH or HOST:PORT; may be repeated"},
	{"read-only", 0, OPTION_FLAG, OPTION_FIELD(serve_options, read_only),
	 .help = "refuse all writes"},
	{"map", 0, OPTION_LIST, OPTION_FIELD(serve_options, maps), .argument = "[NAME=]FILE",
	 .help = "keep the map of what changes on a drive in FILE; may be repeated"},
	{"tls-certificates", 0, OPTION_TEXT, OPTION_FIELD(serve_options, tls_certificates),
	 .argument = "DIR",
	 .help = "TLS with ca-cert.pem, server-cert.pem and server-key.pem of DIR"},
	{"tls-psk", 0, OPTION_TEXT, OPTION_FIELD(serve_options, tls_psk), .argument = "FILE",
	 .help = "TLS with the keys of FILE"},
	{"tls-verify-peer", 0, OPTION_FLAG, OPTION_FIELD(serve_options, tls_verify_peer),
	 .help = "clients must show a certificate"},
	{"plain-loopback", 0, OPTION_FLAG, OPTION_FIELD(serve_options, plain_loopback),
	 .help = "allow HOST:PORT without TLS on this host alone"},
	OPTIONS_END,
};

static const struct option_spec common[] = {
	{"quiet", 'q', OPTION_FLAG, OPTION_FIELD(common_options, quiet),
	 .help = "say nothing but warnings and errors"},
	{"verbose", 'v', OPTION_FLAG, OPTION_FIELD(common_options, verbose),
	 .help = "also tell of clients that come and go"},
	{"help", 'h', OPTION_FLAG, OPTION_FIELD(common_options, help),
	 .help = "print this and exit"},
	OPTIONS_END,
};

#define GRACE_MS 5000u /* for clients to take their last replies */

/* ---- the end ---- */

static atomic_int wake_fd = -1; /* for the signals */

static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static void end_by_signal(void)
{
	wake(atomic_load(&wake_fd));
}

void serve_wake(const struct serve *serve)
{
	wake(serve->wake);
}

static void wait_for_end(const struct serve *serve)
{
	uint64_t count;

	while (read(serve->wake, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* ---- drives ---- */

static int name_drives(struct serve *serve, struct error *err)
{
	const struct strings *arguments = &serve->options->arguments;

	for (unsigned i = 0; i < arguments->n; i++) {
		struct served *served = &serve->drives[i];

		if (drive_argument_parse(arguments->items[i], &served->argument, err) < 0)
			return err->code;
		serve->n_drives = i + 1;
		if (served->argument.name == NULL) {
			snprintf(served->own_name, sizeof(served->own_name), "disk%u", i);
			served->argument.name = served->own_name;
		}
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(served->argument.name, serve->drives[j].argument.name) == 0)
				return fail(err, ERR_USAGE,
					    "drive '%s': the name %s is taken already",
					    arguments->items[i], served->argument.name);
		}
	}
	return 0;
}

static struct served *find_drive(struct serve *serve, const char *name, size_t length)
{
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		if (strlen(served->argument.name) == length &&
		    memcmp(served->argument.name, name, length) == 0)
			return served;
	}
	return NULL;
}

/* Which map is whose. */
static int assign_maps(struct serve *serve, struct error *err)
{
	const struct strings *maps = &serve->options->maps;

	for (unsigned i = 0; i < maps->n; i++) {
		const char *argument = maps->items[i];
		size_t length = name_prefix(argument);
		struct served *served = serve->n_drives == 1 && length == 0
						? &serve->drives[0]
						: find_drive(serve, argument, length);

		if (length == 0 && serve->n_drives > 1)
			return fail(err, ERR_USAGE, "--map '%s': whose? Write NAME=FILE", argument);
		if (served == NULL)
			return fail(err, ERR_USAGE, "--map '%s': no drive of that name", argument);
		if (served->map_file != NULL)
			return fail(err, ERR_USAGE, "--map '%s': the drive has one already",
				    argument);
		served->map_file = argument + length + (length > 0 ? 1 : 0);
		if (*served->map_file == '\0')
			return fail(err, ERR_USAGE, "--map '%s': no file named", argument);
	}
	return 0;
}

static int open_map(struct serve *serve, struct served *served, struct error *err)
{
	uint64_t size = drive_size(served->drive);
	enum map_trust trust;

	if (served->map_file == NULL)
		return generation_new(&served->map, size, err);
	if (generation_open(&served->map, served->map_file, served->argument.path, size, err) < 0)
		return err->code;
	trust = generation_trust(served->map);
	watcher_note(serve->watcher, "drive %s: map %s: %s%s", served->argument.name,
		    served->map_file, map_trust_text(trust),
		    trust == MAP_NEW || trust == MAP_CLEAN || trust == MAP_KILLED ? ""
										  : ", begun anew");
	return 0;
}

static int open_drive(struct serve *serve, struct served *served, struct error *err)
{
	struct drive_options how = {
		.format = served->argument.format,
		.writable = !serve->options->read_only,
	};

	if (drive_open(&served->drive, served->argument.path, &how, err) < 0)
		return err->code;
	if (drive_warning(served->drive) != NULL)
		watcher_warn(serve->watcher, "drive %s: %s", served->argument.name,
			       drive_warning(served->drive));
	if (!serve->options->read_only && open_map(serve, served, err) < 0)
		return err->code;
	return volume_new(&served->volume, served->argument.name, served->drive, served->map, err);
}

static int flush_drives(struct serve *serve, struct error *err)
{
	int code = 0;

	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		int sys = served->volume == NULL ? 0 : volume_flush(served->volume);
		if (sys != 0 && code == 0)
			code = fail_system(err, sys, "drive %s: flushing", served->argument.name);
	}
	return code;
}

/* The drives are complete without it, but the next serve does not know what changed. */
static void close_map(struct serve *serve, const struct served *served)
{
	struct error err = {0};

	if (generation_close(served->map, &err) == 0)
		return;
	watcher_warn(serve->watcher, "drive %s: %s; it begins anew", served->argument.name,
		       err.text);
	serve->map_error = err;
}

static void close_drives(struct serve *serve)
{
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		struct served *served = &serve->drives[i];
		if (served->volume != NULL)
			volume_free(served->volume);
		close_map(serve, served);
		if (served->drive != NULL)
			drive_close(served->drive);
		drive_argument_free(&served->argument);
	}
}

/* ---- NBD ---- */

static void log_line(void *context, const char *text)
{
	watcher_detail(context, "nbd: %s", text);
}

static int open_nbd(struct serve *serve, struct error *err)
{
	const struct serve_options *options = serve->options;
	struct nbdserver_export exports[SERVED_MAX];
	struct nbdserver_tls tls = {
		.certificates = options->tls_certificates,
		.psk = options->tls_psk,
		.verify_peer = options->tls_verify_peer,
	};
	struct nbdserver_options how = {
		.tls = tls.certificates != NULL || tls.psk != NULL ? &tls : NULL,
		.log = log_line,
		.log_context = (void *)(uintptr_t)serve->watcher,
	};

	if (options->tls_verify_peer && tls.certificates == NULL)
		return fail(err, ERR_USAGE, "--tls-verify-peer: only with --tls-certificates");
	for (uint32_t i = 0; i < serve->n_drives; i++)
		exports[i] = serve_export(&serve->drives[i], options->read_only);
	if (nbdserver_new(&serve->nbd, exports, serve->n_drives, &how, err) < 0)
		return err->code;
	for (unsigned i = 0; i < options->nbd.n; i++) {
		if (nbdserver_listen(serve->nbd, options->nbd.items[i], options->plain_loopback,
				     err) < 0)
			return err->code;
	}
	return 0;
}

/* What has a meaning in a URI is written as %XX. Cut if out is too small. */
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

/* For systemd: Type=notify. */
static void notify_ready(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length;
	int fd;

	if (name == NULL || strlen(name) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, name);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&address, length);
	close(fd);
}

static int check_options(const struct serve_options *options, struct error *err)
{
	if (options->control == NULL)
		return fail(err, ERR_USAGE, "--control SOCKET is needed");
	if (options->nbd.n == 0)
		return fail(err, ERR_USAGE,
			    "--nbd is needed: unix:PATH, or HOST:PORT, where drives are served");
	if (options->read_only && options->maps.n > 0)
		return fail(err, ERR_USAGE, "--map: nothing changes with --read-only");
	return 0;
}

static int open_all(struct serve *serve, struct error *err)
{
	if (check_options(serve->options, err) < 0 || name_drives(serve, err) < 0 ||
	    assign_maps(serve, err) < 0)
		return err->code;
	if (!signals_taken())
		return fail_system(err, EAGAIN, "cannot start a thread");
	serve->wake = eventfd(0, EFD_CLOEXEC);
	if (serve->wake < 0)
		return fail_system(err, errno, "eventfd");
	atomic_store(&wake_fd, serve->wake);
	for (uint32_t i = 0; i < serve->n_drives; i++) {
		if (open_drive(serve, &serve->drives[i], err) < 0)
			return err->code;
	}
	signals_end_by(end_by_signal);
	if (open_nbd(serve, err) < 0)
		return err->code;
	return serve_control_open(serve, err);
}

static int close_all(struct serve *serve, struct error *err)
{
	int code;

	serve_control_cut(serve);
	if (serve->nbd != NULL)
		nbdserver_stop(serve->nbd, GRACE_MS);
	nbdserver_free(serve->nbd);
	code = flush_drives(serve, err);
	close_drives(serve);
	return code;
}

static int run(const void *given, struct report *report)
{
	const struct serve_command *command = given;
	struct serve_options options = command->serve;
	struct error err = {0};
	int code = EXIT_DONE;
	struct serve serve = {
		.options = &options,
		.watcher = &report->watcher,
		.drives = memory_new(command->common.arguments.n, sizeof(struct served)),
		.wake = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};

	options.arguments = command->common.arguments;
	clock_gettime(CLOCK_MONOTONIC, &serve.began);
	if (open_all(&serve, &err) < 0) {
		code = report_error(report, NULL, &err);
		close_all(&serve, &err);
	} else {
		tell_where(&serve);
		notify_ready();
		wait_for_end(&serve);
		if (close_all(&serve, &err) < 0)
			code = report_error(report, NULL, &err);
	}
	serve_control_close(&serve, &err);
	if (serve.wake >= 0)
		close(serve.wake);
	free(serve.drives);
	return code;
}

const struct command command_serve = {
	.name = "serve",
	.usage = "--control SOCKET --nbd PLACE [OPTION]... [NAME=]DRIVE[,format=raw]...",
	.summary = "serve drives over NBD, to be backed up while they are written to",
	.help =
	"Serve raw images and block devices over NBD. A hypervisor that uses them from here can "
	"be\n"
	"backed up at any time: vmabak backup serve:SOCKET. Runs until vmabak stop SOCKET or\n"
	"SIGTERM. Drives without a NAME are called disk0, disk1 and so on.\n"
	"\n"
	"Example:\n"
	"  vmabak serve --control web.sock --nbd unix:web-nbd.sock --map root=web.map "
	"root=web.raw\n",
	.run = run,
	.groups = {{"Options", specs, offsetof(struct serve_command, serve)}, {NULL, common, 0}},
	COMMAND_DEFAULTS(defaults),
	.min_arguments = 1,
	.max_arguments = SERVED_MAX,
};
