/*
 * A process that reads an untrusted archive gives up access to all other files once its own are
 * open.
 *
 * By Landlock. On a kernel without it nothing happens: it is a second line of defence. But where
 * the kernel has it, a failure to set it up is an error, because no archive may be able to turn it
 * off. Open files, running children and threads started before keep their access; threads and
 * children started later are as confined as the thread that starts them. There is no way back.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/error.h"

#include <limits.h>

struct sandbox {
	int rules;	       /* a descriptor; -1: no sandbox on this kernel, or failed */
	uint64_t rights;       /* that the kernel can restrict */
	int failed;	       /* errno of the first failure */
	char failed_at[256];   /* the folder where it failed, cut if need be; empty: none */
	char folder[PATH_MAX]; /* the last one allowed: most files are in the same */
};

/* Call it before an archive can make descriptors scarce. *out can always be ended. */
void sandbox_begin(struct sandbox *out);
/* Allows reading every file and running programs, but no changes. */
void sandbox_allow_reading(struct sandbox *sandbox);
/* Allows reading what is in every folder, and no file. */
void sandbox_allow_listing(struct sandbox *sandbox);
/* Allows reading files, and running programs, in and below this folder only. */
void sandbox_allow_reading_below(struct sandbox *sandbox, const char *folder);
/* Allows creating, writing, renaming and removing files in the folder of this file, and in that of
 * the file it is a link to; nothing for a device, which is open already. One rule per folder, for
 * any number of files. NULL-safe. */
void sandbox_allow_file(struct sandbox *sandbox, const char *path);
/* Allows a socket there that is made later, and its removal. */
void sandbox_allow_socket(struct sandbox *sandbox, const char *path);
/* Allows reading and writing this device alone. */
void sandbox_allow_device(struct sandbox *sandbox, const char *path);
/* Allows making, writing and removing files, folders and links below this folder. */
void sandbox_allow_tree(struct sandbox *sandbox, const char *folder);
/* Allows removing this folder. */
void sandbox_allow_removal(struct sandbox *sandbox, const char *folder);
/* From here on only allowed files can be opened. Ends the struct. */
int sandbox_enter(struct sandbox *sandbox, struct error *err);
/* For a run that fails before that. NULL-safe for a struct of zeros. */
void sandbox_end(struct sandbox *sandbox);

/* All of this for a command that only reads one archive from here on. */
int sandbox_enter_at_once(struct error *err);
/* The same for one that reads many files, and writes in this folder; NULL: writes nothing. */
int sandbox_enter_reading(const char *folder, struct error *err);

#endif
