#include "machine/serve/mirror.h"

#include "base/clock.h"
#include "base/watcher.h"

#include <stdlib.h>

#define NOTE_MS	  10000 /* for the targets to get there */
#define SOON_MS	  3000
#define END_MS	  2000	/* for threads in a request to a target */
#define FIRST_MS  20000 /* while the first copy runs it is noted this often */
#define OFTEN_MS  5000	/* and never more often than this after it */
#define DUE_BYTES (UINT64_C(256) << 20)
#define DUE_PART  64u /* of the drive */

/* ---- one operation at a time ---- */

void mirrors_enter(struct serve_mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	while (mirrors->busy)
		pthread_cond_wait(&mirrors->changed, &mirrors->lock);
	mirrors->busy = true;
	pthread_mutex_unlock(&mirrors->lock);
}

bool mirrors_settle_locked(const struct serve_mirrors *mirrors)
{
	bool any = mirrors->settling;

	for (uint32_t i = 0; i < mirrors->n_drives; i++)
		any |= mirrors->drives[i].settles;
	return any;
}

void mirrors_enter_settled(struct serve_mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	while (mirrors->busy || mirrors_settle_locked(mirrors))
		pthread_cond_wait(&mirrors->changed, &mirrors->lock);
	mirrors->busy = true;
	pthread_mutex_unlock(&mirrors->lock);
}

void mirrors_leave(struct serve_mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	mirrors->busy = false;
	pthread_cond_broadcast(&mirrors->changed);
	pthread_mutex_unlock(&mirrors->lock);
}

bool mirrors_take_turn(struct serve_mirrors *mirrors, struct serve_backup *turn)
{
	*turn = (struct serve_backup){.serve = mirrors->serve, .fd = -1, .brief = true};
	return serve_take_turn(mirrors->serve, turn);
}

const char *mirrors_phase_text(enum mirror_phase phase)
{
	static const char *const texts[] = {
		[MIRROR_NONE] = "none",
		[MIRROR_RUNS] = "running",
		[MIRROR_ABORTED] = "aborted",
		[MIRROR_PIVOTED] = "pivoted",
	};

	return texts[phase];
}

int mirrors_write_state(const struct serve_mirrors *mirrors, struct error *err)
{
	enum mirror_phase phase = mirrors->phase == MIRROR_NONE ? MIRROR_RUNS : mirrors->phase;
	const struct mirror_state state = {
		.path = mirrors->state,
		.phase = mirrors_phase_text(phase),
		.drives = mirrors->drives,
		.n_drives = mirrors->n_drives,
	};

	return mirror_state_write(&state, true, err);
}

/* ---- what targets have ---- */

/* While a backup has the turn no generation is ended: then what is known is a little less. */
static int note_drive(struct serve_mirrors *mirrors, struct mirrored *drive, int64_t until_ms,
		      struct error *err)
{
	struct mirror_instant instant;
	struct serve_backup turn;
	bool mine = mirrors_take_turn(mirrors, &turn);
	int code = mirror_instant(drive->mirror, mine, until_ms, &instant, err);

	if (mine)
		serve_give_turn(mirrors->serve);
	if (code == 0)
		code = mirror_settle(drive->mirror, &instant, until_ms, err);
	return code;
}

static bool is_worth_it(const struct mirrored *drive)
{
	struct mirror_status status;

	if (drive->mirror == NULL || drive->served->map == NULL)
		return false;
	mirror_status(drive->mirror, &status);
	return !status.failed && !status.stalled;
}

/* After the machine went down the map must still tell what the drive has beyond the target, or
 * lacks of what the target has: as with an archive that is complete. */
bool mirrors_settle(struct generation *map, const struct mirror_point *point)
{
	struct error ignored;

	generation_settle(map);
	return generation_failure(map, &ignored) == 0 && generation_id(map) == point->map_id &&
	       generation_is_sure(map, point->generation);
}

void mirrors_note(struct serve_mirrors *mirrors, bool soon)
{
	int64_t until_ms = clock_ms() + (soon ? SOON_MS : NOTE_MS);
	struct mirror_point point;
	struct error err;

	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		struct mirrored *drive = &mirrors->drives[i];

		if (!is_worth_it(drive) || note_drive(mirrors, drive, until_ms, &err) < 0)
			continue;
		mirror_known(drive->mirror, &point);
		pthread_mutex_lock(&mirrors->lock);
		drive->next = point;
		drive->settles = true;
		pthread_cond_broadcast(&mirrors->changed);
		pthread_mutex_unlock(&mirrors->lock);
	}
	mirrors->noted_ms = clock_ms();
}

