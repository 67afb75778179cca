/*
 * Whether a file that does not begin like an archive may be what damage left of one, which may
 * stand on others.
 */
#ifndef ARCHIVE_FOLDER_DOUBT_H
#define ARCHIVE_FOLDER_DOUBT_H

#include <stdbool.h>
#include <stddef.h>

/* Its name ends in .vmab, it cannot be read, or its first or last part holds a section of a VMAB
 * archive. Never if it is no plain file, or shorter than the shortest archive. why: of size bytes.
 */
bool folder_doubt(int folder, const char *file, char *why, size_t size);

#endif
