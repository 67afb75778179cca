/*
 * What may stay of an untrusted definition. Private to definition.c.
 */
#ifndef MACHINE_LIBVIRT_DEFINITION_CONFINE_H
#define MACHINE_LIBVIRT_DEFINITION_CONFINE_H

#include "machine/libvirt/xml.h"

struct watcher;

/* Says what is left out: the first few parts one by one, then their number. */
struct omissions {
	const struct watcher *watcher;
	unsigned n;
};
void omit(struct omissions *omissions, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void omissions_end(struct omissions *omissions);

/* Removes from <domain> all that is not known to be harmless, apart from disks, of which it leaves
 * what has nothing to do with their sources. */
void definition_confine(xmlNode *domain, struct omissions *omissions);

#endif
