/*
 * The grain of the data, which all parts agree on.
 */
#ifndef BASE_GRAIN_H
#define BASE_GRAIN_H

#include <assert.h>
#include <stdint.h>

#define BLOCK_SIZE     4096u  /* the grain at which zeros are left out */
#define CLUSTER_SIZE   65536u /* the unit of capture and of checksums */
#define CLUSTER_BLOCKS 16u    /* blocks in a cluster */
static_assert(CLUSTER_BLOCKS * BLOCK_SIZE == CLUSTER_SIZE, "whole blocks");

/* Clusters in a drive of size_bytes; the last one may be partial. */
static inline uint64_t clusters_of(uint64_t size_bytes)
{
	return size_bytes / CLUSTER_SIZE + (size_bytes % CLUSTER_SIZE != 0);
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#define UUID_SIZE 16u /* bytes */

#endif
