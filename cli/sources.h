/*
 * What a backup is made of, as one word on the command line: qemu:SOCKET, libvirt:DOMAIN,
 * serve:SOCKET; anything else is a drive. A file whose name begins like that is written
 * ./qemu:NAME.
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "base/error.h"

/* Kinds of source, as bits; options say for which they are. */
enum source_kind {
	SOURCE_DRIVES = 1,
	SOURCE_PUSH = 2,
	SOURCE_PULL = 4,
	SOURCE_QEMU = SOURCE_PUSH | SOURCE_PULL, /* qemu:, with --pull or without */
	SOURCE_LIBVIRT = 8,
	SOURCE_SERVE = 16,
	SOURCE_MACHINE = SOURCE_QEMU | SOURCE_LIBVIRT | SOURCE_SERVE,
};

/* The kind that a word names, and in *place what follows the colon. */
enum source_kind source_of(const char *word, const char **place);
/* For commands that know one kind alone: the word without its kind, if that is there. ERR_USAGE: it
 * is another kind, or nothing is left. */
int source_place(const char *word, enum source_kind kind, const char **place, struct error *err);
/* For commands that need a file or device: ERR_USAGE if path is the word of a machine. why
 * completes "names a running machine, ". */
int source_check_path(const char *path, const char *why, struct error *err);
/* The same for each NAME=TARGET. */
int source_check_targets(const struct strings *targets, struct error *err);

struct command;

/* What the tables of a command say of each option that was given, as common_options has them.
 * ERR_USAGE: one is not for this kind of source. */
int source_check_options(const struct command *command, uint64_t given, enum source_kind kind,
			 struct error *err);

/* "qemu:", "libvirt:", "serve:"; NULL after the last. */
const char *source_prefix(unsigned i);

/* "qemu:SOCKET and serve:SOCKET": which sources these kinds are, for messages. */
const char *source_names(unsigned kinds, char *out, unsigned size);

#endif