/* Drives change by starts, which are the keeper's, and by pivots, which wait for this. */
void mirrors_settle_all(struct serve_mirrors *mirrors)
{
	struct mirror_point points[SERVED_MAX];
	bool settles[SERVED_MAX] = {0}, any = false;
	struct error err;

	pthread_mutex_lock(&mirrors->lock);
	mirrors->settling = true;
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		settles[i] = mirrors->drives[i].settles;
		points[i] = mirrors->drives[i].next;
		mirrors->drives[i].settles = false;
	}
	pthread_mutex_unlock(&mirrors->lock);
	for (uint32_t i = 0; i < mirrors->n_drives; i++)
		settles[i] =
			settles[i] && mirrors_settle(mirrors->drives[i].served->map, &points[i]);
	mirrors_enter(mirrors);
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (settles[i])
			mirrors->drives[i].point = points[i];
		any |= settles[i];
	}
	if (any && mirrors_write_state(mirrors, &err) < 0)
		watcher_warn(mirrors->serve->watcher, "mirror: %s", err.text);
	pthread_mutex_lock(&mirrors->lock);
	mirrors->settling = false;
	pthread_mutex_unlock(&mirrors->lock);
	mirrors_leave(mirrors);
}

void mirrors_break(struct serve_mirrors *mirrors)
{
	pthread_mutex_lock(&mirrors->lock);
	for (uint32_t i = 0; mirrors->busy && i < mirrors->n_drives; i++) {
		if (mirrors->drives[i].mirror != NULL)
			mirror_break(mirrors->drives[i].mirror);
	}
	pthread_mutex_unlock(&mirrors->lock);
}

static bool is_due(const struct mirrored *drive, int64_t since_ms)
{
	const struct generation *map = drive->served->map;
	struct mirror_status status;
	uint64_t most = drive->served->size_bytes / DUE_PART;

	if (!is_worth_it(drive))
		return false;
	mirror_status(drive->mirror, &status);
	if (!status.in_sync)
		return drive->point.n_clusters < clusters_of(drive->served->size_bytes) &&
		       since_ms > FIRST_MS;
	if (drive->point.n_clusters < clusters_of(drive->served->size_bytes) ||
	    drive->point.map_id != generation_id(map))
		return true;
	return since_ms > OFTEN_MS && generation_changed_bytes(map, drive->point.generation) >
					      (most > DUE_BYTES ? most : DUE_BYTES);
}

bool mirrors_note_is_due(const struct serve_mirrors *mirrors)
{
	int64_t since_ms = clock_ms() - mirrors->noted_ms;

	for (uint32_t i = 0; mirrors->phase == MIRROR_RUNS && i < mirrors->n_drives; i++) {
		if (is_due(&mirrors->drives[i], since_ms))
			return true;
	}
	return false;
}

/* ---- the end ---- */

static void keep_late(struct serve_mirrors *mirrors, struct mirror *mirror)
{
	for (uint32_t i = 0; i < SERVED_MAX; i++) {
		if (mirrors->late[i] == NULL) {
			mirrors->late[i] = mirror;
			return;
		}
	}
}

void mirrors_end(struct serve_mirrors *mirrors)
{
	struct mirror *mirrors_of[SERVED_MAX];
	int64_t until_ms = clock_ms() + END_MS;

	/* From here on status asks them nothing. */
	pthread_mutex_lock(&mirrors->lock);
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		mirrors_of[i] = mirrors->drives[i].mirror;
		mirrors->drives[i].mirror = NULL;
	}
	pthread_mutex_unlock(&mirrors->lock);
	/* All of them stop at once, and have the same time for that. */
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		if (mirrors_of[i] != NULL && mirror_end(mirrors_of[i], 0))
			mirrors_of[i] = NULL;
	}
	for (uint32_t i = 0; i < mirrors->n_drives; i++) {
		int64_t left_ms = until_ms - clock_ms();
		if (mirrors_of[i] != NULL &&
		    !mirror_end(mirrors_of[i], left_ms > 0 ? (unsigned)left_ms : 0))
			keep_late(mirrors, mirrors_of[i]);
	}
}
