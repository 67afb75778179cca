/*
 * Checkpoints: names for instants at which generations of a map ended. A backup adds one that is
 * pending, and makes it good once its archive is durable; a failed one drops it. A line that is of
 * an archive stays without its name when it is dropped or deleted. Source: spec/map.md, section 4.
 *
 * All functions: any thread; those that change something wait for the disk. Whatever becomes of the
 * map's file, the table in memory is right.
 */
#ifndef COW_CHECKPOINTS_H
#define COW_CHECKPOINTS_H

#include "base/error.h"
#include "base/grain.h"

#define CHECKPOINT_NAME_SIZE 128u /* the NUL included */
#define CHECKPOINTS_MAX	     1023u

struct checkpoints; /* of a map: generation_checkpoints */

struct checkpoint {
	char name[CHECKPOINT_NAME_SIZE];
	uint8_t uuid[UUID_SIZE]; /* of the archive; all zero: a user made it */
	uint64_t instant_ns;	 /* since 1970 */
	uint16_t generation;	 /* that ended; of one from another map it may be 0 */
	bool good;
	bool incomplete; /* and not good: the rest of it is still to come from another map */
	bool passed;	 /* it has no name any more, and is none to be asked for */
	/* The map that it came from, and what ended there; 0: it is one of this map. */
	uint64_t origin_id;
	uint16_t origin_generation;
	/* Of the archive: clusters with data that were read for it, and its own size; 0: unknown.
	 */
	uint64_t raw_bytes, written_bytes;
};

/* At most 127 bytes, and not as the bitmaps of single generations are called. */
#define CHECKPOINT_NAME_RULE                                                                  \
	"a name has at most 127 letters, digits and _.+@%%:-, begins with a letter, a digit " \
	"or _, and not with since-"
bool checkpoint_name_usable(const char *name);

/* All of them that have names, the oldest first; *out is owned, and NULL if there are none. */
int checkpoints_list(struct checkpoints *checkpoints, struct checkpoint **out, uint32_t *n,
		     struct error *err);
/* The n-th that is good. False: there are fewer. */
bool checkpoints_good(struct checkpoints *checkpoints, uint32_t n, struct checkpoint *out);
bool checkpoints_find(struct checkpoints *checkpoints, const char *name, struct checkpoint *out);
/* The one that came from another map, where that generation ended then. False: there is none. */
bool checkpoints_of_origin(struct checkpoints *checkpoints, uint64_t id, uint16_t generation,
			   struct checkpoint *out);
/* Whether the instant at which that generation ended was that archive's, be it that its checkpoint
 * was deleted since, or never became good. If not, the map was returned to an earlier state after
 * it, or was copied. Of an instant that is older than all of a full table nothing is known: true.
 */
bool checkpoints_confirm(struct checkpoints *checkpoints, uint16_t generation,
			 const uint8_t uuid[UUID_SIZE]);
/* If the table is full, the oldest good one of a backup gives way, but those that have passed do
 * first. ERR_USAGE: the name is taken, or no name; ERR_SYSTEM: full. */
int checkpoints_add(struct checkpoints *checkpoints, const struct checkpoint *line,
		    struct error *err);
/* Its archive is durable, and has so many bytes. ERR_USAGE: there is none of that name. */
int checkpoints_commit(struct checkpoints *checkpoints, const char *name, uint64_t raw_bytes,
		       uint64_t written_bytes, struct error *err);
/* The rest of it has come. ERR_USAGE: there is none of that name. */
int checkpoints_complete(struct checkpoints *checkpoints, const char *name, struct error *err);
int checkpoints_delete(struct checkpoints *checkpoints, const char *name, struct error *err);
/* Nothing works on them any more. Incomplete ones stay. */
void checkpoints_drop_pending(struct checkpoints *checkpoints);

#endif
