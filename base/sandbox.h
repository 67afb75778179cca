/*
 * What a process that reads an untrusted archive gives up once its files are open: other files.
 *
 * On Linux with Landlock; where the kernel has none nothing happens, as it is a second wall. Where
 * it has, and it cannot be put up, that is an error: no archive may bring about that it is missing.
 * Open files, running children and threads that were started before keep what they have; those that
 * are started after are as confined as their maker. There is no way back.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/error.h"

#include <limits.h>

struct sandbox {
	int rules;	       /* a descriptor; -1: there is no sandbox here, or failed */
	uint64_t rights;       /* that the kernel knows of */
	int failed;	       /* errno of the first thing that could not be done */
	char failed_at[256];   /* and for which folder, cut if need be; empty: for none */
	char folder[PATH_MAX]; /* the last one allowed: most files are in the same */
};

/* Before an archive has had descriptors opened: they may become scarce. *out can be ended whatever
 * comes. */
void sandbox_begin(struct sandbox *out);
/* Every file may still be read, and programs run; nothing may be changed. */
void sandbox_allow_reading(struct sandbox *sandbox);
/* In the folder of this file, and of the one it is a link to, files may be made, written, named and
 * removed; of a device, which is open, nothing. A rule a folder, however many files. NULL-safe. */
void sandbox_allow_file(struct sandbox *sandbox, const char *path);
/* The folder may be removed. */
void sandbox_allow_removal(struct sandbox *sandbox, const char *folder);
/* From here on no file can be opened but what was allowed. Ends the struct. */
int sandbox_enter(struct sandbox *sandbox, struct error *err);
/* For a run that fails before. NULL-safe for a struct of zeros. */
void sandbox_end(struct sandbox *sandbox);

/* All that a command which only reads one archive needs from here on. */
int sandbox_enter_at_once(struct error *err);

#endif
