/*
 * It takes commands from its standard input and repeats each before it does it. So after each comes
 * one that does nothing much, with a word that nobody who made the file system could know: what is
 * between the two is the answer, and what it said on standard error until then is of this command.
 *
 * Names go nowhere but into listings; files are asked for by the numbers of their inodes.
 */
#include "device/debugfs.h"

#include "base/child.h"
#include "base/io.h"
#include "device/helper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PROGRAM	 "debugfs"
#define PART	 (256u << 10)
#define TEXT_MAX (64u << 20) /* of a listing */

struct debugfs {
	struct child child;
	char mark[64], end[80]; /* "params WORD", and what that is repeated as */
	char *part;		/* owned: PART bytes and those kept back of the last */
};

struct text_sink {
	char *text; /* owned */
	size_t n, room;
};

/* ---- one command ---- */

/* What it said on standard error. Empty: nothing, but for its version at the start. */
static void take_words(struct debugfs *debugfs, char *out, size_t room)
{
	char words[2000], *rest = NULL;

	child_words(&debugfs->child, 0, words, sizeof(words));
	out[0] = '\0';
	for (char *line = strtok_r(words, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, PROGRAM " 1.", 10) == 0)
			continue;
		escape_text(out, room, (const uint8_t *)line, strlen(line));
		return;
	}
}

/* The answer, which begins after a text, goes to the sink until the end mark. */
static int take_answer(struct debugfs *debugfs, const char *begin, uint64_t most,
		       const struct entry_sink *sink, struct error *err)
{
	size_t kept = 0, n_end = strlen(debugfs->end);
	bool in_answer = false;
	uint64_t n = 0;

	for (;;) {
		char *from = debugfs->part, *end;
		size_t got, usable;
		int sys;

		TRY(helper_read(&debugfs->child, PROGRAM, from + kept, PART - kept, &got, err));
		if (got == 0)
			return fail(err, ERR_SYSTEM, PROGRAM " has ended");
		kept += got;
		if (!in_answer) {
			char *at = memmem(from, kept, begin, strlen(begin));

			if (at == NULL && kept == PART)
				return fail(err, ERR_UNSUPPORTED,
					    PROGRAM " answers otherwise than expected");
			if (at == NULL)
				continue;
			at += strlen(begin);
			in_answer = true;
			kept -= (size_t)(at - from);
			memmove(from, at, kept);
		}
		end = memmem(from, kept, debugfs->end, n_end);
		usable = end != NULL ? (size_t)(end - from) : kept >= n_end ? kept - n_end + 1 : 0;
		n += usable;
		if (n > most)
			return fail(err, ERR_UNSUPPORTED, "is longer than %" PRIu64 " bytes", most);
		sys = usable > 0 ? sink->take(sink->context, from, usable) : 0;
		if (sys != 0)
			return fail_system(err, sys, "writing it");
		if (end != NULL)
			return 0;
		kept -= usable;
		memmove(from, from + usable, kept);
	}
}

static int run(struct debugfs *debugfs, const char *command, uint64_t most,
	       const struct entry_sink *sink, struct error *err)
{
	char words[400], *both = text_make("%s\n%s\n", command, debugfs->mark);
	char *begin = text_make(PROGRAM ": %s\n", command);
	int sys = 0, code = both == NULL || begin == NULL ? fail_memory(err) : 0;

	if (code == 0)
		sys = io_write(debugfs->child.in, both, strlen(both));
	if (sys != 0)
		code = fail_system(err, sys, PROGRAM);
	if (code == 0)
		code = take_answer(debugfs, begin, most, sink, err);
	free(both);
	free(begin);
	if (code != 0) /* what comes next is not of the next command */
		child_kill(&debugfs->child);
	take_words(debugfs, words, sizeof(words));
	if (code == 0 && words[0] != '\0')
		code = fail(err, ERR_SYSTEM, PROGRAM ": %s", words);
	return code;
}

