/*
 * Checkpoints that were made by comparing a drive with an archive: spec/map.md, section 4.8.
 */
#ifndef COW_REBUILT_H
#define COW_REBUILT_H

#include "cow/checkpoints.h"
#include "cow/generation.h"

/* The origin of such a checkpoint of the archive of that uuid, which is no map. */
void rebuilt_origin(const uint8_t uuid[UUID_SIZE], uint64_t *id, uint16_t *generation);
/* The same as a token, which stands for an archive that has none. */
char *rebuilt_token(char out[GENERATION_TOKEN_SIZE], const uint8_t uuid[UUID_SIZE]);
/* Of the archive of that uuid. False: there is none. */
bool rebuilt_find(struct checkpoints *checkpoints, const uint8_t uuid[UUID_SIZE],
		  struct checkpoint *out);

#endif
