/*
 * The drives of a salvage: where their clusters go, which were recovered, and which donors may
 * still give.
 */
#ifndef ARCHIVE_RECOVERY_H
#define ARCHIVE_RECOVERY_H

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
	const char *uuid;      /* of the archive to look for, as text; NULL: the first found */
};

#define WANTED_MAX (1u << 19) /* clusters that can be asked of donors: 16 MiB of memory */

/* A cluster that is lost, though its checksum is known. */
struct wanted {
	uint64_t cluster;
	uint32_t drive;
	uint8_t checksum[CHECKSUM_SIZE];
};

struct recovery_drive {
	struct target *target; /* owned; NULL: not asked for */
	struct cluster_map map;
	char *map_path; /* owned; NULL: no map is to be written */
	uint64_t donated_bytes;
};

struct recovery {
	const struct archive *archive; /* borrowed */
	struct restore_plan plan;
	struct recovery_drive *drives; /* owned; one for each of the archive */
	struct wanted *wanted;	       /* owned; NULL: there are no donors */
	uint32_t n_wanted;
	uint64_t n_unwanted; /* lost clusters that found no room among the wanted */
	struct reader_counts counts;
};

/* Bytes of a drive by state, and how many ranges are lost. */
struct recovery_sums {
	uint64_t bytes[CLUSTER_ABSENT + 1];
	uint64_t n_lost;
};

/* Chooses paths. *out can be closed even after a failure. */
int recovery_open(struct recovery *out, const struct archive *archive,
		  const struct rescue_options *options, const struct watcher *watcher,
		  struct error *err);
/* When the head is lost: drives of which no cluster was found are not recovered. */
void recovery_leave_out_unseen(struct recovery *recovery);
/* Opens a target for each drive. All of them must be new: existing files are refused. */
int recovery_open_targets(struct recovery *recovery, const struct rescue_options *options,
			  struct error *err);
/* done: files that have their names stay; else a folder that was made is removed. */
void recovery_close(struct recovery *recovery, bool done);

struct salvage_sink recovery_sink(struct recovery *recovery);
/* Writes a cluster that has the checksum wanted. */
int recovery_give(struct recovery *recovery, const struct wanted *wanted, const uint8_t *cluster,
		  struct error *err);
/* Sorts the wanted clusters by drive and cluster, and drops those that were recovered since. */
void recovery_sort_wanted(struct recovery *recovery);
struct wanted *recovery_find_wanted(const struct recovery *recovery, uint32_t drive,
				    uint64_t cluster);

void recovery_sum(const struct recovery *recovery, uint32_t drive, struct recovery_sums *out);
/* The first lost range at or after byte *offset: sets *offset and *size. False: there is none. */
bool recovery_next_lost(const struct recovery *recovery, uint32_t drive, uint64_t *offset,
			uint64_t *size);
/* Configs, maps and drives get their names. */
int recovery_finish(struct recovery *recovery, const struct rescue_options *options,
		    struct error *err);

#endif