static int take_text(void *context, const void *bytes, size_t n)
{
	struct text_sink *sink = context;

	return helper_append(&sink->text, &sink->n, &sink->room, bytes, n);
}

/* The answer as a text, which the caller frees. */
static int ask(struct debugfs *debugfs, const char *command, char **out, struct error *err)
{
	struct text_sink text = {0};
	const struct entry_sink sink = {take_text, &text};
	int code = take_text(&text, "", 0) != 0 ? fail_memory(err)
						: run(debugfs, command, TEXT_MAX, &sink, err);

	if (code == 0)
		*out = text.text;
	else
		free(text.text);
	return code;
}

/* ---- what it answers ---- */

static enum entry_kind kind_of(uint32_t mode)
{
	return S_ISREG(mode)   ? ENTRY_FILE
	       : S_ISDIR(mode) ? ENTRY_FOLDER
	       : S_ISLNK(mode) ? ENTRY_LINK
			       : ENTRY_OTHER;
}

/* "/INODE/MODE/UID/GID/NAME/SIZE/", without a size for folders. 0: it is not of that form. */
static bool parse_line(const char *line, size_t n, struct file_entry *out, const char **name,
		       size_t *n_name)
{
	const char *last = n > 1 ? memrchr(line, '/', n - 1) : NULL;
	uint32_t inode, mode, uid, gid;
	int at = 0;

	if (n < 2 || line[n - 1] != '/' || last == NULL ||
	    sscanf(line, "/%" SCNu32 "/%" SCNo32 "/%" SCNu32 "/%" SCNu32 "/%n", &inode, &mode, &uid,
		   &gid, &at) != 4 ||
	    at == 0 || line + at > last)
		return false;
	*out = (struct file_entry){.kind = kind_of(mode),
				   .id = inode,
				   .mode = mode & 07777,
				   .uid = uid,
				   .gid = gid,
				   .size_bytes = strtoull(last + 1, NULL, 10),
				   .has_owner = true};
	*name = line + at;
	*n_name = (size_t)(last - *name);
	return true;
}

static int add_line(struct entries *entries, const char *line, size_t n, struct error *err)
{
	struct file_entry entry;
	const char *name;
	size_t n_name;

	if (n == 0)
		return 0;
	if (!parse_line(line, n, &entry, &name, &n_name)) {
		entries->n_unusable++;
		return 0;
	}
	if (entry.id == 0 || (n_name <= 2 && memcmp(name, "..", n_name) == 0 && n_name > 0))
		return 0;
	if (entry_name_set(&entry, name, n_name))
		return entries_add(entries, &entry, err);
	entries->n_unusable++;
	return 0;
}

static int list(void *context, const char *path, uint64_t id, struct entries *out,
		struct error *err)
{
	char command[40], *text = NULL;
	int code;

	(void)path;
	snprintf(command, sizeof(command), "ls -p <%" PRIu64 ">", id);
	TRY(ask(context, command, &text, err));
	code = 0;
	for (char *line = text, *end; code == 0 && *line != '\0'; line = end + (*end == '\n')) {
		end = strchrnul(line, '\n');
		code = add_line(out, line, (size_t)(end - line), err);
	}
	free(text);
	return code;
}

/* The number after "WORD" where a line, or a part of one, begins with that. */
static bool number_after(const char *text, const char *word, int base, uint64_t *out)
{
	const char *found = strstr(text, word);

	if (found == NULL)
		return false;
	*out = strtoull(found + strlen(word), NULL, base);
	return true;
}

/* " mtime: 0xSECONDS:EXTRA -- ...": the low two bits of EXTRA continue the seconds, which are
 * signed; the others are nanoseconds. Small inodes have no EXTRA. */
static void parse_time(const char *text, struct file_entry *out)
{
	const char *found = strstr(text, " mtime: 0x");
	char *end;
	uint64_t extra = 0;

	if (found == NULL)
		return;
	out->time_s = (int32_t)strtoul(found + 10, &end, 16);
	if (*end == ':')
		extra = strtoul(end + 1, NULL, 16);
	out->time_s += (int64_t)(extra & 3) << 32;
	out->time_ns = (uint32_t)(extra >> 2);
	out->has_time = out->time_ns < 1000000000;
}

