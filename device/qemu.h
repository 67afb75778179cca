/*
 * The command line of the QEMU that boots a backup. Private to device/.
 */
#ifndef DEVICE_QEMU_H
#define DEVICE_QEMU_H

#include "device/hardware.h"

#define QEMU_WORDS_MAX 1024u

struct qemu_line {
	char *words[QEMU_WORDS_MAX + 1]; /* owned; NULL at the end */
	unsigned n;
	bool failed; /* no memory, or no room */
};

struct qemu_wish {
	const char *program;
	const struct strings *more; /* arguments of the user's */
	uint64_t memory_mib;	    /* 0: of the hardware */
	bool kvm;
	const char *nbd, *agent;    /* paths of sockets; agent: NULL for none */
};

/* names: of the exports, for each drive of the archive. Free *out even after an error. */
int qemu_line_make(struct qemu_line *out, const struct qemu_wish *wish,
		   const struct archive *archive, char *const *names, struct error *err);
void qemu_line_free(struct qemu_line *line);

#endif
