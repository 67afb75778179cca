/*
 * Names: which may become paths, and how NAME=SOMETHING on the command line is taken apart.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "format/format.h"

#define NAME_MAX_LENGTH 200u /* bytes; leaves room for endings and temporary names in 255 */

/* The allow-list: [A-Za-z0-9_][A-Za-z0-9._+@%:-]*, 1 to 200 bytes. Only such a name becomes part of
 * a path. */
bool name_usable(const uint8_t *bytes, size_t length);

/* The length of NAME in "NAME=REST": what is before the first '=' if that is not empty and holds no
 * '/'; else 0. */
size_t name_prefix(const char *argument);

/* [NAME=]PATH[,format=FORMAT] taken apart; the texts lie in a copy that is owned. */
struct drive_argument {
	char *copy;
	const char *name;   /* NULL: none given */
	const char *path;   /* not empty */
	const char *format; /* NULL: none given */
};

int drive_argument_parse(const char *argument, struct drive_argument *out, struct error *err);
void drive_argument_free(struct drive_argument *argument);

/* Cuts ",format=FMT" off the end of text. Only [a-z0-9]+ counts as a format, so that a path may
 * hold most anything. Returns FMT, in text, or NULL. */
char *name_cut_format(char *text);

/* NAME[=TARGET] against the drives of an archive. *drive is its number from 0, *target points into
 * argument or is NULL. The longest name of a drive that argument begins with, an '=' or the end
 * after it, is meant; "@N", counted from 1, when no name fits. */
int drive_selection_parse(const char *argument, const struct archive *archive, uint32_t *drive,
			  const char **target, struct error *err);

/* The last part of a path. */
const char *base_name(const char *path);

/* Whether text ends with this, and has something before it. */
bool has_ending(const char *text, const char *ending);

#endif
