#include "cli/live_libvirt.h"

#include "base/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_LIBVIRT

#include "machine/libvirt/live.h"

struct live_libvirt {
	const struct live_options *how;
	struct live_copier copier;
	struct libvirt_live_options options;
	struct libvirt_live_parts parts;
	struct libvirt_live_drive *drives; /* owned */
	struct libvirt_live *live;
	char *place;	       /* owned: unix:DIRECTORY/DOMAIN.nbd, if none was given */
	const char *places[1]; /* of it */
	char *socket, *nvram;  /* owned */
};

static struct text find_config(const struct archive *archive, const char *name)
{
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		struct text found = archive->configs[i].name;

		if (found.length == strlen(name) && memcmp(found.bytes, name, found.length) == 0)
			return archive->configs[i].data;
	}
	return (struct text){0};
}

static int check(void *context, const struct archive *archive, const struct live_target *targets,
		 unsigned n, struct error *err)
{
	struct live_libvirt *libvirt = context;
	const struct live_options *how = libvirt->how;
	const char *socket = how->serve.nbd.items[0] + strlen("unix:");

	libvirt->drives = calloc((size_t)n + 1, sizeof(*libvirt->drives));
	libvirt->nvram = text_make("%s/nvram", how->restore.directory);
	if (libvirt->nvram != NULL) {
		char *full = absolute_path(libvirt->nvram);

		free(libvirt->nvram);
		libvirt->nvram = full;
	}
	libvirt->socket = absolute_path(socket);
	if (libvirt->drives == NULL || libvirt->nvram == NULL || libvirt->socket == NULL)
		return fail_system(err, errno, "%s", socket);
	libvirt->options.socket = libvirt->socket;
	libvirt->options.nvram = libvirt->nvram;
	for (unsigned i = 0; i < n; i++)
		libvirt->drives[i] = (struct libvirt_live_drive){targets[i].name, targets[i].file};
	libvirt->parts = (struct libvirt_live_parts){
		.xml = find_config(archive, "libvirt.xml"),
		.nvram = find_config(archive, "nvram"),
		.vtpm = find_config(archive, "vtpm"),
	};
	return libvirt_live_check(libvirt->live, &libvirt->parts, libvirt->drives, n, err);
}

static int start(void *context, struct error *err)
{
	struct live_libvirt *libvirt = context;

	return libvirt_live_start(libvirt->live, err);
}

static int step(void *context, uint64_t *done_bytes, bool *moved, struct error *err)
{
	struct live_libvirt *libvirt = context;

	return libvirt_live_step(libvirt->live, done_bytes, moved, err);
}

/* A fixed place, which a later run finds again. */
static int choose_place(struct live_libvirt *libvirt, struct live_options *how, struct error *err)
{
	const char *domain = libvirt->options.name;

	if (how->serve.nbd.n == 0) {
		if (!name_usable((const uint8_t *)domain, strlen(domain)))
			return fail(err, ERR_USAGE,
				    "--live libvirt:%s: a socket cannot have that name: --nbd "
				    "unix:PATH says where it is",
				    domain);
		libvirt->place = text_make("unix:%s/%s.nbd", how->restore.directory, domain);
		if (libvirt->place == NULL)
			return fail_memory(err);
		libvirt->places[0] = libvirt->place;
		how->serve.nbd = (struct strings){libvirt->places, 1};
	}
	if (how->serve.nbd.n > 1 || strncmp(how->serve.nbd.items[0], "unix:", 5) != 0 ||
	    how->serve.tls_certificates != NULL || how->serve.tls_psk != NULL)
		return fail(err, ERR_USAGE,
			    "--live libvirt:%s: goes with one --nbd unix:PATH, without TLS",
			    domain);
	return 0;
}

static int begin(struct live_libvirt *libvirt, struct live_options *how,
		 const struct watcher *watcher, struct error *err)
{
	TRY(choose_place(libvirt, how, err));
	return libvirt_live_open(&libvirt->live, &libvirt->options, watcher, err);
}

int live_libvirt_open(struct live_libvirt **out, const struct live_libvirt_options *options,
		      struct live_options *how, const struct watcher *watcher, struct error *err)
{
	struct live_libvirt *libvirt = calloc(1, sizeof(*libvirt));

	if (libvirt == NULL)
		return fail_memory(err);
	libvirt->how = how;
	libvirt->options = (struct libvirt_live_options){
		.connect = options->connect,
		.name = options->domain,
		.replace = how->restore.force,
		.rate = how->restore.rate,
	};
	libvirt->copier = (struct live_copier){libvirt, check, start, step};
	if (begin(libvirt, how, watcher, err) < 0) {
		live_libvirt_close(libvirt);
		return err->code;
	}
	how->copier = &libvirt->copier;
	how->restore.passable = true;
	how->restore.force = false;
	*out = libvirt;
	return 0;
}

void live_libvirt_close(struct live_libvirt *libvirt)
{
	if (libvirt == NULL)
		return;
	libvirt_live_close(libvirt->live);
	free(libvirt->drives);
	free(libvirt->place);
	free(libvirt->socket);
	free(libvirt->nvram);
	free(libvirt);
}

#else

int live_libvirt_open(struct live_libvirt **out, const struct live_libvirt_options *options,
		      struct live_options *how, const struct watcher *watcher, struct error *err)
{
	(void)out;
	(void)options;
	(void)how;
	(void)watcher;
	return fail(err, ERR_USAGE,
		    "--live libvirt: this program was built without libvirt: install libvirt-dev "
		    "and libxml2-dev and build again");
}

void live_libvirt_close(struct live_libvirt *libvirt)
{
	(void)libvirt;
}

#endif
