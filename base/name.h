/*
 * Names: which may become paths, and how NAME=SOMETHING on the command line is taken apart.
 */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_MAX_LENGTH 200u /* bytes; leaves room for endings and temporary names in 255 */

/* The allow-list: [A-Za-z0-9_][A-Za-z0-9._+@%:-]*, 1 to 200 bytes. Only such a name becomes part of
 * a path. */
bool name_usable(const uint8_t *bytes, size_t length);

/* The length of NAME in "NAME=REST": what is before the first '=' if that is not empty and holds no
 * '/'; else 0. */
size_t name_prefix(const char *argument);

/* The last part of a path. */
const char *base_name(const char *path);

/* From the root on: the folder, which must be there, without links; the last part may be one, such
 * as that of a logical volume. Owned; NULL: no folder, or no memory. */
char *absolute_path(const char *path);

/* Whether text ends with this, and has something before it. */
bool has_ending(const char *text, const char *ending);

#endif
