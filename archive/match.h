/*
 * Which drives of two archives are the same one: those with the same name. Source: spec/vmab.md,
 * section 5.2.
 */
#ifndef ARCHIVE_MATCH_H
#define ARCHIVE_MATCH_H

#include "format/format.h"

/* out[i]: the number in to of from's drive i; to->n_drives: none there. ERR_DAMAGED if either has
 * two drives with the same name. Takes no longer for many drives than to sort them. */
int match_drives(const struct archive *from, const struct archive *to, uint32_t *out,
		 struct error *err);

#endif
