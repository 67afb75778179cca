#include "cow/arrival.h"

#include "base/bits.h"
#include "cow/generation.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct arrival {
	struct generation *map; /* borrowed */
	uint64_t map_id;	/* that it had */
	struct checkpoint line;
	uint16_t generation; /* that its line has here: marks get a number above it */
	uint64_t n_clusters, n_changed;
	uint32_t chunk_bytes;
	uint64_t n_chunks;
	pthread_mutex_t lock; /* guards the rest */
	uint64_t *has;	      /* a bit each chunk; owned */
	uint64_t n_has, n_set;
};

/* ---- beginning ---- */

static int check_outline(const struct outline *outline, uint32_t chunk_bytes, struct error *err)
{
	const struct checkpoint *line = &outline->line;

	if (chunk_bytes < ARRIVAL_CHUNK_MIN || chunk_bytes > ARRIVAL_CHUNK_MAX ||
	    chunk_bytes % 8 != 0 ||
	    outline->size_bytes / CLUSTER_SIZE / 8 / chunk_bytes >= ARRIVAL_CHUNKS_MAX)
		return fail(err, ERR_UNSUPPORTED, "drive %s: chunks of %u bytes", outline->drive,
			    chunk_bytes);
	if (!checkpoint_name_usable(line->name))
		return fail(err, ERR_DAMAGED, "checkpoint '%.60s': " CHECKPOINT_NAME_RULE,
			    line->name);
	if (line->origin_id == 0 || line->origin_generation == 0)
		return fail(err, ERR_DAMAGED, "checkpoint %s: of no map", line->name);
	return 0;
}

static bool is_same(const struct checkpoint *one, const struct checkpoint *other)
{
	return one->origin_id == other->origin_id &&
	       one->origin_generation == other->origin_generation &&
	       strcmp(one->name, other->name) == 0 &&
	       memcmp(one->uuid, other->uuid, UUID_SIZE) == 0;
}

/* The line, if it is there already; it gets that one's generation. */
static int check_line(const struct generation *map, struct checkpoint *line, bool *there,
		      struct error *err)
{
	struct checkpoints *table = generation_checkpoints(map);
	struct checkpoint found;

	*there = false;
	if (line->origin_id == generation_id(map))
		return fail(err, ERR_USAGE, "checkpoint %s: is one of this very map", line->name);
	if (checkpoints_of_origin(table, line->origin_id, line->origin_generation, &found)) {
		*there = is_same(&found, line);
		line->generation = found.generation;
		return *there ? 0
			      : fail(err, ERR_USAGE,
				     "checkpoint %s: the same instant came before as %s, of "
				     "another "
				     "archive or under another name; delete that first",
				     line->name, found.name);
	}
	return checkpoints_find(table, line->name, &found)
		       ? fail(err, ERR_USAGE, "checkpoint %s: exists already", line->name)
		       : 0;
}

/* All that was ever recorded here is since 0. After a comparison any generation will do that had
 * ended before it: the one by which less is read. */
static int choose_generation(const struct generation *map, const struct outline *outline,
			     uint16_t *out, struct error *err)
{
	uint16_t last = (uint16_t)(outline->compared_generation - 1);

	*out = 0;
	if (outline->compared_id == 0 ||
	    (generation_is_sure(map, 0) && generation_count(map, 0) <= outline->n_changed))
		return 0;
	*out = last;
	return generation_is_sure(map, last)
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "drive %s: could not be flushed, and all of it counts as changed "
			      "since; checkpoint create begins anew, and then this can",
			      outline->drive);
}

static int add_line(struct generation *map, const struct outline *outline, uint16_t *generation,
		    struct error *err)
{
	struct checkpoint own = outline->line;
	bool there;

	TRY(check_line(map, &own, &there, err));
	if (!there) {
		TRY(choose_generation(map, outline, &own.generation, err));
		own.good = false;
		own.incomplete = true;
		TRY(checkpoints_add(generation_checkpoints(map), &own, err));
	}
	*generation = own.generation;
	return 0;
}

