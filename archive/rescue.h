/*
 * The drives of a salvage: where their clusters go, what was had of each, and what donors may still
 * give.
 */
#ifndef ARCHIVE_RESCUE_H
#define ARCHIVE_RESCUE_H

#include "archive/restore_plan.h"

#include "reader/reader.h"
#include "reader/salvage.h"

struct target;
struct watcher;

/* What a user may say about a salvage. */
struct rescue_options {
	struct restore_options restore;
	const char *map;       /* a mapfile of ddrescue, or a folder for several; NULL: none */
	struct strings donors; /* ARCHIVE or NAME=IMAGE */
	const char *uuid;      /* of the archive to look for, as text; NULL: the first met */
};

#define WANTED_MAX (1u << 19) /* clusters that can be asked of donors: 16 MiB of memory */

/* A cluster that is lost, though its checksum is known. */
struct wanted {
	uint64_t cluster;
	uint32_t drive;
	uint8_t checksum[CHECKSUM_SIZE];
};

struct rescue_drive {
	struct target *target; /* owned; NULL: not asked for */
	struct cluster_map map;
	char *map_path; /* owned; NULL: no map is to be written */
	uint64_t donated_bytes;
};

struct rescue {
	const struct archive *archive; /* borrowed */
	struct restore_plan plan;
	struct rescue_drive *drives; /* owned; one for each of the archive */
	struct wanted *wanted;	     /* owned; NULL: there are no donors */
	uint32_t n_wanted;
	uint64_t n_unwanted; /* that found no room in it */
	struct reader_counts counts;
	const char *made_folder; /* borrowed; NULL: it was there */
};

/* Bytes of a drive by what is known of them. */
struct rescue_sums {
	uint64_t bytes[CLUSTER_ABSENT + 1];
	uint64_t n_lost; /* ranges */
};

/* Chooses paths and opens targets. All is new: what exists is refused. *out can be closed whatever
 * comes. made_drives: the head is lost, and drives that were never seen are left out. */
int rescue_open(struct rescue *out, const struct archive *archive, bool made_drives,
		const struct rescue_options *options, const struct watcher *watcher, struct error *err);
/* done: what has its name stays; else a folder that was made goes again. */
void rescue_close(struct rescue *rescue, bool done);

struct salvage_sink rescue_sink(struct rescue *rescue);
/* Takes a cluster that has the checksum wanted. */
int rescue_give(struct rescue *rescue, const struct wanted *wanted, const uint8_t *cluster,
		struct error *err);
/* Those that are wanted, sorted by drive and cluster, each once. */
void rescue_sort_wanted(struct rescue *rescue);
struct wanted *rescue_find_wanted(const struct rescue *rescue, uint32_t drive, uint64_t cluster);

void rescue_sum(const struct rescue *rescue, uint32_t drive, struct rescue_sums *out);
/* Configs, maps and drives get their names. */
int rescue_finish(struct rescue *rescue, const struct rescue_options *options, struct error *err);

#endif
