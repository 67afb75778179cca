#include "store/lock.h"

#include "store/folder.h"
#include "store/uploads.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS	   1000u
#define TEXT_MAX   512u
#define TOKEN_SIZE 33u
#define HOST_SIZE  65u
#define WAYS_GIVEN 5u  /* to runs that may have given way, too */
#define GIVE_MS	   50u /* at least; then twice as long each time */

struct store_lock {
	struct store_folder *folder;
	char *path, *name, *url, *id; /* owned; id: as noted, NOTE_OF_LOCK and the token */
	char *claim;		      /* the name of the run's own object; owned */
	char *other;		      /* that of the object another run has; owned, or NULL */
	char text[TEXT_MAX];	      /* what the objects say: token, host, process, time */
	struct upload_note *note;
	bool is_put; /* the object may be in the store, and this run's */
	bool held, is_claimed;
	struct store_lock *next;
};

static struct {
	pthread_mutex_t lock; /* guards the list */
	struct store_lock *first;
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what the object says ---- */

static int describe(struct store_lock *lock, struct error *err)
{
	uint8_t bytes[(TOKEN_SIZE - 1) / 2];
	char token[TOKEN_SIZE], host[HOST_SIZE] = "", when[40] = "";
	time_t now = time(NULL);
	struct tm parts;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return fail_system(err, EIO, "getrandom");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(token + 2 * (size_t)i, 3, "%02x", bytes[i]);
	gethostname(host, sizeof(host) - 1);
	if (gmtime_r(&now, &parts) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	snprintf(lock->text, sizeof(lock->text), "%s\n%s\n%ld\n%s\n", token, host, (long)getpid(),
		 when);
	lock->id = text_make("%c%s", NOTE_OF_LOCK, token);
	lock->claim = text_make("%s.%s", lock->name, token);
	return lock->id != NULL && lock->claim != NULL ? 0 : fail_memory(err);
}

/* *text: "" if there is no such object. */
static int read_object(struct store_lock *lock, const char *name, char text[TEXT_MAX],
		       struct error *err)
{
	size_t got;

	*text = '\0';
	TRY(store_folder_peek(lock->folder, name, (uint8_t *)text, TEXT_MAX - 1, &got, err));
	text[got] = '\0';
	return 0;
}

static int fail_locked(const struct store_lock *lock, const char *text, struct error *err)
{
	char line[4][80] = {"", "another host", "?", "?"};

	for (unsigned i = 0; i < 4 && *text != '\0'; i++) {
		size_t n = strcspn(text, "\n");

		escape_text(line[i], sizeof(line[i]), (const uint8_t *)text, least(n, 60));
		text += n + (text[n] == '\n');
	}
	return fail(err, ERR_LOCKED,
		    "%s/%s: another run of vmabak works here: process %s on %s, since %s; "
		    "--lock-wait SECONDS waits for it; if that run is dead, remove this object",
		    lock->path, lock->other != NULL ? lock->other : lock->name, line[2], line[1],
		    line[3]);
}

/* ---- the run's own object ---- */

/* The first that another run has: its name to lock->other, NULL if there is none. */
static int find_other(struct store_lock *lock, struct error *err)
{
	char *begins = text_make("%s.", lock->name);
	struct store_objects objects = {0};
	int code = begins == NULL ? fail_memory(err)
				  : store_folder_list(lock->folder, begins, &objects, err);

	free(lock->other);
	lock->other = NULL;
	for (unsigned i = 0; code == 0 && i < objects.n && lock->other == NULL; i++)
		if (strcmp(objects.items[i].name, lock->claim) != 0) {
			lock->other = objects.items[i].name;
			objects.items[i].name = NULL;
		}
	store_objects_free(&objects);
	free(begins);
	return code;
}

/* 1: another run has one, as *text says. */
static int claim_once(struct store_lock *lock, char text[TEXT_MAX], struct error *err)
{
	/* 1, that it is there already, follows when the answer to the first try was lost. */
	int code = store_folder_put_new(lock->folder, lock->claim, lock->text, err);

	if (code < 0)
		return code;
	lock->is_claimed = true;
	TRY(find_other(lock, err));
	if (lock->other == NULL)
		return 0;
	TRY(store_folder_remove(lock->folder, lock->claim, err));
	lock->is_claimed = false;
	TRY(read_object(lock, lock->other, text, err));
	return 1;
}

/* Runs that begin in the same moment may both have given way: they come back at random. */
static int claim(struct store_lock *lock, char text[TEXT_MAX], struct error *err)
{
	uint8_t random = 0;
	int code = claim_once(lock, text, err);

	for (unsigned n = 0; code == 1 && n < WAYS_GIVEN; n++) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return fail_system(err, EIO, "getrandom");
		clock_sleep_ms((GIVE_MS << n) + (GIVE_MS << n) * random / 256);
		code = claim_once(lock, text, err);
	}
	return code;
}

/* ---- taking ---- */

/* Unless it is another run's by now. */
static int remove_if(struct store_lock *lock, const char *name, const char *token)
{
	struct error ignored = {0};

	return store_folder_remove_own(lock->folder, name, token, lock->held, &ignored);
}

/* Of a run of this host and user that has died, if the objects are still its own. */
static int remove_dead(void *context, const char *url, const char *id)
{
	struct store_lock *lock = context;
	char *claim;
	int code;

	if (*id != NOTE_OF_LOCK || strlen(id) != TOKEN_SIZE || strcmp(url, lock->url) != 0)
		return -1;
	claim = text_make("%s.%s", lock->name, id + 1);
	code = claim != NULL ? remove_if(lock, claim, id + 1) : -1;
	free(claim);
	return code == 0 ? remove_if(lock, lock->name, id + 1) : code;
}

/* 1: another run has it, as *text says. */
static int put_lock(struct store_lock *lock, char text[TEXT_MAX], struct error *err)
{
	int code;

	if (lock->note == NULL)
		lock->note = upload_note(lock->url, lock->id, NULL);
	lock->is_put = true;
	code = store_folder_put_new(lock->folder, lock->name, lock->text, err);
	if (code < 0)
		return code;
	/* The answer to our own may have been lost; and some stores replace what is there. */
	TRY(read_object(lock, lock->name, text, err));
	return strcmp(text, lock->text) == 0 ? 0 : 1;
}

/* 1: another run has it, as *text says. */
static int try_once(struct store_lock *lock, char text[TEXT_MAX], struct error *err)
{
	int code;

	upload_each_dead(lock->url, "", remove_dead, lock);
	free(lock->other);
	lock->other = NULL;
	TRY(read_object(lock, lock->name, text, err));
	if (*text != '\0' && strcmp(text, lock->text) != 0)
		return 1;
	code = *text == '\0' ? put_lock(lock, text, err) : 0;
	if (code != 0)
		return code;
	/* Now a store that heeds the condition refuses it. */
	code = store_folder_put_new(lock->folder, lock->name, lock->text, err);
	return code == 1 ? 0 : code == 0 ? claim(lock, text, err) : code;
}

static int open_lock(struct store_lock *lock, const char *path, const char *name, struct error *err)
{
	lock->path = strdup(path);
	lock->name = strdup(name);
	if (lock->path == NULL || lock->name == NULL)
		return fail_memory(err);
	TRY(describe(lock, err));
	TRY(store_folder_open(&lock->folder, lock->path, err));
	lock->url = store_folder_url(lock->folder, name);
	return lock->url != NULL ? 0 : fail_memory(err);
}

static void enlist(struct store_lock *lock)
{
	lock->held = true;
	pthread_mutex_lock(&held.lock);
	lock->next = held.first;
	held.first = lock;
	pthread_mutex_unlock(&held.lock);
}

int store_lock_take(struct store_lock **out, const char *path, const char *name, uint64_t wait_s,
		    struct error *err)
{
	int64_t until_ms = clock_ms() + (int64_t)wait_s * 1000;
	struct store_lock *lock = calloc(1, sizeof(*lock));
	char text[TEXT_MAX];
	int code;

