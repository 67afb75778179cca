/*
 * One buffer, for tests that look at single cases. Each file that includes this has its own.
 */
#ifndef TESTS_ONE_BUFFER_H
#define TESTS_ONE_BUFFER_H

#include "cow/buffer.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <string.h>

static struct buffer *buffer;
static struct error err;

static inline void make(uint32_t n_chunks, uint64_t spill_clusters, enum when_full when_full)
{
	const struct buffer_options options = {
		.n_chunks = n_chunks,
		.spill_bytes = spill_clusters * CLUSTER_SIZE,
		.spill_dir = scratch("."),
		.when_full = when_full,
	};

	buffer = NULL;
	memset(&err, 0, sizeof err);
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
}

/* A cluster that is all of the number's lowest byte. */
static inline int put(uint64_t cluster)
{
	struct buffer_room room;
	struct error mine;
	int rc = buffer_put(buffer, &room, true, &mine);

	if (rc == 0) {
		memset(room.bytes, (int)(cluster & 0xff), CLUSTER_SIZE);
		buffer_commit(buffer, &room, 1, cluster);
	}
	return rc;
}

static inline bool is_cluster(const struct chunk *chunk, uint32_t i, uint64_t cluster)
{
	const uint8_t *bytes = chunk->bytes + (size_t)i * CLUSTER_SIZE;

	return chunk->clusters[i].drive == 1 && chunk->clusters[i].cluster == cluster &&
	       bytes[0] == (cluster & 0xff) && memcmp(bytes, bytes + 1, CLUSTER_SIZE - 1) == 0;
}

static inline struct chunk *next(void)
{
	struct chunk *chunk = NULL;

	return buffer_next(buffer, &chunk, BUFFER_NOW, &err) == 1 ? chunk : NULL;
}

static inline void put_some(uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(put(first + i), 0);
}

#endif