static int make(struct arrival **out, struct generation *map, const struct outline *outline,
		uint32_t chunk_bytes, struct error *err)
{
	struct arrival *arrival = calloc(1, sizeof(*arrival));

	if (arrival == NULL)
		return fail_memory(err);
	arrival->map = map;
	arrival->map_id = generation_id(map);
	arrival->line = outline->line;
	arrival->n_clusters = generation_n_clusters(map);
	arrival->n_changed = outline->n_changed;
	arrival->chunk_bytes = chunk_bytes;
	arrival->n_chunks = (arrival->n_clusters + chunk_bytes * 8 - 1) / (chunk_bytes * 8);
	arrival->has = calloc(bits_words(arrival->n_chunks), sizeof(*arrival->has));
	pthread_mutex_init(&arrival->lock, NULL);
	if (arrival->has == NULL) {
		arrival_free(arrival);
		return fail_memory(err);
	}
	*out = arrival;
	return 0;
}

int arrival_begin(struct arrival **arrival, struct generation *map, const struct outline *outline,
		  uint32_t chunk_bytes, struct error *err)
{
	struct arrival *old = *arrival, *fresh = NULL;
	uint16_t generation;

	TRY(check_outline(outline, chunk_bytes, err));
	if (clusters_of(outline->size_bytes) != generation_n_clusters(map))
		return fail(err, ERR_USAGE, "drive %s: has another size here", outline->drive);
	if (outline->compared_id != 0 &&
	    (outline->compared_id != generation_id(map) || outline->compared_generation == 0 ||
	     outline->compared_generation > generation_current(map)))
		return fail(err, ERR_SYSTEM, "drive %s: the map began anew meanwhile",
			    outline->drive);
	TRY(add_line(map, outline, &generation, err));
	if (old != NULL && old->map_id == generation_id(map) &&
	    is_same(&old->line, &outline->line) && old->n_changed == outline->n_changed &&
	    old->chunk_bytes == chunk_bytes && old->generation == generation &&
	    outline->compared_id == 0)
		return 0;
	TRY(make(&fresh, map, outline, chunk_bytes, err));
	fresh->generation = generation;
	arrival_free(old);
	*arrival = fresh;
	return 0;
}

void arrival_free(struct arrival *arrival)
{
	if (arrival == NULL)
		return;
	pthread_mutex_destroy(&arrival->lock);
	free(arrival->has);
	free(arrival);
}

/* ---- chunks ---- */

uint64_t arrival_n_chunks(const struct arrival *arrival)
{
	return arrival->n_chunks;
}

bool arrival_has(struct arrival *arrival, uint64_t chunk, uint64_t *n)
{
	bool has;
	uint64_t end;

	pthread_mutex_lock(&arrival->lock);
	has = (arrival->has[chunk / 64] >> chunk % 64 & 1) != 0;
	end = bits_find(arrival->has, chunk, arrival->n_chunks, !has);
	pthread_mutex_unlock(&arrival->lock);
	*n = end - chunk;
	return has;
}

/* Of clusters that count: none lies behind the drive's end. */
static int count_bits(const uint8_t *bits, uint64_t n_clusters, uint64_t *n, struct error *err)
{
	*n = 0;
	for (uint64_t i = 0; i < (n_clusters + 7) / 8; i++)
		*n += (uint64_t)__builtin_popcount(bits[i]);
	if (n_clusters % 8 != 0 && bits[n_clusters / 8] >> n_clusters % 8 != 0)
		return fail(err, ERR_DAMAGED, "a chunk names clusters behind the drive's end");
	return 0;
}

/* What came before counts once: more cannot have changed there under the same number. */
static void note(struct arrival *arrival, uint64_t chunk, const uint8_t *bits)
{
	uint64_t first = chunk * arrival->chunk_bytes * 8, n = 0;
	struct error ignored;

	if ((arrival->has[chunk / 64] >> chunk % 64 & 1) != 0)
		return;
	if (bits != NULL)
		(void)count_bits(
			bits,
			least(arrival->n_clusters - first, (uint64_t)arrival->chunk_bytes * 8), &n,
			&ignored);
	arrival->n_has += bits_set(arrival->has, chunk, chunk + 1);
	arrival->n_set += n;
}

