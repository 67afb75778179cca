/*
 * Recovers every cluster of a damaged archive that can be proved good.
 *
 * spec/vmab.md section 8 has the rules. For one thread at a time.
 */
#ifndef READER_SALVAGE_H
#define READER_SALVAGE_H

#include "base/clusterset.h"
#include "format/format.h"

#include <stdatomic.h>

struct input;
struct salvage;

enum salvage_head {
	SALVAGE_HEAD_FOUND,
	SALVAGE_HEAD_LOST, /* sizes and names of drives are guesses: see salvage_survey */
};

enum salvage_state {
	SALVAGE_GOOD,	    /* its checksum matches; or zeros, from an intact header */
	SALVAGE_UNVERIFIED, /* the archive has no checksum for it */
	SALVAGE_BAD,	    /* slot found, data lost; the slot has the checksum, if there is one */
	SALVAGE_NAMED,	    /* an index says that the archive holds it; incremental archives only */
};

/* Called for each slot of each extent with an intact header, and for each run that an index names;
 * clusters may come twice. cluster: CLUSTER_SIZE bytes, or NULL for zeros and for BAD and NAMED
 * ones. An error ends the run. */
struct salvage_sink {
	void *context;
	int (*put)(void *context, const struct slot *slot, enum salvage_state state,
		   const uint8_t *cluster, struct error *err);
};

struct salvage_totals {
	uint64_t n_sections;	/* sections and extents with intact headers */
	uint64_t n_damaged;	/* of these, with a damaged payload */
	uint64_t passed_bytes;	/* skipped between sections */
	uint64_t archive_bytes; /* in total, after a compression around the archive is undone */
	uint64_t n_expected;	/* sections of the archive, from its tail; 0: no tail */
	uint64_t n_clusters;	/* that it holds, from its tail */
};

/* Finds the first intact head, section or extent of the archive with this uuid or, if that is NULL,
 * of any archive; from then on only that archive counts. ERR_DAMAGED when there is none. The input
 * is borrowed until the next salvage_again. *out is NULL, or from an earlier call, whose memory (60
 * MiB, mostly untouched) is then reused. Free it even after an error. */
int salvage_open(struct salvage **out, struct input *in, const uint8_t *uuid, struct error *err);
void salvage_free(struct salvage *salvage);

/* When there is no head at the beginning: reads the whole input to find one, or its copy. If there
 * is none, the drives are those that extents name, called driveN, each as large as its last cluster
 * requires. Call salvage_again next, with the input from its beginning. */
int salvage_survey(struct salvage *salvage, struct error *err);
void salvage_again(struct salvage *salvage, struct input *in);

enum salvage_head salvage_head(const struct salvage *salvage);
/* The position of the head, or of the first section found. */
uint64_t salvage_begin(const struct salvage *salvage);
const struct archive *salvage_archive(const struct salvage *salvage);
const struct salvage_totals *salvage_totals(const struct salvage *salvage);

/* Bytes read so far, for a progress display. */
_Atomic uint64_t *salvage_read_at(struct salvage *salvage);

/* Reads to the end. A read error counts as the end; *ended then has it, else its code is 0. Returns
 * only errors of the sink. */
int salvage_run(struct salvage *salvage, const struct salvage_sink *sink, struct error *ended,
		struct error *err);

/* ---- recovered clusters of a drive ---- */

enum cluster_state {
	CLUSTER_LOST,
	CLUSTER_GOOD,
	CLUSTER_UNPROVED,
	CLUSTER_ABSENT, /* an incremental archive, which may never have held it */
};

/* The clusters of a drive. */
struct cluster_map {
	uint64_t n_clusters;
	bool incremental;
	struct cluster_set recovered; /* owned */
	struct cluster_set unproved;  /* owned; of the recovered ones */
	struct cluster_set named;     /* owned; incremental: the archive held them */
};

void cluster_map_open(struct cluster_map *out, uint64_t n_clusters, const struct archive *archive);
void cluster_map_close(struct cluster_map *map);
bool cluster_map_has(const struct cluster_map *map, uint64_t cluster);
int cluster_map_put(struct cluster_map *map, const struct slot *slot, enum salvage_state state,
		    struct error *err);
/* The length of the run of clusters of one state that begins at cluster; 0 at the end. */
uint64_t cluster_map_run(const struct cluster_map *map, uint64_t cluster,
			 enum cluster_state *state);

#endif
