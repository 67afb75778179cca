/*
 * What is known of each byte of a drive, as a mapfile of GNU ddrescue.
 */
#ifndef ARCHIVE_MAPFILE_H
#define ARCHIVE_MAPFILE_H

#include "reader/salvage.h"

/* Writes a new file: '+' for what is good, '?' for what is there without proof and for what an
 * incremental archive may not have held, '-' for what is lost. ERR_USAGE when path exists. */
int ddrescue_map_write(const char *path, const struct cluster_map *map, uint64_t size_bytes,
		       bool sync, struct error *err);

#endif