static enum entry_kind kind_by_word(const char *text)
{
	static const struct {
		const char *word;
		enum entry_kind kind;
	} kinds[] = {{"Type: regular", ENTRY_FILE},
		     {"Type: directory", ENTRY_FOLDER},
		     {"Type: symlink", ENTRY_LINK}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strstr(text, kinds[i].word) != NULL)
			return kinds[i].kind;
	return ENTRY_OTHER;
}

/* The first lines of what stat says: all before what may be text of the file system's maker. */
static int parse_stat(char *text, struct file_entry *out, struct error *err)
{
	char *tail = strstr(text, "\nSize of extra inode fields:");
	uint64_t inode, mode, uid, gid, size, links;
	const char *owner = strstr(text, "\nUser:");

	if (tail != NULL)
		*tail = '\0';
	if (owner == NULL || !number_after(text, "Inode:", 10, &inode) ||
	    !number_after(text, "Mode:", 8, &mode) || !number_after(owner, "User:", 10, &uid) ||
	    !number_after(owner, "Group:", 10, &gid) || !number_after(owner, "Size:", 10, &size) ||
	    !number_after(text, "\nLinks:", 10, &links))
		return fail(err, ERR_UNSUPPORTED, PROGRAM " answers otherwise than expected");
	out->id = inode;
	out->kind = kind_by_word(text);
	out->mode = mode & 07777;
	out->uid = (uint32_t)uid;
	out->gid = (uint32_t)gid;
	out->size_bytes = size;
	out->n_links = (uint32_t)links;
	out->has_owner = true;
	parse_time(text, out);
	return 0;
}

/* A short link is in its inode, and the answer says it; a long one is data. */
struct link_sink {
	char *to;
	size_t n;
};

static int take_link(void *context, const void *bytes, size_t n)
{
	struct link_sink *sink = context;

	memcpy(sink->to + sink->n, bytes, n); /* at most size_bytes, which fits */
	sink->n += n;
	return 0;
}

static int read_target(struct debugfs *debugfs, const struct file_entry *entry, const char *fast,
		       char target[ENTRY_LINK_MAX], struct error *err)
{
	struct link_sink link = {target, 0};
	const struct entry_sink sink = {take_link, &link};
	char command[40];

	if (entry->size_bytes == 0 || entry->size_bytes >= ENTRY_LINK_MAX)
		return fail(err, ERR_SYSTEM, "a symbolic link of %" PRIu64 " bytes",
			    entry->size_bytes);
	if (fast != NULL && strnlen(fast, entry->size_bytes) == entry->size_bytes) {
		memcpy(target, fast, entry->size_bytes);
		link.n = entry->size_bytes;
	} else {
		snprintf(command, sizeof(command), "cat <%" PRIu64 ">", entry->id);
		TRY(run(debugfs, command, entry->size_bytes, &sink, err));
	}
	target[link.n] = '\0';
	if (link.n != entry->size_bytes || strlen(target) != link.n)
		return fail(err, ERR_SYSTEM, "a symbolic link that cannot be read");
	return 0;
}

static int look(void *context, struct file_entry *entry, char target[ENTRY_LINK_MAX],
		struct error *err)
{
	static const char fast_begin[] = "\nFast link dest: \"";
	char command[40], *text = NULL, *fast;
	int code;

	snprintf(command, sizeof(command), "stat <%" PRIu64 ">", entry->id);
	TRY(ask(context, command, &text, err));
	fast = strstr(text, fast_begin);
	code = parse_stat(text, entry, err);
	if (code == 0 && entry->kind == ENTRY_LINK)
		code = read_target(context, entry,
				   fast != NULL ? fast + sizeof(fast_begin) - 1 : NULL, target,
				   err);
	free(text);
	return code;
}

