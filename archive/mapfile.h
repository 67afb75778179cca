/*
 * The state of every byte of a drive, as a mapfile of GNU ddrescue.
 */
#ifndef ARCHIVE_MAPFILE_H
#define ARCHIVE_MAPFILE_H

#include "reader/salvage.h"

/* Writes a new file: '+' for good clusters, '?' for unproved ones and for those that an incremental
 * archive may not have held, '-' for lost ones. ERR_USAGE when path exists. */
int mapfile_write(const char *path, const struct cluster_map *map, uint64_t size_bytes, bool sync,
		  struct error *err);

#endif
