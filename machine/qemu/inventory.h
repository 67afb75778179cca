/*
 * What a running QEMU, or a qemu-storage-daemon, says of its drives and of itself.
 */
#ifndef MACHINE_QEMU_INVENTORY_H
#define MACHINE_QEMU_INVENTORY_H

#include "machine/options.h"
#include "base/error.h"

struct json_t;
struct qmp;

/* All texts owned; NULL where QEMU says nothing. Only the name has passed the allow-list. */
struct inventory_drive {
	char *name;   /* in the archive: by the device, its number in QEMU, or the node */
	char *label;  /* the same unless the user gave it another one */
	char *device; /* of -drive: its id */
	char *qdev;   /* of -device: its id, or its path */
	char *qom;    /* of -device: its place in QEMU's object model */
	char *node;   /* what is backed up */
	char *format; /* of the image: "raw", "qcow2", ... */
	char *file;
	char *image; /* the file of what is below all filters */
	char *iothread;
	uint64_t size_bytes;
	uint64_t data_bytes; /* that its image has allocated; 0: unknown */
	bool read_only;
	bool removable;	  /* a CD-ROM and the like */
	bool repeated;	  /* a device before it has the same node */
	bool has_backing; /* the image stands on another; a filter is no image */
	bool decrypted;	  /* it stands on an encrypted image, of which QEMU has the key */
};

struct inventory {
	struct inventory_drive *drives; /* owned */
	unsigned n_drives;
	struct json_t *nodes; /* owned: all block nodes */
};

#define INVENTORY_DRIVES_MAX 4096u

/* The drives of a machine, or what a qemu-storage-daemon exports. *out is always safe to free, even
 * after a failure. */
int inventory_read(struct inventory *out, struct qmp *qmp, struct error *err);
void inventory_free(struct inventory *inventory);

/* The file of a node's image, below all filters if QEMU told of it without "flat"; NULL: none. */
const char *inventory_image(const struct json_t *node);

/* Whether it is backed up when no drive is named: once, and not if it is removable or read-only. */
bool inventory_by_default(const struct inventory_drive *drive);
/* Leaves those that are named, each as [NAME=]DEVICE or NODE, in that order; with nothing named
 * those that are backed up then. None is an error. */
int inventory_choose(struct inventory *inventory, const struct strings *wanted, struct error *err);

/* What QEMU tells of the machine as a whole, for people and tools, as an object: owned. Leaves out
 * what QEMU does not answer. Needs the nodes. */
struct json_t *inventory_describe(const struct inventory *inventory, struct qmp *qmp);

#endif