static int read_file(void *context, const char *path, const struct file_entry *entry,
		     const struct entry_sink *sink, struct error *err)
{
	char command[40];

	(void)path;
	snprintf(command, sizeof(command), "cat <%" PRIu64 ">", entry->id);
	return run(context, command, entry->size_bytes, sink, err);
}

int debugfs_find(struct debugfs *debugfs, const char *path, struct file_entry *out,
		 struct error *err)
{
	char *command, *text = NULL;
	int code;

	for (const char *c = path; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == '"' || *c == 0x7f)
			return fail(err, ERR_UNSUPPORTED,
				    "a path with characters that " PROGRAM " does not take");
	}
	command = text_make("stat \"%s\"", path);
	if (command == NULL)
		return fail_memory(err);
	code = ask(debugfs, command, &text, err);
	free(command);
	*out = (struct file_entry){0};
	if (code == 0)
		code = parse_stat(text, out, err);
	free(text);
	return code;
}

/* ---- the process ---- */

static int start(struct debugfs *debugfs, const char *image, struct error *err)
{
	/* Where programs for administrators are not in the user's path. */
	static const char *const programs[] = {NULL, "/usr/sbin/" PROGRAM, "/sbin/" PROGRAM};
	const char *const argv[] = {PROGRAM, "-f", "-", image, NULL};
	struct child_options how = {.argv = argv,
				    .in = CHILD_PIPE,
				    .out = CHILD_PIPE,
				    .err = CHILD_PIPE,
				    .dies_with_us = true};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		how.program = programs[i];
		if (child_start(&debugfs->child, &how, err) == 0) {
			helper_limit(&debugfs->child);
			*err = (struct error){0};
			return 0;
		}
		child_close(&debugfs->child);
	}
	err->code = ERR_UNSUPPORTED;
	return err->code;
}

static int open_all(struct debugfs *debugfs, const char *image, uint64_t offset, struct error *err)
{
	char *where, *text = NULL;
	uint64_t chance[2];
	int code;

	/* It takes what comes after a question mark for options. */
	if (strchr(image, '?') != NULL)
		return fail(err, ERR_UNSUPPORTED, "%.300s: a name with '?'", image);
	if (getrandom(chance, sizeof(chance), 0) != sizeof(chance))
		return fail(err, ERR_UNSUPPORTED, "no random numbers");
	snprintf(debugfs->mark, sizeof(debugfs->mark), "params end-%016" PRIx64 "%016" PRIx64,
		 chance[0], chance[1]);
	snprintf(debugfs->end, sizeof(debugfs->end), PROGRAM ": %s\n", debugfs->mark);
	debugfs->part = malloc(PART);
	where = text_make(offset == 0 ? "%s" : "%s?offset=%" PRIu64, image, offset);
	code = where == NULL || debugfs->part == NULL ? fail_memory(err)
						      : start(debugfs, where, err);
	free(where);
	if (code == 0)
		code = ask(debugfs, "stat <2>", &text, err);
	free(text);
	return code;
}

int debugfs_open(struct debugfs **out, const char *image, uint64_t offset, struct error *err)
{
	struct debugfs *debugfs = calloc(1, sizeof(*debugfs));
	int code;

	if (debugfs == NULL)
		return fail_memory(err);
	debugfs->child = CHILD_NONE;
	code = open_all(debugfs, image, offset, err);
	if (code == 0)
		*out = debugfs;
	else
		debugfs_close(debugfs);
	return code;
}

void debugfs_close(struct debugfs *debugfs)
{
	if (debugfs == NULL)
		return;
	child_close(&debugfs->child);
	free(debugfs->part);
	free(debugfs);
}

void debugfs_reader(struct debugfs *debugfs, struct entry_reader *out)
{
	*out = (struct entry_reader){.program = PROGRAM,
				     .list = list,
				     .look = look,
				     .read = read_file,
				     .context = debugfs};
}
