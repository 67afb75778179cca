/*
 * Private to machine/qemu/track*.c.
 */
#ifndef MACHINE_QEMU_TRACK_PARTS_H
#define MACHINE_QEMU_TRACK_PARTS_H

#include "base/clusterset.h"
#include "cow/checkpoints.h"
#include "cow/generation.h"
#include "machine/machine.h"
#include "machine/qemu/bitmaps.h"
#include "machine/qemu/inventory.h"
#include "machine/qemu/qemu.h"
#include "machine/state.h"

struct checkpoint_drive;
struct qmp;

struct tracked {
	struct generation *map; /* NULL: the drive cannot be tracked */
	const char *node;	/* borrowed, as name */
	const char *name;
	uint64_t size_bytes;
	char token[GENERATION_TOKEN_SIZE]; /* of the instant to come */
	bool untracked;			   /* QEMU refused */
	bool recording;	   /* since the map's current generation began, so the map can go on */
	bool stopped;	   /* the bitmap of that generation, which is not in the map yet */
	bool persistent;   /* its bitmaps outlive QEMU */
	char why[120];	   /* why the map began anew in this run, or empty */
	uint64_t lost[2];  /* ids of maps that do not count any more, or 0 */
	uint64_t wrong_id; /* of the map that was found wrong after the instant, or 0 */
	uint16_t wrong_generation; /* of its bitmap that records */
	bool noted;		   /* the map has a checkpoint of the archive */
	bool since;		   /* changes since an instant are asked for, and known */
	uint16_t since_generation;
	struct cluster_set set; /* once the instant is over: these changes */
	char refusal[200];	/* why they are not known */
};

struct track {
	struct qemu *qemu;
	bool looks; /* at what is there, and makes nothing */
	struct state state;
	unsigned n;
	struct tracked *drives; /* owned */
	struct checkpoint line; /* of the archive, but for the generation; without a name: none */
	bool *parts;		/* owned; of a push: which drives it copies in part. Or NULL */
};

/* Finds out whether the map can go on, and takes over what a dead run left. nodes: as nodes_query
 * gave them. */
int tracked_heal(struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		 struct error *err);
/* Takes the bitmap of the map's current generation into the map, and ends the generation. 1: done;
 * 0: the bitmap does not tell all, and the map has begun anew. */
int tracked_fold(struct tracked *one, struct qmp *qmp, struct error *err);
/* What QEMU has recorded in the map's current generation, into an empty set. 1: done; 0: the bitmap
 * does not tell all, and the map has begun anew. */
int tracked_current(struct tracked *one, struct qmp *qmp, struct cluster_set *out,
		    struct error *err);
/* Whether what changed since the instant of that name, of that archive, is known: into *one. */
void tracked_ask(struct tracked *one, const char *token, const uint8_t *parent);
/* ERR_USAGE: the drive has no checkpoint of that name, or none that is good. */
int tracked_find_named(const struct tracked *one, const char *name, struct checkpoint *out,
		       struct error *err);
/* As tracked_ask, since that one. ERR_SYSTEM: it is not known. */
int tracked_ask_named(struct tracked *one, const char *name, struct error *err);
/* Begins the map anew. */
void tracked_restart(struct tracked *one, const char *why);
/* The bitmap of a map that was found wrong after the instant becomes that of the new one. */
int tracked_rename(struct tracked *one, struct qmp *qmp, struct error *err);
/* Posts commands that remove all bitmaps but those that record, or have what the map lacks. */
int tracked_tidy(const struct tracked *one, struct qmp *qmp, const struct json_t *nodes,
		 struct error *err);
/* What the map has since that generation ended, into an empty set. */
int tracked_since(const struct tracked *one, uint16_t generation, struct cluster_set *out,
		  struct error *err);

/* Adds the orphans of a drive to its lines. */
int tracked_orphans(const struct track *track, uint32_t i, struct checkpoint_drive *out,
		    struct error *err);
/* 1: they are gone; 0: there are none of that name. */
int track_forget_orphans(const struct track *track, const char *name, struct error *err);

#endif
