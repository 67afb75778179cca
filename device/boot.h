/*
 * Boots the newest instant of an archive under QEMU, over an overlay, without a network, and looks
 * for a sign of life.
 */
#ifndef DEVICE_BOOT_H
#define DEVICE_BOOT_H

#include "device/export.h"

struct boot_options {
	struct export_options export; /* what is exported, and how; places are the boot's */
	const char *expect;	      /* on the serial console */
	bool guest_agent;	      /* it has to answer, instead */
	uint64_t timeout_s;
	const char *qemu;	  /* the program */
	struct strings arguments; /* more of them, for QEMU */
	uint64_t memory_bytes;	  /* 0: as the machine's config says */
};

#define BOOT_TAIL 2048u

enum boot_end {
	BOOT_LIVES,   /* what was expected came */
	BOOT_SILENT,  /* it did not within the time */
	BOOT_ENDED,   /* the machine, or QEMU, ended before */
	BOOT_STOPPED, /* by a signal */
};

struct boot_result {
	enum boot_end end;
	double seconds;		     /* from the start of QEMU */
	char console[BOOT_TAIL + 1]; /* the last that it said, made harmless */
	char complaint[400];	     /* of QEMU */
	struct view_counts counts;
};

/* An error: it could not be tried. */
int boot_run(struct boot_result *out, const struct boot_options *options,
	     const struct watcher *watcher, struct error *err);

#endif
