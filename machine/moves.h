/*
 * Checkpoints on their way: out of a machine's maps into a sink, which is another machine, a file,
 * a pipe or a program that answers; and from a stream into a machine. Source: spec/moves.md.
 *
 * One thread at a time.
 */
#ifndef MACHINE_MOVES_H
#define MACHINE_MOVES_H

#include "machine/checkpoint.h"

/* A machine that is open, and its list; borrowed. */
struct move_end {
	const struct checkpoint_kind *kind;
	struct checkpoint_source *source;
	const struct checkpoint_list *list;
};

/* Where they go to. Each checkpoint of a drive has a number, from 0 on, and ends before the next
 * one of the same drive begins. */
struct move_sink {
	int (*drive)(void *context, uint32_t number, const struct outline *outline,
		     uint32_t chunk_bytes, struct error *err);
	/* Whether a chunk is there already, and for how many from it on that holds. */
	int (*has)(void *context, uint32_t number, uint64_t chunk, uint64_t *n, bool *has,
		   struct error *err);
	/* bits NULL: none is set. */
	int (*chunks)(void *context, uint32_t number, uint64_t chunk, uint64_t n,
		      const uint8_t *bits, uint32_t n_bytes, struct error *err);
	int (*end)(void *context, uint32_t number, const struct outline *outline,
		   struct error *err);
	int (*done)(void *context, uint32_t n_parts, struct error *err);
	void *context;
	/* Set by the functions when the other side cannot be reached any more. */
	bool lost;
};

struct move_counts {
	uint32_t n_parts;   /* a checkpoint of a drive each */
	uint64_t n_chunks;  /* of all drives */
	uint64_t n_kept;    /* of them, there already */
	uint64_t n_changed; /* clusters */
};

#define MOVE_CHUNK_BYTES 1024u /* as usual */

/* The checkpoint of that name of all drives that have it; NULL: all that are good, the latest
 * first.
 */
int moves_send(const struct move_end *from, const char *name, uint32_t chunk_bytes,
	       struct move_sink *sink, struct move_counts *counts, struct error *err);

/* ---- a machine as a sink ---- */

struct move_machine {
	struct move_end to;
	bool trust;	/* the drive was not written to before it began to record */
	bool is_stored; /* what comes was exported before, perhaps of a map's file */
	uint32_t *
		drive_of; /* owned; by number: in the list; UINT32_MAX: another one came after it */
	uint32_t n;
	struct error refused; /* why a drive's checkpoint stays incomplete; the others go on */
};

/* Made of a struct that holds to and trust. ERR_USAGE: nothing can come there. */
int move_machine_sink(struct move_sink *out, struct move_machine *machine, struct error *err);
void move_machine_free(struct move_machine *machine);

/* ---- of a comparison: moves_compared.c ---- */

/* Drive i gets a checkpoint of which these clusters changed; outline but for their number. */
int moves_compared(const struct move_end *to, uint32_t i, struct outline *outline,
		   const struct cluster_set *changed, struct error *err);

/* ---- a stream as a sink: moves_stream.c ---- */

struct move_stream;

/* Writes to a descriptor; answers: where they are read from, or -1: there are none. */
int move_stream_new(struct move_stream **out, struct move_sink *sink, int fd, int answers,
		    struct error *err);
void move_stream_free(struct move_stream *stream); /* NULL-safe */

/* Whether such a file may be put at that path: nothing is there, or one of these. */
int moves_check_path(const char *path, struct error *err);

/* ---- from a stream: moves_receive.c ---- */

/* Into a machine's sink. answers: a descriptor for them, or -1. name: of messages. What came
 * counts, also when the rest does not come: ERR_INCOMPLETE. */
int moves_receive(int fd, const char *name, int answers, struct move_machine *to,
		  struct move_counts *counts, struct error *err);

#endif
