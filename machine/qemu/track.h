/*
 * What changes in the drives of a running QEMU, backup after backup: --track. Each drive has a
 * generation map in the state folder (machine/state.h), and one bitmap in QEMU that records the
 * map's current generation (bitmaps.h). The order of events:
 *
 *   1. open: the maps. A map whose bitmap does not tell all, for whatever reason, begins anew; a
 *      generation that a run which died has ended is taken over from its bitmap
 *   2. prepare: the bitmap of the next generation is added, and records; for a push, so does one
 *      of the run, which gets what the map and the current bitmap have since the parent's instant
 *   3. the instant. The jobs of a push copy what the bitmaps of the run name then
 *   4. ended: the current generation's bitmap is stopped, and goes into the map. So what is written
 *      between 2 and 4 belongs to both generations, and nothing to none
 *   5. commit: the map's checkpoint of the archive counts
 *   6. close: once the map is on disk the bitmap is removed
 *
 * Killed anywhere, nothing is lost: before 4 the old bitmap still records, and the next one is
 * removed; later the map's generation is the one that the stopped bitmap is for.
 *
 * A bitmap does not follow a drive that was made smaller and larger again, and may have been
 * cleared, or made anew, by someone else. So each has the drive's last cluster from its beginning,
 * and another one has just that, and does not record (bitmap_end_name): where one lacks it, the map
 * begins anew.
 */
#ifndef MACHINE_QEMU_TRACK_H
#define MACHINE_QEMU_TRACK_H

#include "base/clusterset.h"
#include "machine/qemu/jobs.h"

struct checkpoint_drive;
struct machine_archive;
struct machine_changes;
struct machine_since;
struct qemu;
struct track;

/* Of a machine that qemu_open has opened, and that is borrowed. ERR_LOCKED: another run uses the
 * state folder. */
int track_open(struct track **out, struct qemu *qemu, struct error *err);
/* The same to ask only: makes neither folder nor maps. A drive without a map has no checkpoints. */
int track_look(struct track **out, struct qemu *qemu, struct error *err);
/* Before track_open, which makes what is missing: whether the map of every drive has the checkpoint
 * that the options name. ERR_USAGE if not. */
int track_check_named(struct qemu *qemu, struct error *err);
/* The functions below may be called with a track of NULL, and then there is nothing to do. */

/* From here on every write is recorded, without an instant that anybody asks for. A drive that
 * QEMU cannot record has no token then, and the watcher was warned. */
int track_begin(struct track *track, struct error *err);
/* What the drive's instant to come is called; NULL: nothing records it. Borrowed. */
const char *track_token(const struct track *track, uint32_t i);
/* Before the instant. run: of a push, its id; or NULL. */
int track_prepare(struct track *track, const struct machine_since *since, const char *run,
		  struct error *err);
/* For the jobs of a push: of which drives only a part is copied. Borrowed. NULL: of none. */
const bool *track_parts(const struct track *track);
/* After the instant. */
int track_ended(struct track *track, struct error *err);
/* What its push brings at least, and a little more may come; NULL: all. Borrowed. */
const struct cluster_set *track_expected(const struct track *track, uint32_t i);
/* The archive is durable. Returns in how many drives a bitmap records. */
int track_commit(struct track *track, const struct machine_archive *archive, struct error *err);
/* Of a drive, its checkpoints; and as orphans, called vmabak-MAP, what the bitmaps have that are
 * there of other maps than those of the folder. */
int track_list(struct track *track, uint32_t i, struct checkpoint_drive *out, struct error *err);
/* Before prepare: what comes is no archive's instant, but one that a user names. ERR_USAGE: the
 * name is taken, or no name. */
int track_called(struct track *track, const char *name, struct error *err);
/* ERR_USAGE: no drive has a checkpoint, or an orphan, of that name. */
int track_forget(struct track *track, const char *name, struct error *err);

/* Nothing of this is an error of the backup. */
void track_close(struct track *track);

#endif
