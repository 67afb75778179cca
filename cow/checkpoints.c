/*
 * The lines are kept parsed. A change puts all of them into the table that does not count, which
 * then does. The lock is held while that is written, and before the store's; marks of guests never
 * wait for it: all that they do here is to say that the map began anew.
 */
#include "cow/map_parts.h"

#include "base/bytes.h"
#include "base/name.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#define SEQUENCE_MAX (UINT64_C(1) << 62)
#define CHECK_AT     56u
#define NAME_AT	     64u

enum { STATE_PENDING = 1, STATE_GOOD = 2, STATE_INCOMPLETE = 3, STATE_PASSED = 4 };

static const uint8_t magic[8] = {0x89, 'V', 'M', 'C', '\r', '\n', 0x1a, '\n'};

struct checkpoints {
	uint8_t *tables;	 /* borrowed */
	struct map_store *store; /* borrowed; NULL: none */
	uint64_t tables_at;	 /* in the store */
	_Atomic uint64_t map_id;
	pthread_mutex_t lock; /* guards the rest, and the tables */
	uint64_t id;	      /* of the map that the lines are of */
	uint64_t sequence;
	struct checkpoint *lines; /* owned; room for CHECKPOINTS_MAX takes memory as it is used */
	uint32_t n;
};

bool checkpoint_name_usable(const char *name)
{
	size_t length = strlen(name);

	return length < CHECKPOINT_NAME_SIZE && name_usable((const uint8_t *)name, length) &&
	       strncmp(name, "since-", 6) != 0;
}

/* ---- bytes ---- */

static uint8_t state_of(const struct checkpoint *line)
{
	if (line->passed)
		return STATE_PASSED;
	if (line->incomplete)
		return STATE_INCOMPLETE;
	return line->good ? STATE_GOOD : STATE_PENDING;
}

static void put_line(uint8_t *to, const struct checkpoint *line)
{
	memset(to, 0, MAP_TABLE_LINE);
	to[0] = state_of(line);
	to[1] = (uint8_t)strlen(line->name);
	put_le(to + 2, 2, line->generation);
	put_le(to + 8, 8, line->instant_ns);
	memcpy(to + 16, line->uuid, UUID_SIZE);
	put_le(to + 32, 8, line->raw_bytes);
	put_le(to + 40, 8, line->written_bytes);
	put_le(to + 48, 8, line->origin_id);
	put_le(to + 56, 2, line->origin_generation);
	memcpy(to + NAME_AT, line->name, to[1]);
}

/* Only one from another map has no generation that ended here, or may be incomplete; none of these
 * passes, nor does one without an archive. */
static bool is_sensible(const struct checkpoint *line)
{
	if (line->passed && (line->origin_id != 0 || all_zero(line->uuid, UUID_SIZE)))
		return false;
	return line->origin_id != 0
		       ? line->origin_generation != 0
		       : line->origin_generation == 0 && line->generation != 0 && !line->incomplete;
}

static bool get_line(struct checkpoint *out, const uint8_t *from, uint16_t current)
{
	uint64_t generation = get_le(from + 2, 2);
	size_t length = from[1];

	*out = (struct checkpoint){
		.instant_ns = get_le(from + 8, 8),
		.generation = (uint16_t)generation,
		.good = from[0] == STATE_GOOD,
		.incomplete = from[0] == STATE_INCOMPLETE,
		.passed = from[0] == STATE_PASSED,
		.origin_id = get_le(from + 48, 8),
		.origin_generation = (uint16_t)get_le(from + 56, 2),
		.raw_bytes = get_le(from + 32, 8),
		.written_bytes = get_le(from + 40, 8),
	};
	memcpy(out->uuid, from + 16, UUID_SIZE);
	if (length >= CHECKPOINT_NAME_SIZE)
		return false;
	memcpy(out->name, from + NAME_AT, length);
	return from[0] >= STATE_PENDING && from[0] <= STATE_PASSED && is_sensible(out) &&
	       generation < current && all_zero(from + 4, 4) && all_zero(from + 58, 6) &&
	       strlen(out->name) == length &&
	       (out->passed ? length == 0 : checkpoint_name_usable(out->name)) &&
	       all_zero(from + NAME_AT + length, CHECKPOINT_NAME_SIZE - length);
}

