/*
 * restore --live libvirt:DOMAIN.
 */
#ifndef CLI_LIVE_LIBVIRT_H
#define CLI_LIVE_LIBVIRT_H

#include "device/live.h"

struct live_libvirt;

struct live_libvirt_options {
	const char *domain;  /* its name */
	const char *connect; /* libvirt: its URI, or NULL */
};

/* Connects, while programs may be started yet, and sets what a live restore needs. how and the
 * watcher are borrowed until live_libvirt_close, which comes after live_close. */
int live_libvirt_open(struct live_libvirt **out, const struct live_libvirt_options *options,
		      struct live_options *how, const struct watcher *watcher, struct error *err);
void live_libvirt_close(struct live_libvirt *libvirt); /* NULL-safe */

#endif
