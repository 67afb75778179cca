#include "archive/changes.h"

#include "archive/changes_file.h"
#include "archive/changes_formats.h"
#include "base/grain.h"
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- what the user said ---- */

struct wish {
	char *copy; /* owned; the path, and behind it the values */
	const char *format, *path, *older;
	uint64_t block_bytes, object;
};

/* Takes KEY=VALUE; false: it is none that is known, or was there. */
static bool take(struct wish *wish, const char *pair, const char *value)
{
	size_t length = (size_t)(value - pair);
	uint64_t number;

	if (strncmp(pair, "format=", length) == 0 && wish->format == NULL)
		wish->format = value;
	else if (strncmp(pair, "path=", length) == 0 && wish->path == NULL && *value != '\0')
		wish->path = value;
	else if (strncmp(pair, "older=", length) == 0 && wish->older == NULL && *value != '\0')
		wish->older = value;
	else if (strncmp(pair, "block=", length) == 0 && wish->block_bytes == 0 &&
		 parse_size(value, &number) && number > 0 && number <= CHANGES_ANY_SIZE)
		wish->block_bytes = number;
	else if (strncmp(pair, "object=", length) == 0 && wish->object == 0 &&
		 parse_number(value, &number) && number > 0)
		wish->object = number;
	else
		return false;
	return true;
}

/* A name may hold most anything: what is no such pair stays. */
static int parse_wish(struct wish *out, const char *what, struct error *err)
{
	char *comma, *equals;

	*out = (struct wish){.copy = strdup(what)};
	if (out->copy == NULL)
		return fail_memory(err);
	while ((comma = strrchr(out->copy, ',')) != NULL) {
		equals = strchr(comma, '=');
		if (equals == NULL || !take(out, comma + 1, equals + 1))
			break;
		*comma = '\0';
	}
	return *out->copy != '\0' ? 0 : fail(err, ERR_USAGE, "'%s': no change list named", what);
}

static int check_wish(const struct wish *wish, const struct changes_format *format,
		      uint64_t size_bytes, struct error *err)
{
	static const char text[] = "lists of format %s need %s";

	if ((format->needs & CHANGES_NEED_BLOCK) != 0 && wish->block_bytes == 0)
		return fail(err, ERR_USAGE, text, format->name,
			    ",block=SIZE, the bytes of a block");
	if ((format->needs & CHANGES_NEED_PATH) != 0 && wish->path == NULL)
		return fail(err, ERR_USAGE, text, format->name,
			    ",path=PATH, the drive's file in the subvolume");
	if ((format->needs & CHANGES_NEED_SIZE) != 0 && size_bytes == CHANGES_ANY_SIZE)
		return fail(err, ERR_USAGE, text, format->name, "the size of the drive: --size");
	return 0;
}

/* ---- reading ---- */

static int check_kind(const struct changes_format *format, enum changes_kind kind,
		      struct error *err)
{
	if (kind == CHANGES_CHANGED && format->of_use)
		return fail(err, ERR_USAGE,
			    "a list of format %s tells what is in use, not what changed: it is for "
			    "--used",
			    format->name);
	if (kind == CHANGES_USED && !format->of_use && strcmp(format->name, "ddrescue") != 0)
		return fail(err, ERR_USAGE,
			    "a list of format %s does not tell what is in use; one of ddrescue or "
			    "bmap does",
			    format->name);
	return 0;
}

static int read_list(struct changelist *list, const struct wish *wish, enum changes_kind kind,
		     struct error *err)
{
	const struct changes_format *format = NULL;
	char names[400];

	if (wish->format != NULL) {
		format = changes_format_find(wish->format);
		if (format == NULL)
			return fail(err, ERR_USAGE, "format '%.100s': must be one of: %s",
				    wish->format, changes_format_names(names, sizeof(names)));
	} else if (kind == CHANGES_USED) {
		TRY(changes_format_recognise_map(&format, list, err));
	} else {
		TRY(changes_format_recognise(&format, list, err));
	}
	TRY(check_kind(format, kind, err));
	TRY(check_wish(wish, format, list->size_bytes, err));
	list->block_bytes = wish->block_bytes;
	list->object = wish->object;
	list->path = wish->path;
	TRY(format->read(list, err));
	return list->size_bytes != CHANGES_ANY_SIZE
		       ? 0
		       : fail(err, ERR_USAGE,
			      "lists of format %s do not tell the size of the drive; --size does",
			      format->name);
}