static uint64_t table_size(uint32_t n)
{
	return MAP_TABLE_HEAD + (uint64_t)n * MAP_TABLE_LINE;
}

static uint64_t check_of(const uint8_t *table, uint32_t n)
{
	uint8_t head[MAP_TABLE_HEAD];
	XXH3_state_t *state = XXH3_createState();
	uint64_t check;

	if (state == NULL)
		return 0;
	memcpy(head, table, sizeof(head));
	put_le(head + CHECK_AT, 8, 0);
	XXH3_64bits_reset(state);
	XXH3_64bits_update(state, head, sizeof(head));
	XXH3_64bits_update(state, table + MAP_TABLE_HEAD, (size_t)n * MAP_TABLE_LINE);
	check = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return check;
}

static bool is_named(const struct checkpoint *lines, uint32_t n, const char *name, uint32_t *at)
{
	uint32_t i = 0;

	while (i < n && (lines[i].passed || strcmp(lines[i].name, name) != 0))
		i++;
	if (at != NULL)
		*at = i;
	return i < n;
}

/* Replaces the lines if the table counts. */
static void get_table(struct checkpoints *checkpoints, const uint8_t *table, uint16_t current)
{
	uint64_t sequence = get_le(table + 8, 8), n = get_le(table + MAP_TABLE_N_AT, 4);
	struct checkpoint *lines = checkpoints->lines;

	if (memcmp(table, magic, sizeof(magic)) != 0 || n > CHECKPOINTS_MAX ||
	    get_le(table + CHECK_AT, 8) != check_of(table, (uint32_t)n) ||
	    !all_zero(table + 28, 28) || get_le(table + 16, 8) != checkpoints->id ||
	    sequence > SEQUENCE_MAX || sequence <= checkpoints->sequence)
		return;
	checkpoints->sequence = sequence;
	checkpoints->n = (uint32_t)n;
	for (uint32_t i = 0; i < n; i++) {
		if (!get_line(&lines[i], table + table_size(i), current) ||
		    (!lines[i].passed && is_named(lines, i, lines[i].name, NULL)))
			checkpoints->n = 0;
		if (checkpoints->n == 0)
			return;
	}
}

/* Into the table that does not count. Only whole pages are written. */
static void put_table(struct checkpoints *checkpoints)
{
	uint64_t at = ++checkpoints->sequence % MAP_TABLES * MAP_TABLE_SIZE;
	uint64_t n_bytes = (table_size(checkpoints->n) + MAP_PAGE - 1) / MAP_PAGE * MAP_PAGE;
	uint8_t *table = checkpoints->tables + at;

	memset(table, 0, MAP_TABLE_HEAD);
	memcpy(table, magic, sizeof(magic));
	put_le(table + 8, 8, checkpoints->sequence);
	put_le(table + 16, 8, checkpoints->id);
	put_le(table + MAP_TABLE_N_AT, 4, checkpoints->n);
	for (uint32_t i = 0; i < checkpoints->n; i++)
		put_line(table + table_size(i), &checkpoints->lines[i]);
	put_le(table + CHECK_AT, 8, check_of(table, checkpoints->n));
	if (checkpoints->store != NULL)
		map_store_table(checkpoints->store, checkpoints->tables_at + at, n_bytes);
}

/* ---- the table ---- */

int checkpoints_new(struct checkpoints **out, uint8_t *tables, uint64_t id, uint16_t current,
		    struct error *err)
{
	struct checkpoints *checkpoints = calloc(1, sizeof(*checkpoints));

	if (checkpoints == NULL)
		return fail_memory(err);
	checkpoints->lines = calloc(CHECKPOINTS_MAX, sizeof(*checkpoints->lines));
	if (checkpoints->lines == NULL) {
		free(checkpoints);
		return fail_memory(err);
	}
	pthread_mutex_init(&checkpoints->lock, NULL);
	checkpoints->tables = tables;
	checkpoints->map_id = checkpoints->id = id;
	for (unsigned i = 0; i < MAP_TABLES; i++)
		get_table(checkpoints, tables + i * MAP_TABLE_SIZE, current);
	*out = checkpoints;
	return 0;
}