	*out = NULL;
	if (lock == NULL)
		return fail_memory(err);
	code = open_lock(lock, path, name, err);
	while (code == 0 && (code = try_once(lock, text, err)) == 1) {
		code = clock_ms() < until_ms ? 0 : fail_locked(lock, text, err);
		if (code == 0)
			clock_sleep_ms(STEP_MS);
		else
			break;
	}
	if (code != 0) {
		store_lock_release(lock);
		return code;
	}
	enlist(lock);
	*out = lock;
	return 0;
}

/* ---- releasing ---- */

/* The own object last: while it is there, nobody believes to be alone. */
static int remove_objects(struct store_lock *lock)
{
	struct error ignored = {0};
	int code;

	if (!lock->is_put)
		return 0;
	code = remove_if(lock, lock->name, lock->id + 1);
	return code == 0 && lock->is_claimed
		       ? store_folder_remove(lock->folder, lock->claim, &ignored)
		       : code;
}

void store_lock_release(struct store_lock *lock)
{
	struct store_lock **at = &held.first;

	if (lock == NULL)
		return;
	pthread_mutex_lock(&held.lock);
	while (*at != NULL && *at != lock)
		at = &(*at)->next;
	if (*at != NULL)
		*at = lock->next;
	pthread_mutex_unlock(&held.lock);
	if (remove_objects(lock) != 0)
		upload_leave(lock->note);
	else
		upload_forget(lock->note);
	store_folder_close(lock->folder);
	free(lock->path);
	free(lock->name);
	free(lock->url);
	free(lock->id);
	free(lock->claim);
	free(lock->other);
	free(lock);
}

/* On a connection of its own: the thread that took it may use the other one now. */
void store_locks_abandon(void)
{
	struct error ignored = {0};
	struct store_folder *folder;

	pthread_mutex_lock(&held.lock);
	for (struct store_lock *lock = held.first; lock != NULL; lock = lock->next) {
		if (store_folder_open(&folder, lock->path, &ignored) != 0)
			continue;
		store_folder_hurry(folder);
		store_folder_remove_own(folder, lock->name, lock->id + 1, true, &ignored);
		if (lock->is_claimed)
			store_folder_remove(folder, lock->claim, &ignored);
		store_folder_close(folder);
	}
	pthread_mutex_unlock(&held.lock);
}
