/*
 * Its long listing leaves out what it cannot open: links to folders or to nothing, and special
 * files. So there is a second, short one, which has all names, in the same order.
 */
#include "device/grub_folder.h"

#include "device/grub.h"
#include "device/grub_unread.h"
#include "device/helper.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAX (64u << 20)

struct text_sink {
	char *text; /* owned */
	size_t n, room;
};

static int take_text(void *context, const void *bytes, size_t n)
{
	struct text_sink *sink = context;

	return helper_append(&sink->text, &sink->n, &sink->room, bytes, n);
}

static int ask(const struct grub_folder *folder, const char *how, const char *path, char **out,
	       struct error *err)
{
	struct text_sink sink = {0};
	char *place = text_make("%s%s", folder->device, path);
	const char *const words[GRUB_WORDS] = {"ls", "--", how, place};
	const struct grub_run run = {.image = folder->image,
				     .words = words,
				     .most_bytes = LIST_MAX,
				     .take = take_text,
				     .context = &sink};
	int code;

	if (place == NULL || take_text(&sink, "", 0) != 0)
		code = fail_memory(err);
	else
		code = grub_run(&run, err);
	free(place);
	if (code > 0)
		code = fail(err, ERR_UNSUPPORTED, "a listing of more than %u bytes", LIST_MAX);
	if (code == 0)
		*out = sink.text;
	else
		free(sink.text);
	return code;
}

/* YYYYMMDDhhmmss, in UTC. */
static bool parse_time(const char *text, struct file_entry *out)
{
	struct tm at = {0};
	int *const parts[] = {&at.tm_year, &at.tm_mon, &at.tm_mday,
			      &at.tm_hour, &at.tm_min, &at.tm_sec};

	if (strspn(text, "0123456789") != 14 || text[14] != ' ')
		return false;
	for (unsigned i = 0; i < 6; i++) {
		unsigned n = i == 0 ? 4 : 2;

		while (n-- > 0)
			*parts[i] = *parts[i] * 10 + *text++ - '0';
	}
	at.tm_year -= 1900;
	at.tm_mon -= 1;
	out->time_s = timegm(&at);
	out->has_time = true;
	return true;
}

/* "SIZE  TIME NAME" or "DIR  TIME NAME/". */
bool grub_folder_line(const char *line, size_t n, struct file_entry *out)
{
	const char *end = line + n;

	*out = (struct file_entry){.kind = ENTRY_FILE};
	if (strncmp(line, "DIR ", 4) == 0)
		out->kind = ENTRY_FOLDER;
	else if (!isdigit((unsigned char)*line))
		return false;
	else
		out->size_bytes = strtoull(line, NULL, 10);
	line += strcspn(line, " \n");
	line += strspn(line, " ");
	if (line < end && parse_time(line, out))
		line += 15;
	if (out->kind == ENTRY_FOLDER && line < end && end[-1] == '/')
		end--;
	return line < end && entry_name_set(out, line, (size_t)(end - line));
}

static int add_lines(struct entries *out, const char *text, struct error *err)
{
	for (const char *line = text, *end; *line != '\0'; line = end + (*end == '\n')) {
		struct file_entry entry;

		end = strchrnul(line, '\n');
		if (end == line || (end - line > 3 && memcmp(end - 3, " ./", 3) == 0) ||
		    (end - line > 4 && memcmp(end - 4, " ../", 4) == 0))
			continue;
		if (grub_folder_line(line, (size_t)(end - line), &entry))
			TRY(entries_add(out, &entry, err));
		else
			out->n_unusable++;
	}
	return 0;
}

/* What of the short listing is not in the long one. */
static int find_unread(const struct grub_folder *folder, const char *path, struct entries *out,
		       struct error *err)
{
	uint64_t n_looks;
	char *text = NULL;
	int sys;

	TRY(ask(folder, "-a", path, &text, err));
	sys = grub_unread(text, out, &out->unread, &n_looks);
	free(text);
	return sys == 0 ? 0 : fail_memory(err);
}

static int list(void *context, const char *path, uint64_t id, struct entries *out,
		struct error *err)
{
	char *text = NULL;
	int code;

	(void)id;
	TRY(ask(context, "-la", path, &text, err));
	code = add_lines(out, text, err);
	free(text);
	return code != 0 ? code : find_unread(context, path, out, err);
}

static int look(void *context, struct file_entry *entry, char target[ENTRY_LINK_MAX],
		struct error *err)
{
	(void)context, (void)entry, (void)target, (void)err;
	return 0;
}

static int read_file(void *context, const char *path, const struct file_entry *entry,
		     const struct entry_sink *sink, struct error *err)
{
	const struct grub_folder *folder = context;
	char *place = text_make("%s%s", folder->device, path);
	const char *const words[GRUB_WORDS] = {"cat", place};
	const struct grub_run run = {.image = folder->image,
				     .words = words,
				     .most_bytes = entry->size_bytes,
				     .take = sink->take,
				     .context = sink->context};
	int code = place == NULL ? fail_memory(err) : grub_run(&run, err);

	free(place);
	return code > 0 ? fail(err, ERR_SYSTEM, "is longer than its folder says") : code;
}

void grub_folder_reader(struct grub_folder *folder, struct entry_reader *out)
{
	*out = (struct entry_reader){.program = "grub-fstest",
				     .list = list,
				     .look = look,
				     .read = read_file,
				     .context = folder};
}