void checkpoints_keep(struct checkpoints *checkpoints, struct map_store *store, uint64_t offset)
{
	checkpoints->store = store;
	checkpoints->tables_at = offset;
}

void checkpoints_free(struct checkpoints *checkpoints)
{
	if (checkpoints == NULL)
		return;
	pthread_mutex_destroy(&checkpoints->lock);
	free(checkpoints->lines);
	free(checkpoints);
}

void checkpoints_void(struct checkpoints *checkpoints, uint64_t id)
{
	atomic_store(&checkpoints->map_id, id);
}

static void enter(struct checkpoints *checkpoints)
{
	uint64_t id;

	pthread_mutex_lock(&checkpoints->lock);
	id = atomic_load(&checkpoints->map_id);
	if (checkpoints->id != id)
		checkpoints->n = 0;
	checkpoints->id = id;
}

static void leave(struct checkpoints *checkpoints)
{
	pthread_mutex_unlock(&checkpoints->lock);
}

/* ---- asking ---- */

int checkpoints_list(struct checkpoints *checkpoints, struct checkpoint **out, uint32_t *n,
		     struct error *err)
{
	int code = 0;

	*out = NULL;
	*n = 0;
	enter(checkpoints);
	if (checkpoints->n > 0) {
		*out = malloc(checkpoints->n * sizeof(**out));
		if (*out == NULL)
			code = fail_memory(err);
	}
	for (uint32_t i = 0; *out != NULL && i < checkpoints->n; i++) {
		if (!checkpoints->lines[i].passed)
			(*out)[(*n)++] = checkpoints->lines[i];
	}
	leave(checkpoints);
	return code;
}

bool checkpoints_good(struct checkpoints *checkpoints, uint32_t n, struct checkpoint *out)
{
	uint32_t i = 0;
	bool found;

	enter(checkpoints);
	while (i < checkpoints->n && (!checkpoints->lines[i].good || n-- > 0))
		i++;
	found = i < checkpoints->n;
	if (found)
		*out = checkpoints->lines[i];
	leave(checkpoints);
	return found;
}

bool checkpoints_find(struct checkpoints *checkpoints, const char *name, struct checkpoint *out)
{
	uint32_t i;
	bool found;

	enter(checkpoints);
	found = is_named(checkpoints->lines, checkpoints->n, name, &i);
	if (found)
		*out = checkpoints->lines[i];
	leave(checkpoints);
	return found;
}

/* Of a full table, in time. */
static bool may_go(const struct checkpoint *line)
{
	return line->passed || (line->good && !all_zero(line->uuid, UUID_SIZE));
}

bool checkpoints_confirm(struct checkpoints *checkpoints, uint16_t generation,
			 const uint8_t uuid[UUID_SIZE])
{
	bool found = false, is_older;

	enter(checkpoints);
	is_older = checkpoints->n == CHECKPOINTS_MAX;
	for (uint32_t i = 0; i < checkpoints->n && !found; i++) {
		const struct checkpoint *line = &checkpoints->lines[i];

		if (line->origin_id != 0)
			continue;
		found = line->generation == generation && memcmp(line->uuid, uuid, UUID_SIZE) == 0;
		is_older = is_older && (line->generation > generation || !may_go(line));
	}
	leave(checkpoints);
	return found || is_older;
}

bool checkpoints_of_origin(struct checkpoints *checkpoints, uint64_t id, uint16_t generation,
			   struct checkpoint *out)
{
	bool found = false;

	enter(checkpoints);
	for (uint32_t i = 0; id != 0 && i < checkpoints->n && !found; i++) {
		const struct checkpoint *line = &checkpoints->lines[i];

		found = line->origin_id == id && line->origin_generation == generation;
		if (found)
			*out = *line;
	}
	leave(checkpoints);
	return found;
}

/* ---- changing ---- */

static void remove_locked(struct checkpoints *checkpoints, uint32_t i)
{
	struct checkpoint *line = &checkpoints->lines[i];

	checkpoints->n--;
	memmove(line, line + 1, (checkpoints->n - i) * sizeof(*line));
}

