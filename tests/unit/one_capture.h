/*
 * One capture of one drive, for tests that look at single cases. Each file that includes this has
 * its own.
 */
#ifndef TESTS_ONE_CAPTURE_H
#define TESTS_ONE_CAPTURE_H

#include "cow/capture.h"
#include "tests/unit/fake_drive.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct capture_options plain;
static struct fake_drive fake;
static struct volume *volume;
static struct buffer *buffer;
static struct capture *capture;
static struct error err;

static uint8_t bytes[CLUSTER_SIZE];

/* A drive of n clusters, full of data. */
static inline void make_volume(uint64_t n_clusters)
{
	fake_make(&fake, n_clusters * CLUSTER_SIZE);
	uint8_t *data = malloc(n_clusters * CLUSTER_SIZE);
	scratch_fill(data, n_clusters * CLUSTER_SIZE, 1);
	fake_fill(&fake, 0, n_clusters * CLUSTER_SIZE, data);
	free(data);
	CU_ASSERT_EQUAL_FATAL(volume_new(&volume, "v", &fake.drive, NULL, &err), 0);
}

static inline void free_volume(void)
{
	volume_free(volume);
	fake_free(&fake);
}

static inline void begin(uint64_t spill_bytes, enum when_full when_full)
{
	const struct buffer_options options = {.n_chunks = 4,
					       .spill_bytes = spill_bytes,
					       .spill_dir = "/tmp",
					       .when_full = when_full};

	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	CU_ASSERT_EQUAL_FATAL(capture_begin(&capture, &volume, 1, buffer, &plain, &err), 0);
	fake.counting = true;
}

static inline void end(void)
{
	capture_end(capture);
	buffer_free(buffer);
	fake.counting = false;
}

/* The writer's side: takes all that there is. As buffer_next. */
static inline int empty_buffer(uint64_t *n_clusters)
{
	struct chunk *chunk;
	int rc;

	while ((rc = buffer_next(buffer, &chunk, BUFFER_NOW, &err)) == 1) {
		*n_clusters += chunk->n_clusters;
		for (uint32_t i = 0; i < chunk->n_zeros; i++)
			*n_clusters += chunk->zeros[i].n_clusters;
		buffer_release(buffer, chunk);
	}
	return rc;
}

/* Runs the pass and the writer in turn until all is saved; whether nothing was left out. */
static inline bool complete(void)
{
	uint64_t n = 0;
	int rc;

	while ((rc = capture_step(capture, &err)) > 0)
		empty_buffer(&n);
	return rc == 0 && empty_buffer(&n) == 0 && n == clusters_of(fake.drive.size_bytes);
}

static inline struct capture_status status_now(void)
{
	struct capture_status status;

	capture_status(capture, &status);
	return status;
}

static inline int write_cluster(uint64_t cluster, unsigned flags)
{
	return volume_write(volume, cluster * CLUSTER_SIZE, bytes, CLUSTER_SIZE, flags);
}

static inline void *write_it(void *context)
{
	return (void *)(intptr_t)write_cluster(*(uint64_t *)context, 0);
}

static inline bool is_over(pthread_t thread, long after_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += after_ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

#endif
