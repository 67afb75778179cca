/*
 * What of a folder's short listing by grub-fstest is not in the long one. Private to device/.
 */
#ifndef DEVICE_GRUB_UNREAD_H
#define DEVICE_GRUB_UNREAD_H

#include "device/entry.h"

/* listing: "NAME NAME/ ", where names may have blanks and line feeds; entries: of the long one, in
 * the same order. *out: the names that are not among them, in one text; owned; NULL: none.
 * *n_looks: how many places were compared, at most 64 for each entry. 0 or ENOMEM. */
int grub_unread(const char *listing, const struct entries *entries, char **out, uint64_t *n_looks);

#endif