int arrival_take(struct arrival *arrival, uint64_t chunk, uint64_t n, const uint8_t *bits,
		 uint64_t n_bytes, struct error *err)
{
	uint64_t first, n_clusters, n_set;

	if (n == 0 || chunk >= arrival->n_chunks || n > arrival->n_chunks - chunk)
		return fail(err, ERR_DAMAGED, "chunk %llu: the drive has %llu",
			    (unsigned long long)chunk, (unsigned long long)arrival->n_chunks);
	first = chunk * arrival->chunk_bytes * 8;
	n_clusters = least(n * arrival->chunk_bytes * 8, arrival->n_clusters - first);
	if (bits != NULL && n_bytes != (n_clusters + 7) / 8)
		return fail(err, ERR_DAMAGED, "chunk %llu: has %llu bytes, not %llu",
			    (unsigned long long)chunk, (unsigned long long)n_bytes,
			    (unsigned long long)((n_clusters + 7) / 8));
	if (generation_id(arrival->map) != arrival->map_id)
		return fail(err, ERR_SYSTEM, "the map began anew meanwhile");
	if (bits != NULL) {
		TRY(count_bits(bits, n_clusters, &n_set, err));
		generation_raise(arrival->map, arrival->generation, first, bits, n_clusters);
	}
	pthread_mutex_lock(&arrival->lock);
	for (uint64_t i = 0; i < n; i++)
		note(arrival, chunk + i, bits == NULL ? NULL : bits + i * arrival->chunk_bytes);
	pthread_mutex_unlock(&arrival->lock);
	return 0;
}

/* ---- the end ---- */

static int check_whole(struct arrival *arrival, const struct outline *outline, struct error *err)
{
	uint64_t n_has, n_set;

	pthread_mutex_lock(&arrival->lock);
	n_has = arrival->n_has;
	n_set = arrival->n_set;
	pthread_mutex_unlock(&arrival->lock);
	if (!is_same(&arrival->line, &outline->line))
		return fail(err, ERR_DAMAGED, "the end of another checkpoint");
	if (n_has < arrival->n_chunks)
		return fail(err, ERR_SYSTEM, "%llu of its %llu chunks have not come",
			    (unsigned long long)(arrival->n_chunks - n_has),
			    (unsigned long long)arrival->n_chunks);
	if (outline->n_changed != arrival->n_changed)
		return fail(err, ERR_SYSTEM,
			    "the machine went on writing where it comes from; send it again when "
			    "that is over");
	if (n_set != arrival->n_changed)
		return fail(err, ERR_DAMAGED, "its chunks name %llu clusters, and not %llu",
			    (unsigned long long)n_set, (unsigned long long)arrival->n_changed);
	return 0;
}

static int check_time(const struct arrival *arrival, const struct outline *outline,
		      struct error *err)
{
	uint64_t began_ns = generation_began_ns(arrival->map);

	if (!outline->still)
		return fail(err, ERR_SYSTEM,
			    "the machine can still write where it comes from; send it again when "
			    "that is over");
	if (began_ns != 0 && outline->last_ns != 0 && began_ns <= outline->last_ns)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "nothing shows that this map has recorded since the last request where it "
		    "comes from; if the drive was not written to between, --unwritten says so");
}

static int finish(struct arrival *arrival, const struct outline *outline, bool trust,
		  struct error *err)
{
	TRY(check_whole(arrival, outline, err));
	if (!trust && outline->compared_id == 0)
		TRY(check_time(arrival, outline, err));
	if (outline->compared_id != 0)
		generation_settle(arrival->map);
	if (generation_id(arrival->map) != arrival->map_id)
		return fail(err, ERR_SYSTEM, "the map began anew meanwhile");
	if (outline->compared_id != 0 && !generation_is_sure(arrival->map, arrival->generation))
		return fail(err, ERR_SYSTEM, "the drive could not be flushed");
	return checkpoints_complete(generation_checkpoints(arrival->map), arrival->line.name, err);
}

int arrival_end(struct arrival *arrival, const struct outline *outline, bool trust,
		struct error *err)
{
	struct error why = {0};

	if (finish(arrival, outline, trust, &why) == 0)
		return 0;
	return fail(err, why.code, "drive %s: checkpoint %s stays incomplete: %s", outline->drive,
		    outline->line.name, why.text);
}