/* Which archive's instant it was stays known: its token counts still. */
static void pass_locked(struct checkpoints *checkpoints, uint32_t i)
{
	struct checkpoint *line = &checkpoints->lines[i];

	if (all_zero(line->uuid, UUID_SIZE) || line->origin_id != 0) {
		remove_locked(checkpoints, i);
		return;
	}
	line->passed = true;
	line->good = false;
	memset(line->name, 0, sizeof(line->name));
}

/* The oldest that has passed, or else of those of backups that are good. False: there is none. */
static bool make_room_locked(struct checkpoints *checkpoints)
{
	uint32_t n = checkpoints->n, passed = 0, i = 0;

	if (n < CHECKPOINTS_MAX)
		return true;
	while (passed < n && !checkpoints->lines[passed].passed)
		passed++;
	while (i < n && !may_go(&checkpoints->lines[i]))
		i++;
	if (passed == n && i == n)
		return false;
	remove_locked(checkpoints, passed < n ? passed : i);
	return true;
}

static int add_locked(struct checkpoints *checkpoints, const struct checkpoint *line,
		      struct error *err)
{
	if (!checkpoint_name_usable(line->name))
		return fail(err, ERR_USAGE, "checkpoint '%.60s': " CHECKPOINT_NAME_RULE,
			    line->name);
	if (is_named(checkpoints->lines, checkpoints->n, line->name, NULL))
		return fail(err, ERR_USAGE, "checkpoint %s: exists already", line->name);
	if (!make_room_locked(checkpoints))
		return fail(err, ERR_SYSTEM, "checkpoint %s: there are %u already; delete some",
			    line->name, CHECKPOINTS_MAX);
	checkpoints->lines[checkpoints->n++] = *line;
	put_table(checkpoints);
	return 0;
}

int checkpoints_add(struct checkpoints *checkpoints, const struct checkpoint *line,
		    struct error *err)
{
	int code;

	enter(checkpoints);
	code = add_locked(checkpoints, line, err);
	leave(checkpoints);
	return code;
}

static int find_locked(const struct checkpoints *checkpoints, const char *name, uint32_t *i,
		       struct error *err)
{
	return is_named(checkpoints->lines, checkpoints->n, name, i)
		       ? 0
		       : fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name",
			      name);
}

/* Enters, and finds the line of that name; begun or not, end_change must follow. */
static int begin_change(struct checkpoints *checkpoints, const char *name, uint32_t *i,
			struct error *err)
{
	enter(checkpoints);
	return find_locked(checkpoints, name, i, err);
}

static int end_change(struct checkpoints *checkpoints, int code)
{
	if (code == 0)
		put_table(checkpoints);
	leave(checkpoints);
	return code;
}

int checkpoints_commit(struct checkpoints *checkpoints, const char *name, uint64_t raw_bytes,
		       uint64_t written_bytes, struct error *err)
{
	uint32_t i;
	int code = begin_change(checkpoints, name, &i, err);

	if (code == 0) {
		checkpoints->lines[i].good = true;
		checkpoints->lines[i].raw_bytes = raw_bytes;
		checkpoints->lines[i].written_bytes = written_bytes;
	}
	return end_change(checkpoints, code);
}

int checkpoints_complete(struct checkpoints *checkpoints, const char *name, struct error *err)
{
	uint32_t i;
	int code = begin_change(checkpoints, name, &i, err);

	if (code == 0) {
		checkpoints->lines[i].good = true;
		checkpoints->lines[i].incomplete = false;
	}
	return end_change(checkpoints, code);
}

int checkpoints_delete(struct checkpoints *checkpoints, const char *name, struct error *err)
{
	uint32_t i;
	int code = begin_change(checkpoints, name, &i, err);

	if (code == 0)
		pass_locked(checkpoints, i);
	return end_change(checkpoints, code);
}

void checkpoints_drop_pending(struct checkpoints *checkpoints)
{
	bool any = false;

	enter(checkpoints);
	for (uint32_t i = checkpoints->n; i-- > 0;) {
		const struct checkpoint *line = &checkpoints->lines[i];

		if (line->good || line->passed || line->incomplete)
			continue;
		pass_locked(checkpoints, i);
		any = true;
	}
	if (any)
		put_table(checkpoints);
	leave(checkpoints);
}
