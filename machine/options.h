/*
 * What a user may say about the backup of a machine. Each kind of machine reads its own part; the
 * command line refuses what is for another kind.
 */
#ifndef MACHINE_OPTIONS_H
#define MACHINE_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>

/* Choices; 0: not given. */
enum sync_choice { SYNC_TOP = 1, SYNC_FULL };
enum quiesce_choice { QUIESCE_MUST = 1, QUIESCE_TRY };
enum full_choice { FULL_CHOICE_ABORT = 1, FULL_CHOICE_WAIT };

struct machine_options {
	struct strings images; /* [NAME=]DRIVE[,format=FMT]; each is a drive of the machine */
	bool allow_writers;    /* images: go on though another program has one open for writing */
	bool direct;	       /* images: past the page cache */
	bool keep_images;      /* images: no QEMU can start to write to them meanwhile */
	bool no_holes;	       /* images: read everything, whatever is said to be a hole */

	const char *place;     /* a socket, or the name of a domain */
	unsigned threads;      /* that will take what it gives; at least 1 */
	struct strings drives; /* [NAME=]DRIVE; none: all that are written to */

	bool track;		 /* leave what records changes from the instant on */
	const char *since;	 /* snapshots, instead of tokens: the name of a checkpoint, which
				    every drive must have; NULL: none */
	const char *checkpoint;	 /* libvirt, of the guard: made by the backup; NULL: none */
	const char *connect;	 /* libvirt: its URI; NULL: as for virsh */
	bool pull;		 /* qemu */
	const char *qemu_server; /* pull: the socket of QEMU's own */
	const char *scratch;	 /* pull, libvirt: a folder */
	unsigned sync_mode;	 /* push: enum sync_choice */

	const char *state; /* track, qemu: the folder for that; NULL: that of the machine's name */

	uint64_t buffer; /* push, serve: bytes, as spill */
	uint64_t spill;
	const char *spill_dir;
	unsigned on_full; /* enum full_choice */

	unsigned quiesce;	 /* libvirt: enum quiesce_choice */
	const char *guest_agent; /* qemu: a socket */
	const char *freeze_command, *thaw_command;
	uint64_t freeze_timeout; /* seconds; 0: not given */
};

/* Bytes. */
#define MACHINE_BUFFER	   (UINT64_C(64) << 20)
#define MACHINE_BUFFER_MAX (UINT64_C(1) << 40)
#define MACHINE_SPILL	   (UINT64_C(1) << 30)

#define MACHINE_DEFAULTS .buffer = MACHINE_BUFFER, .spill = MACHINE_SPILL

#endif
