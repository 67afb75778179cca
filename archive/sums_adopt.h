/*
 * The sums of an archive that took the place of another one of the same instant, with another
 * parent: as its merge with what it stood on has.
 */
#ifndef ARCHIVE_SUMS_ADOPT_H
#define ARCHIVE_SUMS_ADOPT_H

#include "base/error.h"

/* Makes the sums beside the archive those of the archive there, if they are of its instant;
 * otherwise does nothing: they are not used then. */
int sums_adopt(const char *archive, struct error *err);

#endif
