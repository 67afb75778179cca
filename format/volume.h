/*
 * The marks at both ends of an archive's part on one tape: spec/tape.md, section 3.
 */
#ifndef FORMAT_VOLUME_H
#define FORMAT_VOLUME_H

#include "format/format.h"

#define VOLUME_MARK_SIZE  512u
#define VOLUME_NUMBER_MAX 99999u

enum volume_kind { VOLUME_LABEL = 1, VOLUME_END_GOES_ON = 2, VOLUME_END_LAST = 3 };

struct volume_mark {
	enum volume_kind kind;
	uint8_t set[UUID_SIZE], uuid[UUID_SIZE];
	uint32_t number; /* from 1 */
	uint32_t record_size;
	uint64_t place; /* bytes of the archive before it */
	int64_t written_ns;
};

void volume_build(const struct volume_mark *mark, uint8_t out[VOLUME_MARK_SIZE]);
/* Whether this is the magic of a mark; n: as many bytes as there are. */
bool volume_is_mark(const uint8_t *bytes, size_t n);
/* 0, ERR_DAMAGED or ERR_UNSUPPORTED. */
int volume_parse(const uint8_t bytes[VOLUME_MARK_SIZE], struct volume_mark *out, struct error *err);

#endif
