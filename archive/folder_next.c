#include "archive/folder_next.h"

#include "archive/chain.h"
#include "archive/create.h"
#include "archive/folder_name.h"
#include "archive/shelf.h"
#include "base/part.h"
#include "base/parse.h"
#include "base/place.h"
#include "base/watcher.h"
#include "reader/reader.h"
#include "base/command.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS	 INT64_C(1000000000)
#define SLACK_S	 INT64_C(3600) /* nobody's timer is that exact; at most a quarter of the time */
#define FUTURE_S INT64_C(3600) /* names this far ahead of the clock are worth a warning */

/* When a full archive is due; 0: not for this reason. */
struct limits {
	uint64_t n_archives; /* so many in the chain */
	int64_t age_s;	     /* the full one is so old */
};

/* The archives of the machine by their names. */
struct names {
	const char *machine;
	int64_t *times; /* owned */
	unsigned n, room;
};

static int parse_limits(const char *text, struct limits *out, struct error *err)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {{'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
	size_t digits = strspn(text, "0123456789");
	char number[20];
	uint64_t n;

	*out = (struct limits){0};
	if (digits > 0 && digits < 8) {
		memcpy(number, text, digits);
		number[digits] = '\0';
		if (parse_number(number, &n) && text[digits] == '\0') {
			out->n_archives = n;
			return 0;
		}
		for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (text[digits] != units[i].letter || text[digits + 1] != '\0' || n == 0)
				continue;
			out->age_s = (int64_t)n * units[i].seconds;
			return 0;
		}
	}
	return fail(err, ERR_USAGE,
		    "--full-every '%s': must be a number of archives, or a time such as 12h, 7d or "
		    "4w; 0: never",
		    text);
}

static const char *full_every(const struct folder_options *options)
{
	return options->full_every != NULL ? options->full_every : FOLDER_FULL_EVERY;
}

int folder_check(const struct folder_options *options, struct error *err)
{
	struct limits ignored;

	if (command_of(options->folder) != NULL || store_is_web(options->folder))
		return fail(err, ERR_USAGE,
			    "--to %.200s: archives of a chain lie in a folder, or in an object "
			    "store; -o gives one to a command",
			    options->folder);
	if (options->machine == NULL)
		return fail(err, ERR_USAGE, "--to needs --name, the name of the machine");
	if (!name_usable((const uint8_t *)options->machine, strlen(options->machine)))
		return fail(err, ERR_USAGE,
			    "--name '%s': only letters, digits and ._+@%%:- may be in it, and not "
			    "one of .+@%%:- at its beginning",
			    options->machine);
	return parse_limits(full_every(options), &ignored, err);
}

/* ---- which archives there are ---- */

