/*
 * A checkpoint on its way to another map, as bytes: spec/moves.md. Records are taken apart and put
 * together here; nothing is read or written.
 */
#ifndef COW_MAPSTREAM_H
#define COW_MAPSTREAM_H

#include "cow/arrival.h"

#define MAPSTREAM_HEAD	      16u /* of a stream, and of each record */
#define MAPSTREAM_PAYLOAD_MAX 65600u
#define MAPSTREAM_RECORD_MAX  (MAPSTREAM_HEAD + MAPSTREAM_PAYLOAD_MAX)
#define MAPSTREAM_RUNS_MAX    4000u /* in one answer */
#define MAPSTREAM_AHEAD	      512u  /* records without an answer */
#define MAPSTREAM_DRIVES_MAX  65535u

enum mapstream_kind {
	MAPSTREAM_DRIVE = 1,
	MAPSTREAM_CHUNKS,
	MAPSTREAM_END,
	MAPSTREAM_DONE,
	MAPSTREAM_HAVE,
	MAPSTREAM_TAKEN,
	MAPSTREAM_RESULT,
};

struct mapstream_run {
	uint64_t chunk, n;
};

/* What is there of it depends on the kind. */
struct mapstream_record {
	enum mapstream_kind kind;
	uint32_t drive;		/* DONE: how many there were */
	struct outline outline; /* DRIVE: but for still and last_ns; END: these, and n_changed */
	uint32_t chunk_bytes;	/* DRIVE */
	uint64_t chunk, n;	/* CHUNKS, TAKEN */
	const uint8_t *bits;	/* CHUNKS; borrowed from the bytes; NULL: no bit is set */
	uint32_t n_bytes;
	uint32_t n_runs;     /* HAVE */
	const uint8_t *runs; /* the same; mapstream_run has them */
	int code;	     /* RESULT: 0 or enum code */
	char text[400];
};

void mapstream_put_head(uint8_t to[MAPSTREAM_HEAD], uint64_t stream_id);
/* ERR_DAMAGED: it is none. */
int mapstream_get_head(const uint8_t from[MAPSTREAM_HEAD], uint64_t *stream_id, struct error *err);

/* Returns the length of the record, at most MAPSTREAM_RECORD_MAX. runs: of HAVE. */
uint32_t mapstream_put(uint8_t *to, uint64_t stream_id, const struct mapstream_record *record,
		       const struct mapstream_run *runs);
/* The length of what follows a record's head, which is not checked yet. ERR_DAMAGED: too long. */
int mapstream_length(const uint8_t head[MAPSTREAM_HEAD], uint32_t *n, struct error *err);
/* A whole record, of n bytes. */
int mapstream_get(struct mapstream_record *out, const uint8_t *from, uint32_t n, uint64_t stream_id,
		  struct error *err);
struct mapstream_run mapstream_run(const struct mapstream_record *record, uint32_t i);

#endif
