/*
 * What can still be had of an archive that is damaged: every cluster that proves good.
 *
 * spec/vmab.md section 8 has the rules. Not for several threads at once.
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
	SALVAGE_HEAD_LOST, /* sizes and names of drives are made up: see salvage_survey */
};

enum salvage_state {
	SALVAGE_GOOD,	    /* its checksum matches; or zeros, by a header that proves good */
	SALVAGE_UNVERIFIED, /* the archive has no checksum for it */
	SALVAGE_BAD,   /* its slot is there, its data is not: the slot has its checksum, if any */
	SALVAGE_NAMED, /* an index says that the archive holds it; told of incrementals only */
};

/* Called for each slot of each extent whose header proves good, and each run that an index names;
 * clusters may come twice. cluster: CLUSTER_SIZE bytes, or NULL: zeros, or BAD or NAMED. An error
 * ends the run. */
struct salvage_sink {
	void *context;
	int (*put)(void *context, const struct slot *slot, enum salvage_state state,
		   const uint8_t *cluster, struct error *err);
};

/* What went by. */
struct salvage_totals {
	uint64_t n_sections;	/* sections and extents whose headers proved good */
	uint64_t n_damaged;	/* of them with a payload that is not what it was */
	uint64_t passed_bytes;	/* passed over, between sections */
	uint64_t archive_bytes; /* in all, decompressed if it was compressed around */
	uint64_t n_expected;	/* sections that there were, as the tail says; 0: no tail */
};

/* Looks for the first head, section or extent that proves good, of the archive of this uuid or,
 * when that is NULL, of any: its uuid is that of the archive then. ERR_DAMAGED when there is none.
 * The input is borrowed until the next salvage_again. *out is NULL, or of an earlier call: its
 * memory, 60 MiB of which little is touched, is then used again. It is to be freed also after an
 * error. */
int salvage_open(struct salvage **out, struct input *in, const uint8_t *uuid, struct error *err);
void salvage_free(struct salvage *salvage);

/* When the head is not at the beginning: reads all of the input to find it, or its copy; without
 * any the drives are those that extents name, called driveN, and as large as their last cluster
 * says. salvage_again must follow, with the input from its beginning. */
int salvage_survey(struct salvage *salvage, struct error *err);
void salvage_again(struct salvage *salvage, struct input *in);

enum salvage_head salvage_head(const struct salvage *salvage);
/* Position of the head, or of the section that was found first. */
uint64_t salvage_begin(const struct salvage *salvage);
const struct archive *salvage_archive(const struct salvage *salvage);
const struct salvage_totals *salvage_totals(const struct salvage *salvage);

/* Bytes read so far, for a progress display. */
_Atomic uint64_t *salvage_read_at(struct salvage *salvage);

/* Reads on to the end. What cannot be read is where it ends: *ended tells why, if its code is not
 * 0. Returns an error of the sink only. */
int salvage_run(struct salvage *salvage, const struct salvage_sink *sink, struct error *ended,
		struct error *err);

/* ---- what was had of a drive ---- */

enum cluster_state {
	CLUSTER_LOST,
	CLUSTER_GOOD,
	CLUSTER_UNPROVED,
	CLUSTER_ABSENT, /* an incremental archive that may not have held it */
};

/* The clusters of a drive. */
struct cluster_map {
	uint64_t n_clusters;
	bool incremental;
	struct cluster_set had;	     /* owned */
	struct cluster_set unproved; /* owned; of those that were had */
	struct cluster_set named;    /* owned; incremental: the archive held them */
};

void cluster_map_open(struct cluster_map *out, uint64_t n_clusters, const struct archive *archive);
void cluster_map_close(struct cluster_map *map);
bool cluster_map_has(const struct cluster_map *map, uint64_t cluster);
int cluster_map_put(struct cluster_map *map, const struct slot *slot, enum salvage_state state,
		    struct error *err);
/* The run of clusters of one state that begins at cluster; its length, 0 at the end. */
uint64_t cluster_map_run(const struct cluster_map *map, uint64_t cluster,
			 enum cluster_state *state);

#endif
