/*
 * What a process that reads an untrusted archive gives up once its files are open: other files.
 *
 * On Linux with Landlock; elsewhere, and where anything about it fails, nothing happens: it is a
 * second wall. Open files, running children and threads that were started before keep what they
 * have; those that are started after are as confined as their maker. There is no way back.
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox {
	int rules;	 /* a descriptor; -1: there is no sandbox here */
	uint64_t rights; /* that the kernel knows of */
	bool is_short;	 /* something could not be allowed: better no sandbox than one too small */
};

void sandbox_begin(struct sandbox *out);
/* Every file may still be read, and programs run; nothing may be changed. */
void sandbox_allow_reading(struct sandbox *sandbox);
/* In the folder of this file, and of the one it is a link to, files may be made, written, named and
 * removed. NULL-safe. */
void sandbox_allow_file(struct sandbox *sandbox, const char *path);
/* The folder may be removed. */
void sandbox_allow_removal(struct sandbox *sandbox, const char *folder);
/* True: from here on no file can be opened but what was allowed. Ends the struct. */
bool sandbox_enter(struct sandbox *sandbox);

/* All that a command which only reads one archive needs from here on. */
void sandbox_enter_at_once(void);

#endif
