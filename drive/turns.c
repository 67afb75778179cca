/*
 * A drive is read by several threads at a time, and its place is given away only while none of them
 * does, that of the drive that was left first. The lock is held while one opens, so that one does
 * at a time; others wait for as long as that takes.
 */
#include "drive/turns.h"

#include "drive/kind.h"

#include <stdlib.h>
#include <string.h>

struct turn {
	struct drive drive;
	struct turns *turns;
	struct turn *next; /* of all */
	/* With turns->lock: */
	struct drive *inner; /* NULL: not open */
	unsigned n_users;
	uint64_t left; /* when it was last read, as turns->clock */
};

void turns_init(struct turns *turns)
{
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->idle, NULL);
	turns->first = NULL;
	turns->n_open = 0;
	turns->clock = 0;
	turns->failure = (struct error){0};
}

/* ---- places ---- */

static void close_locked(struct turn *turn)
{
	drive_close(turn->inner);
	turn->inner = NULL;
	turn->turns->n_open--;
}

/* The open drive that nobody reads, for the longest time; NULL: there is none. */
static struct turn *find_idle_locked(const struct turns *turns)
{
	struct turn *found = NULL;

	for (struct turn *turn = turns->first; turn != NULL; turn = turn->next) {
		if (turn->inner != NULL && turn->n_users == 0 &&
		    (found == NULL || turn->left < found->left))
			found = turn;
	}
	return found;
}

static int open_locked(struct turn *turn, struct error *err)
{
	struct turns *turns = turn->turns;
	struct drive *inner;

	TRY(turns->open(turns->context, turn->drive.path, &inner, err));
	if (drive_size(inner) != turn->drive.size_bytes) {
		drive_close(inner);
		return fail(err, ERR_SYSTEM, "%s: its size changed while the backup began",
			    turn->drive.path);
	}
	turn->inner = inner;
	turns->n_open++;
	return 0;
}

/* A server that was started with few connections leaves one too many without an answer. It may
 * answer when one that is open goes, and from then on as many are open as it answered. */
static void try_locked(struct turn *turn)
{
	struct turns *turns = turn->turns;
	struct turn *idle;

	if (turns->failure.code != 0 || open_locked(turn, &turns->failure) == 0)
		return;
	idle = find_idle_locked(turns);
	if (idle == NULL)
		return;
	turns->n_places = turns->n_open;
	close_locked(idle);
	turns->failure = (struct error){0};
	open_locked(turn, &turns->failure);
}

/* Another thread may open the drive while this one waits for a place. */
static int enter_locked(struct turn *turn, struct error *err)
{
	struct turns *turns = turn->turns;

	while (turn->inner == NULL && turns->n_open >= turns->n_places) {
		struct turn *idle = find_idle_locked(turns);

		if (idle != NULL)
			close_locked(idle);
		else
			pthread_cond_wait(&turns->idle, &turns->lock);
	}
	if (turn->inner == NULL)
		try_locked(turn);
	if (turn->inner == NULL) {
		*err = turns->failure;
		return err->code;
	}
	turn->n_users++;
	return 0;
}

static int enter(struct turn *turn, struct error *err)
{
	int code;

	pthread_mutex_lock(&turn->turns->lock);
	code = enter_locked(turn, err);
	pthread_mutex_unlock(&turn->turns->lock);
	return code;
}

static void leave(struct turn *turn)
{
	struct turns *turns = turn->turns;

	pthread_mutex_lock(&turns->lock);
	turn->left = ++turns->clock;
	if (--turn->n_users == 0)
		pthread_cond_broadcast(&turns->idle);
	pthread_mutex_unlock(&turns->lock);
}

/* ---- the drive ---- */

static int read_in_turn(struct drive *drive, uint64_t offset, void *buffer, size_t n,
			struct error *err)
{
	struct turn *turn = (struct turn *)drive;
	int code;

	TRY(enter(turn, err));
	code = drive_read(turn->inner, offset, buffer, n, err);
	leave(turn);
	return code;
}

static int ask_in_turn(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		       struct error *err)
{
	struct turn *turn = (struct turn *)drive;
	int code;

	TRY(enter(turn, err));
	code = drive_status(turn->inner, offset, n, zero, err);
	leave(turn);
	return code;
}

/* Only what is open could say, and a snapshot does not change. */
static bool was_changed(struct drive *drive)
{
	(void)drive;
	return false;
}

static void close_in_turn(struct drive *drive)
{
	struct turn *turn = (struct turn *)drive, **at;
	struct turns *turns = turn->turns;

	pthread_mutex_lock(&turns->lock);
	for (at = &turns->first; *at != turn; at = &(*at)->next)
		;
	*at = turn->next;
	if (turn->inner != NULL)
		close_locked(turn);
	pthread_mutex_unlock(&turns->lock);
	free(turn);
}

static const struct drive_ops ops = {
	.read = read_in_turn,
	.status = ask_in_turn,
	.changed = was_changed,
	.close = close_in_turn,
};

int turns_add(struct turns *turns, struct drive **out, const char *name, uint64_t size_bytes,
	      struct error *err)
{
	struct turn *turn = calloc(1, sizeof(*turn));

	if (turn == NULL)
		return fail_memory(err);
	*turn = (struct turn){
		.drive = {.ops = &ops, .size_bytes = size_bytes, .path = strdup(name)},
		.turns = turns,
	};
	if (turn->drive.path == NULL) {
		free(turn);
		return fail_memory(err);
	}
	pthread_mutex_init(&turn->drive.asking, NULL);
	pthread_mutex_lock(&turns->lock);
	turn->next = turns->first;
	turns->first = turn;
	pthread_mutex_unlock(&turns->lock);
	*out = &turn->drive;
	return 0;
}
