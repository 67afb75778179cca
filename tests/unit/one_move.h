/*
 * A kind of machine whose only drive is a map in memory, for checkpoints that move. Wrong calls
 * end the program.
 */
#ifndef TESTS_UNIT_ONE_MOVE_H
#define TESTS_UNIT_ONE_MOVE_H

#include "cow/generation.h"
#include "machine/moves.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct checkpoint_source {
	struct generation *map;
	struct arrival *arrival;
	uint64_t size_bytes;
	bool still;
	uint64_t last_ns;
};

static inline int one_outline(struct checkpoint_source *source, uint32_t i, const char *name,
			      struct outline *out, struct error *err)
{
	(void)i;
	(void)err;
	*out = (struct outline){.size_bytes = source->size_bytes,
				.still = source->still,
				.last_ns = source->last_ns,
				.drive = "a"};
	if (!checkpoints_find(generation_checkpoints(source->map), name, &out->line))
		return 0;
	out->n_changed = generation_count(source->map, out->line.generation);
	if (out->line.origin_id == 0) {
		out->line.origin_id = generation_id(source->map);
		out->line.origin_generation = out->line.generation;
	}
	return 1;
}

static inline int one_bits(struct checkpoint_source *source, uint32_t i, const char *name,
			   uint64_t cluster, uint64_t n, uint8_t *to, bool *any, struct error *err)
{
	struct checkpoint line;

	(void)i;
	(void)err;
	if (!checkpoints_find(generation_checkpoints(source->map), name, &line))
		abort();
	generation_bits(source->map, line.generation, cluster, to, n);
	*any = true;
	return 0;
}

static inline int one_begin(struct checkpoint_source *source, uint32_t i,
			    const struct outline *outline, uint32_t chunk_bytes, struct error *err)
{
	(void)i;
	return arrival_begin(&source->arrival, source->map, outline, chunk_bytes, err);
}

static inline int one_has(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t *n,
			  bool *has, struct error *err)
{
	(void)i;
	(void)err;
	if (source->arrival == NULL || chunk >= arrival_n_chunks(source->arrival))
		abort();
	*has = arrival_has(source->arrival, chunk, n);
	return 0;
}

static inline int one_take(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t n,
			   const uint8_t *bits, uint32_t n_bytes, struct error *err)
{
	(void)i;
	return arrival_take(source->arrival, chunk, n, bits, n_bytes, err);
}

static inline int one_end(struct checkpoint_source *source, uint32_t i,
			  const struct outline *outline, bool trust, struct error *err)
{
	(void)i;
	return arrival_end(source->arrival, outline, trust, err);
}

static const struct checkpoint_moves one_moves = {.outline = one_outline,
						  .bits = one_bits,
						  .begin = one_begin,
						  .has = one_has,
						  .take = one_take,
						  .end = one_end};
static const struct checkpoint_kind one_kind = {.moves = &one_moves};

/* The list that goes with it; lines are left out. */
static struct checkpoint_drive one_drive = {.name = "a"};
static struct checkpoint_list one_list = {.drives = &one_drive, .n_drives = 1};

static inline struct move_end one_end_of(struct checkpoint_source *source)
{
	one_drive.size_bytes = source->size_bytes;
	return (struct move_end){&one_kind, source, &one_list};
}

static inline int one_import(struct checkpoint_source *to, const void *bytes, size_t n, bool trust,
			     struct error *err)
{
	struct move_machine machine = {.to = one_end_of(to), .trust = trust};
	struct move_counts counts;
	int fd = memfd_create("stream", MFD_CLOEXEC), code;

	*err = (struct error){0};
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	code = moves_receive(fd, "stream", -1, &machine, &counts, err);
	move_machine_free(&machine);
	close(fd);
	return code;
}

/* Whether the map has that checkpoint, and it is good. */
static inline bool one_is_good(const struct checkpoint_source *source, const char *name)
{
	struct checkpoint found;

	return checkpoints_find(generation_checkpoints(source->map), name, &found) && found.good;
}

static inline void one_free(struct checkpoint_source *source)
{
	struct error ignored;

	arrival_free(source->arrival);
	generation_close(source->map, &ignored);
	*source = (struct checkpoint_source){0};
}

#endif
