/*
 * The names of our own bitmaps and checkpoints: vmabak-UUID, of the archive since which they
 * record.
 */
#ifndef BASE_TRACK_NAME_H
#define BASE_TRACK_NAME_H

#include "base/parse.h"

#include <stdint.h>

#define TRACK_NAME_SIZE (UUID_TEXT_SIZE + 7u)

/* Returns out. */
const char *track_name(char out[TRACK_NAME_SIZE], const uint8_t uuid[UUID_SIZE]);
bool track_name_is_ours(const char *name);
/* Of a name that is ours. */
void track_name_uuid(uint8_t out[UUID_SIZE], const char *name);

#endif
