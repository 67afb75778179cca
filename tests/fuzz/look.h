/*
 * What must hold of an archive that is read in any order, whatever it is.
 */
#ifndef TESTS_FUZZ_LOOK_H
#define TESTS_FUZZ_LOOK_H

#include "archive/view.h"

/* Reads here and there on some of the drives. same: another view of the same archive, or NULL: what
 * both can read is the same. */
void look_everywhere(struct view *view, struct view *same);
/* Makes the n-th file of a folder of this process; NULL: n is too large. Borrowed. The reader wants
 * files with names. */
#define LOOK_FILES 4u
const char *look_write_file(unsigned n, const uint8_t *data, size_t size);
void look_remove_files(void);
/* The length of the first of the archives that follow each other in the bytes: a head of the same
 * uuid is its copy near the end. */
size_t look_first_archive(const uint8_t *bytes, size_t size);

#endif