static void name_list(struct error *err, const char *path)
{
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;

	if (err->has_place)
		error_in_file(err, name);
	else
		error_prefix(err, "%s", name);
}

int changes_scan(struct changes_told *out, const char *what, enum changes_kind kind,
		 uint64_t size_bytes,
		 int (*range)(void *context, uint64_t offset, uint64_t length, struct error *err),
		 void *context, struct error *err)
{
	struct changelist list = {
		.size_bytes = size_bytes, .range = range, .range_context = context};
	struct changes_file file = {.fd = -1}, older_file = {.fd = -1};
	struct changelist older = {.size_bytes = CHANGES_ANY_SIZE};
	struct wish wish;
	int code = parse_wish(&wish, what, err);

	if (code != 0)
		goto out;
	code = changes_file_open(&file, wish.copy, &list, err);
	if (code == 0 && wish.older != NULL) {
		list.older = &older;
		code = changes_file_open(&older_file, wish.older, &older, err);
	}
	if (code == 0)
		code = read_list(&list, &wish, kind, err);
	if (code != 0) {
		name_list(err, wish.copy);
		goto out;
	}
	out->size_bytes = list.size_bytes;
	memcpy(out->since, list.since, sizeof(out->since));
	memcpy(out->until, list.until, sizeof(out->until));
out:
	changes_file_close(&file);
	changes_file_close(&older_file);
	free(wish.copy);
	return code;
}

/* ---- the set ---- */

int changes_add(struct changes *changes, uint64_t offset, uint64_t length, struct error *err)
{
	uint64_t at = offset / CLUSTER_SIZE, end = clusters_of(offset + length), first = at;
	bool in;

	while (at < end) {
		uint64_t n = cluster_set_run(&changes->set, at, end - at, &in);

		changes->n_clusters += in ? 0 : n;
		at += n;
	}
	return cluster_set_include(&changes->set, first, end - first, err);
}

int changes_resized(struct changes *changes, uint64_t old_bytes, uint64_t new_bytes,
		    struct error *err)
{
	uint64_t from = old_bytes < new_bytes ? old_bytes : new_bytes;

	from -= from % CLUSTER_SIZE;
	return old_bytes == new_bytes || from >= new_bytes
		       ? 0
		       : changes_add(changes, from, new_bytes - from, err);
}

static int add_range(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	return changes_add(context, offset, length, err);
}

static int copy_token(char **out, const char *token, struct error *err)
{
	*out = *token == '\0' ? NULL : strdup(token);
	return *token == '\0' || *out != NULL ? 0 : fail_memory(err);
}

int changes_read(struct changes *out, const char *what, uint64_t size_bytes, struct error *err)
{
	struct changes_told told;

	*out = (struct changes){0};
	TRY(changes_scan(&told, what, CHANGES_CHANGED, size_bytes, add_range, out, err));
	TRY(copy_token(&out->since, told.since, err));
	return copy_token(&out->until, told.until, err);
}

int changes_read_used(struct changes *out, const char *what, uint64_t size_bytes, struct error *err)
{
	struct changes_told told;

	*out = (struct changes){0};
	TRY(changes_scan(&told, what, CHANGES_USED, size_bytes, add_range, out, err));
	return out->n_clusters > 0 || size_bytes == 0
		       ? 0
		       : fail(err, ERR_DAMAGED,
			      "%s: by this map nothing is in use: what made it failed", what);
}

void changes_free(struct changes *changes)
{
	cluster_set_free(&changes->set);
	free(changes->since);
	free(changes->until);
	*changes = (struct changes){0};
}
