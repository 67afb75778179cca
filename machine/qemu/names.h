/*
 * What a run makes in QEMU is called vmabak-ID-N: jobs, exports and block nodes. ID are the eight
 * hexadecimal digits of the run, N is the number of the drive. A node of a push is connected to the
 * export N of this program; one of a pull is a scratch image in a file whose node is called
 * vmabak-ID-N-file. Further nodes and jobs of a drive have other endings.
 */
#ifndef MACHINE_QEMU_NAMES_H
#define MACHINE_QEMU_NAMES_H

#include "machine/rundir.h"

#include <stdbool.h>
#include <stdint.h>

#define NODE_NAME_SIZE 32u /* QEMU's limit */

char *node_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive);
char *node_file_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive);
/* With another ending, of nine characters at most. */
char *node_part_name(char out[NODE_NAME_SIZE], const char *id, unsigned drive, const char *part);

/* Takes such a name apart. False: it is none, which NULL is, too. */
bool node_name_parse(const char *name, char id[RUN_ID_SIZE], uint64_t *drive);
bool node_file_name_parse(const char *name, char id[RUN_ID_SIZE], uint64_t *drive);
/* Whether it is a name of that run, of whichever drive. */
bool node_name_is_of(const char *name, const char *id);
/* The same with any ending. */
bool node_name_begins(const char *name, const char *id);

#endif
