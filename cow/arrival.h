/*
 * A checkpoint that arrives from another map of the same drive, while this one records:
 * spec/moves.md, section 3. What changed there comes in chunks, in any order and any number of
 * times, and is added to what is recorded here. Until all of it has come, and the other side is
 * known to have been still meanwhile, the checkpoint is incomplete.
 *
 * An arrival is one drive's. Any thread; a lock guards it. It lives in memory: when it is lost the
 * marks stay, and all chunks are asked for again.
 */
#ifndef COW_ARRIVAL_H
#define COW_ARRIVAL_H

#include "cow/checkpoints.h"

struct generation;

#define ARRIVAL_CHUNK_MIN  64u	  /* bytes of bits */
#define ARRIVAL_CHUNK_MAX  65536u /* the same */
#define ARRIVAL_CHUNKS_MAX (UINT64_C(1) << 28)

/* A checkpoint of a drive, as its map tells it to another one. */
struct outline {
	struct checkpoint line; /* origin_id and origin_generation: always there */
	char drive[256];
	uint64_t size_bytes;
	uint64_t n_changed; /* clusters, since then */
	/* Whether the machine can write to the drive no more, through this map; and when the last
	 * request came, in nanoseconds since 1970, 0: not known. */
	bool still;
	uint64_t last_ns;
	/* Not 0: it does not come from another map, but the drive was compared with an archive
	 * (spec/map.md, section 4.8): the id of this map, and the generation under which it
	 * recorded when that began. */
	uint64_t compared_id;
	uint16_t compared_generation;
};

struct arrival;

/* The checkpoint is incomplete then, and durably so; one that came before and is good stays so.
 * chunk_bytes: of all chunks but the last; a multiple of 8. If *arrival is the one of the same
 * checkpoint, and no more has changed since, it is kept, with what has come already; else it is
 * replaced. ERR_USAGE: it cannot come here. */
int arrival_begin(struct arrival **arrival, struct generation *map, const struct outline *outline,
		  uint32_t chunk_bytes, struct error *err);
void arrival_free(struct arrival *arrival); /* NULL-safe */

uint64_t arrival_n_chunks(const struct arrival *arrival);
/* Whether that chunk has come, and for how many from there on that holds. */
bool arrival_has(struct arrival *arrival, uint64_t chunk, uint64_t *n);

/* n chunks from that one on have come: bits, n_bytes of them; NULL: no cluster of them changed.
 * ERR_DAMAGED: not as many bytes as they have, or clusters that the drive has not. */
int arrival_take(struct arrival *arrival, uint64_t chunk, uint64_t n, const uint8_t *bits,
		 uint64_t n_bytes, struct error *err);
/* All was sent: the checkpoint becomes good, durably, unless something is missing, or the other
 * side changed meanwhile, or this map did not record early enough, which trust, or that it was
 * compared, says is not so.
 * ERR_SYSTEM then: it stays incomplete, and what has come is kept. */
int arrival_end(struct arrival *arrival, const struct outline *outline, bool trust,
		struct error *err);

#endif
