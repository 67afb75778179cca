/*
 * Shared by track.c and parents.c.
 */
#ifndef MACHINE_LIBVIRT_TRACK_PRIVATE_H
#define MACHINE_LIBVIRT_TRACK_PRIVATE_H

#include "base/identity.h"
#include "base/track_name.h"
#include "machine/libvirt/description.h"

struct domain;
struct watcher;

/* Tokens are "libvirt:vmabak-UUID/IDENTITY". */
#define TRACK_TOKEN "libvirt:"

struct tracked_disk {
	bool can;		     /* have a bitmap that stays */
	char token[100];	     /* of the new one */
	char since[TRACK_NAME_SIZE]; /* of the parent; empty: none of ours */
	char image[IDENTITY_SIZE];   /* its identity then; empty: not known */
	char why[200];
};

struct libvirt_track {
	struct domain *domain;
	struct domain_disks *disks;
	const struct watcher *watcher;
	char name[TRACK_NAME_SIZE]; /* empty: none is made */
	struct tracked_disk each[]; /* of disks */
};

#endif