static bool is_of(const char *machine, const char *file, int64_t *time_s)
{
	size_t length;

	return folder_name_parse(file, &length, time_s) && length == strlen(machine) &&
	       memcmp(file, machine, length) == 0;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int read_names(struct names *names, const char *folder, struct error *err)
{
	struct shelf shelf;
	struct stat status;
	const char *name;
	int code = shelf_open(&shelf, folder, err);

	while (code == 0 && (code = shelf_next(&shelf, &name, &status, err)) == 1) {
		int64_t *times = names->times, time_s;

		code = 0;
		if (!is_of(names->machine, name, &time_s))
			continue;
		if (names->n == names->room) {
			names->room = names->room * 2 + 64;
			times = realloc(times, names->room * sizeof(*times));
		}
		if (times == NULL) {
			code = fail_memory(err);
			break;
		}
		names->times = times;
		times[names->n++] = time_s;
	}
	shelf_close(&shelf);
	if (names->n > 0)
		qsort(names->times, names->n, sizeof(*names->times), compare_times);
	return code;
}

/* An archive of this machine, or its sums. */
static bool is_leftover(void *context, const char *name)
{
	char file[NAME_MAX_LENGTH + 64];
	int64_t time_s;
	size_t length = strlen(name);

	if (has_ending(name, ".sums"))
		length -= strlen(".sums");
	if (length >= sizeof(file))
		return false;
	memcpy(file, name, length);
	file[length] = '\0';
	return is_of(context, file, &time_s);
}

/* ---- the parent ---- */

/* Whether an archive ends properly, as far as its tail shows. */
static int check_end(struct opened_archive *opened, struct error *err)
{
	struct totals totals;
	int code = reader_find_tail(opened->reader, opened->input, &totals, err);

	if (code == 0)
		return fail(err, ERR_DAMAGED, "is no plain VMAB archive");
	return code > 0 ? 0 : code;
}

static int check_file(const char *path, struct error *err)
{
	struct opened_archive opened = {0};
	struct stat status;
	int code;

	if (!store_is_name(path) && stat(path, &status) != 0)
		return fail_system(err, errno, "opening it");
	if (!store_is_name(path) && !S_ISREG(status.st_mode))
		return fail(err, ERR_SYSTEM, "is no plain file");
	code = archive_open(&opened, path, 0, err);
	if (code == 0)
		code = check_end(&opened, err);
	archive_close(&opened);
	return code;
}

/* Finds all links. *oldest_ns: the instant of the full archive. */
static int check_chain(struct chain *chain, const char *path, int64_t *oldest_ns, struct error *err)
{
	TRY(chain_find(chain, &(struct strings){&path, 1}, err));
	for (unsigned i = 0; i < chain->n; i++) {
		struct opened_archive opened = {0};
		int code = chain_open(&opened, chain, i, 0, err);

		if (code == 0) {
			*oldest_ns = opened.archive->created_ns;
			code = check_end(&opened, err);
		}
		archive_close(&opened);
		if (code != 0)
			error_prefix(err, "%s", chain->links[i].path);
		TRY(code);
	}
	return 0;
}

static bool is_due(const struct limits *limits, const struct chain *chain, int64_t oldest_ns,
		   int64_t now_ns)
{
	int64_t slack = limits->age_s / 4 < SLACK_S ? limits->age_s / 4 : SLACK_S;
	int64_t age_s = now_ns / NS - oldest_ns / NS;

	if (limits->n_archives > 0)
		return chain->n >= limits->n_archives;
	/* A full archive of the future is of no known age. */
	return limits->age_s > 0 && (age_s >= limits->age_s - slack || age_s < -slack);
}

/* The newest archive that is whole. */
static int find_newest(const struct folder_options *options, const struct names *names, char **path,
		       const struct watcher *watcher, struct error *err)
{
	*path = NULL;
	for (unsigned i = names->n; i-- > 0;) {
		char *one = folder_name_make(options->folder, options->machine, names->times[i]);
		struct error why = {0};

		if (one == NULL)
			return fail_memory(err);
		if (check_file(one, &why) == 0) {
			*path = one;
			return 0;
		}
		watcher_warn(watcher, "%s cannot be a parent: %s", one, why.text);
		free(one);
	}
	return 0;
}

/* What should be there and is not is a warning each night, until the user repairs or removes it. */
static int choose_parent(struct folder_next *next, const struct folder_options *options,
			 const struct names *names, int64_t now_ns, const struct watcher *watcher,
			 struct error *err)
{
	struct error why = {0};
	struct limits limits;
	int64_t oldest_ns = 0;
	struct chain chain;
	char *path;

	TRY(parse_limits(full_every(options), &limits, err));
	TRY(find_newest(options, names, &path, watcher, err));
	if (path == NULL) {
		next->why_full = names->n == 0 ? "there is no parent yet"
					       : "none of its archives can be a parent";
		return 0;
	}
	if (check_chain(&chain, path, &oldest_ns, &why) != 0)
		watcher_warn(watcher, "a full backup is made, as the chain of %s is broken: %s",
			     path, why.text);
	next->why_full =
		why.code != 0 ? "the chain is broken" : "a full archive is due, by --full-every";
	if (why.code == 0 && !is_due(&limits, &chain, oldest_ns, now_ns))
		next->parent = path;
	if (next->parent == NULL)
		free(path);
	chain_free(&chain);
	return 0;
}

/* ---- the name ---- */

/* Later than that of any other, also if two runs come in a second or the clock was set back. */
static int choose_name(struct folder_next *next, const struct folder_options *options,
		       const struct names *names, int64_t now_ns, const struct watcher *watcher,
		       struct error *err)
{
	int64_t now_s = now_ns / NS, time_s = now_s;

	if (names->n > 0 && names->times[names->n - 1] >= now_s)
		time_s = names->times[names->n - 1] + 1;
	if (time_s < 0 || time_s > FOLDER_NAME_TIME_MAX)
		return fail(err, ERR_USAGE, "%s: no later name than the last one of %s is left",
			    options->folder, options->machine);
	next->path = folder_name_make(options->folder, options->machine, time_s);
	if (next->path == NULL)
		return fail_memory(err);
	if (time_s - now_s > FUTURE_S)
		watcher_warn(watcher,
			     "%s is named after the last archive, whose name is of the future: the "
			     "clock is wrong, or was",
			     next->path);
	return 0;
}

static int choose(struct folder_next *next, const struct folder_options *options,
		  struct names *names, const struct watcher *watcher, struct error *err)
{
	int64_t now_ns;

	TRY(create_time(&now_ns, err));
	TRY(read_names(names, options->folder, err));
	TRY(choose_name(next, options, names, now_ns, watcher, err));
	return choose_parent(next, options, names, now_ns, watcher, err);
}

static int check_folder(const struct folder_options *options, struct error *err)
{
	char *inner = text_make("%s/%s", options->folder, options->machine);
	struct stat status;
	int code = inner == NULL ? fail_memory(err) : 0;

	if (code == 0 && (stat(options->folder, &status) != 0 || !S_ISDIR(status.st_mode)))
		code = fail(err, ERR_SYSTEM, "%s: is no folder; make it first (mkdir)",
			    options->folder);
	if (code == 0)
		code = place_check(inner, err);
	free(inner);
	return code;
}

int folder_next_open(struct folder_next *out, const struct folder_options *options,
		     const struct watcher *watcher, struct error *err)
{
	struct names names = {.machine = options->machine};
	bool is_store = store_is_name(options->folder);
	int code;

	*out = (struct folder_next){.lock = {.fd = -1}};
	if (!is_store)
		TRY(check_folder(options, err));
	TRY(folder_lock_take(&out->lock, options->folder, options->machine, options->lock_wait,
			     err));
	/* What they left in a store is removed with their uploads. */
	if (!is_store)
		part_remove_dead(options->folder, is_leftover, (void *)options->machine);
	code = choose(out, options, &names, watcher, err);
	free(names.times);
	return code;
}

void folder_next_close(struct folder_next *next)
{
	folder_lock_release(&next->lock);
	free(next->path);
	free(next->parent);
	*next = (struct folder_next){.lock = {.fd = -1}};
}
