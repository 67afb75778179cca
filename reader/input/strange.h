/*
 * What is no archive of ours, by its first bytes: what it is, and how to go on.
 */
#ifndef READER_INPUT_STRANGE_H
#define READER_INPUT_STRANGE_H

#include "base/error.h"

#define STRANGE_LEAST 4096u /* bytes that it should be given, if there are as many */

/* Whether these bytes can be the beginning of an archive, be it one that is damaged or cut short.
 * Else ERR_UNSUPPORTED and what it is, with the command that helps. name: of the input; salvaging:
 * the command that helps is not vmabak salvage. */
int strange_check(const uint8_t *bytes, size_t n, const char *name, bool salvaging,
		  struct error *err);

#endif
