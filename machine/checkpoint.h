/*
 * The checkpoints of a machine: names for instants, by which it can tell what changed since. Each
 * kind of machine has its own way to keep them (struct checkpoint_kind); what is asked of them is
 * the same for all.
 */
#ifndef MACHINE_CHECKPOINT_H
#define MACHINE_CHECKPOINT_H

#include "base/name.h"
#include "cow/arrival.h"
#include "cow/checkpoints.h"
#include "machine/options.h"

struct cluster_set;
struct machine_since;
struct machine_taker;
struct watcher;

/* One of a drive. Of struct checkpoint, generation has no meaning here. */
struct checkpoint_line {
	struct checkpoint it;
	uint64_t changed_bytes; /* since then */
	/* Not good: what a map has left whose file is not known. Its instant is not known either.
	 */
	bool orphan;
	/* Not good: no drive has the record any more that it was an instant of. */
	bool broken;
};

struct checkpoint_drive {
	char name[NAME_MAX_LENGTH + 1];
	uint64_t size_bytes;
	struct checkpoint_line *lines; /* owned; the oldest first */
	uint32_t n_lines;
};

struct checkpoint_list {
	struct checkpoint_drive *drives; /* owned */
	uint32_t n_drives;
};

struct checkpoint_source;

/* How checkpoints get into other maps, and from there: spec/moves.md. i: of the list. */
struct checkpoint_moves {
	/* 1: told; 0: the drive has none of that name. */
	int (*outline)(struct checkpoint_source *source, uint32_t i, const char *name,
		       struct outline *out, struct error *err);
	/* After that: bits of n clusters from a multiple of 8 on, at most 8 * 65536. *any: some are
	 * set; else bits is left alone. */
	int (*bits)(struct checkpoint_source *source, uint32_t i, const char *name,
		    uint64_t cluster, uint64_t n, uint8_t *bits, bool *any, struct error *err);
	/* As arrival.h has it; NULL: nothing can come here. */
	int (*begin)(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
		     uint32_t chunk_bytes, struct error *err);
	int (*has)(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t *n,
		   bool *has, struct error *err);
	int (*take)(struct checkpoint_source *source, uint32_t i, uint64_t chunk, uint64_t n,
		    const uint8_t *bits, uint32_t n_bytes, struct error *err);
	int (*end)(struct checkpoint_source *source, uint32_t i, const struct outline *outline,
		   bool trust, struct error *err);
};

/* How an archive becomes a checkpoint afterwards: all of the drive is compared with it while it is
 * written to, and what differs arrives as from another map: spec/map.md, section 4.8. */
struct checkpoint_rebuild {
	/* From here until close nobody else takes an instant, and every write is recorded. since:
	 * the archive's uuid as parent, and its tokens; borrowed. Into known, of each drive of the
	 * list: whether it is known already what changed since. */
	int (*begin)(struct checkpoint_source *source, const struct machine_since *since,
		     bool *known, struct error *err);
	/* As machine_kind's, in either case. NULL: this drive is not recorded. */
	const char *(*token)(const struct checkpoint_source *source, uint32_t i);
	int (*look)(struct checkpoint_source *source, uint32_t i, const struct cluster_set *set,
		    const struct machine_taker *taker, struct error *err);
};

struct checkpoint_kind {
	/* options: place, and those that freeze. */
	int (*open)(struct checkpoint_source **out, const struct machine_options *options,
		    const struct watcher *watcher, struct error *err);
	/* Free *out even after an error. */
	int (*list)(struct checkpoint_source *source, struct checkpoint_list *out,
		    struct error *err);
	/* An instant of all drives, with the machine frozen if that is asked for. NULL: it cannot.
	 */
	int (*create)(struct checkpoint_source *source, const char *name, struct error *err);
	/* From all drives. */
	int (*remove)(struct checkpoint_source *source, const char *name, struct error *err);
	const struct checkpoint_moves *moves;		 /* NULL: none */
	const struct checkpoint_rebuild *rebuild;	 /* NULL: none */
	void (*close)(struct checkpoint_source *source); /* NULL-safe */
};

extern const struct checkpoint_kind checkpoint_qemu;	/* whose changes are tracked */
extern const struct checkpoint_kind checkpoint_serve;	/* vmabak serve */
extern const struct checkpoint_kind checkpoint_libvirt; /* only if built with it */
extern const struct checkpoint_kind checkpoint_map;	/* the file of a map that is not in use */

void checkpoint_list_free(struct checkpoint_list *list);
/* Those that came from another map were added to the table when they came: by their instants. */
void checkpoint_sort(struct checkpoint_drive *drive);
/* NULL: the drive has none of that name. */
const struct checkpoint_line *checkpoint_of(const struct checkpoint_drive *drive, const char *name);
/* The latest good one of any drive, of the same instant the one that comes last; NULL: there is
 * none. of_backup: that an archive has. */
const struct checkpoint_line *checkpoint_latest(const struct checkpoint_list *list, bool of_backup);
bool checkpoint_is_of_backup(const struct checkpoint_line *line);
/* How large an archive of so many bytes that changed is likely to be, going by the latest backup.
 * False: none tells. */
bool checkpoint_estimate(const struct checkpoint_list *list, uint64_t changed_bytes, uint64_t *out);

#endif
