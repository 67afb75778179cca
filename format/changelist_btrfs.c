/*
 * What "btrfs receive --dump" prints of a stream that "btrfs send -p" made: a command a line, its
 * path, and members. Source: spec/changes.md, section 4.
 */
#include "base/bytes.h"
#include "format/changelist.h"
#include "format/format.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES 4096u
#define BLOCK	   4096u

struct dump {
	char root[PATH_BYTES]; /* of the snapshot, as its line has it */
	bool named;	       /* the drive's file was */
};

/* Takes a word off the front, of which a blank that is escaped is part. */
static bool take_word(char **at, char *out)
{
	size_t n = 0;

	for (; **at != '\0' && **at != ' '; (*at)++) {
		if (**at == '\\' && (*at)[1] != '\0')
			(*at)++;
		if (n + 1 == PATH_BYTES)
			return false;
		out[n++] = **at;
	}
	out[n] = '\0';
	*at += strspn(*at, " ");
	return n > 0;
}

/* The value of NAME=VALUE, up to the end of the line; NULL: there is none. */
static char *find_member(char *rest, const char *name)
{
	size_t length = strlen(name);

	for (char *at = rest; at != NULL && *at != '\0'; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, name, length) == 0 && at[length] == '=')
			return at + length + 1;
	}
	return NULL;
}

static int take_member(struct changelist *list, char *rest, const char *name, uint64_t *out,
		       struct error *err)
{
	char *value = find_member(rest, name);

	DEMAND(value != NULL && changelist_number(&value, out), list->place,
	       "a command without %s=", name);
	return 0;
}

#define NAMED_MAX 150u

static const char *own_path(const struct changelist *list)
{
	return list->path + strspn(list->path, "/");
}

/* The file's path, as a subvolume has many: or a checksum of it, if it cannot be in a token. */
static void name_file(const struct changelist *list, char out[NAMED_MAX + 1])
{
	const char *path = own_path(list);
	size_t length = strlen(path);
	uint8_t sum[CHECKSUM_SIZE];
	bool plain = length <= NAMED_MAX && path[0] != '#';

	for (size_t i = 0; i < length && plain; i++)
		plain = path[i] > ' ' && path[i] < 0x7f;
	if (plain) {
		memcpy(out, path, length + 1);
		return;
	}
	checksum_bytes(path, length, sum);
	snprintf(out, NAMED_MAX + 1, "#%016llx%016llx", (unsigned long long)get_be(sum, 8),
		 (unsigned long long)get_be(sum + 8, 8));
}

static void name_instant(const struct changelist *list, char out[CHANGELIST_TOKEN + 1], char *rest,
			 const char *uuid, const char *transid)
{
	const char *a = find_member(rest, uuid), *b = find_member(rest, transid);
	char file[NAMED_MAX + 1];

	name_file(list, file);
	if (a != NULL && b != NULL &&
	    snprintf(out, CHANGELIST_TOKEN + 1, "btrfs:%.*s/%.*s/%s", (int)strcspn(a, " "), a,
		     (int)strcspn(b, " "), b, file) > (int)CHANGELIST_TOKEN)
		out[0] = '\0';
}

/* ---- whose path it is ---- */

enum relation { OTHER, OURS, ABOVE };

/* A path may stand with the snapshot's before it or without. */
static enum relation relate(const struct changelist *list, const struct dump *dump,
			    const char *path)
{
	size_t root = strlen(dump->root), length;
	const char *ours = own_path(list);

	if (strncmp(path, dump->root, root) == 0 && path[root] == '/')
		path += root + 1;
	length = strlen(path);
	if (strcmp(path, ours) == 0)
		return OURS;
	return strncmp(path, ours, length) == 0 && ours[length] == '/' ? ABOVE : OTHER;
}

static bool is_one_of(const char *word, const char *words)
{
	size_t length = strlen(word);

	/* A word of the file may itself begin with a blank, or be empty. */
	for (const char *at = words + 1; length > 0 && (at = strstr(at, word)) != NULL;
	     at += length)
		if (at[-1] == ' ' && at[length] == ' ')
			return true;
	return false;
}

/* Names come and go: what the file was before has another one. */
static int check_names(struct changelist *list, const struct dump *dump, const char *command,
		       const char *path, char *rest, struct error *err)
{
	char *dest = find_member(rest, "dest");
	bool ours = relate(list, dump, path) != OTHER ||
		    (dest != NULL && relate(list, dump, dest) != OTHER);

	DEMAND(!ours || !is_one_of(command, " mkfile mkdir mknod mkfifo mksock symlink rename link "
					    "unlink rmdir "),
	       list->place, "%s of it or of a folder it is in: what it was before has another name",
	       command);
	return 0;
}

/* ---- commands ---- */

static int take_command(struct changelist *list, const char *command, char *rest, struct error *err)
{
	uint64_t offset, length;

	if (is_one_of(command, " utimes chmod chown set_xattr remove_xattr fileattr "))
		return 0;
	if (strcmp(command, "truncate") == 0) {
		TRY(take_member(list, rest, "size", &length, err));
		return changelist_size(list, length, err);
	}
	SUPPORTED(is_one_of(command, " write update_extent clone fallocate encoded_write "),
		  list->place, "command %.40s", command);
	TRY(take_member(list, rest, "offset", &offset, err));
	TRY(take_member(list, rest,
			strcmp(command, "encoded_write") == 0 ? "unencoded_file_len" : "len",
			&length, err));
	return changelist_range(list, offset, length, err);
}

static int take_line(struct changelist *list, struct dump *dump, char *line, struct error *err)
{
	char command[PATH_BYTES], path[PATH_BYTES];

	DEMAND(take_word(&line, command) && take_word(&line, path), list->place,
	       "a line without a command and a path");
	DEMAND(strcmp(command, "subvol") != 0, list->place,
	       "is a full stream: make it with btrfs send -p");
	if (strcmp(command, "snapshot") == 0) {
		DEMAND(dump->root[0] == '\0', list->place, "is of several snapshots");
		strcpy(dump->root, path);
		name_instant(list, list->since, line, "parent_uuid", "parent_transid");
		name_instant(list, list->until, line, "uuid", "transid");
		return 0;
	}
	DEMAND(dump->root[0] != '\0', list->place, "does not begin with a snapshot");
	TRY(check_names(list, dump, command, path, line, err));
	if (relate(list, dump, path) != OURS)
		return 0;
	dump->named = true;
	return take_command(list, command, line, err);
}

int changelist_btrfs(struct changelist *list, struct error *err)
{
	struct dump dump = {.named = false};
	char *line;
	int code;

	list->grain = BLOCK; /* where a file ends does not matter there */
	while ((code = changelist_line(list, &line, err)) == 1)
		TRY(take_line(list, &dump, line, err));
	if (code != 0)
		return code;
	/* A path that is mistaken must not pass for a drive that nobody wrote to. */
	DEMAND(dump.named, list->taken,
	       "has nothing of %.200s: nothing of it changed, or that is not its name", list->path);
	return 0;
}
