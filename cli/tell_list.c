#include "cli/tell_list.h"

#include "archive/open.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "cli/group_increment.h"
#include "cli/memory.h"
#include "cli/say.h"
#include "format/drive_marks.h"
#include "reader/input/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_TEXT_SIZE 1021u /* 255 bytes as \xNN, NUL */
#define NOTE_TEXT_SIZE 4000u /* longer notes are cut */
#define COLUMN_MAX     40    /* longer names break the alignment */

static const char *checksum_text(const struct archive *archive)
{
	switch (archive->cluster_checksum) {
	case CLUSTER_XXH3_128:
		return "xxh3-128";
	case CLUSTER_XXH3_64:
		return "xxh3-64";
	default:
		return "none";
	}
}

static void print_key(const char *key, const char *value)
{
	say(stdout, "%-11s %s\n", key, value);
}

static void print_note(const char *key, struct text text)
{
	char shown[NOTE_TEXT_SIZE];

	if (text.length > 0)
		print_key(key, human_note(shown, sizeof(shown), text.bytes, text.length));
}

static void print_end(const struct archive *archive, const struct list_end *end)
{
	char sizes[3][HUMAN_SIZE];

	if (end->found == 0)
		print_key("complete",
			  "unknown: only 'vmabak verify' shows it, by reading everything");
	if (end->found < 0)
		print_key("complete", "NO");
	if (end->found <= 0)
		return;
	print_key("complete", "end mark found, contents not checked (vmabak verify)");
	say(stdout, "%-11s %s, for %s of data in %s\n", "stored",
	    human_size(sizes[0], end->totals.archive_size),
	    human_size(sizes[1], end->totals.raw_size),
	    human_size(sizes[2], archive_drive_bytes(archive)));
}

static void print_head(const struct opened_archive *opened, const struct list_end *end)
{
	const struct archive *archive = opened->archive;
	const char *filter = input_filter(opened->input);
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE];

	say(stdout, "%-11s %s%s%s%s\n", "format",
	    archive->format == FORMAT_VMAB ? "VMAB 1" : "VMA 1", filter == NULL ? "" : ", ",
	    filter == NULL ? "" : filter, filter == NULL ? "" : "-compressed");
	print_key("uuid", format_uuid(uuid, archive->uuid));
	if (archive_is_incremental(archive))
		print_key("parent", format_uuid(uuid, archive->parent));
	print_key("created", human_local_time(when, archive->created_ns));
	say(stdout, "%-11s %s\n", "checksums",
	    archive->cluster_checksum == CLUSTER_UNPROTECTED ? "of headers only, none of the data"
							     : checksum_text(archive));
	print_end(archive, end);
	print_note("note", archive->note);
	print_note("checkpoint", archive->checkpoint);
	print_note("since", archive->parent_checkpoint);
}

struct row {
	struct text name;
	uint64_t size_bytes, left_out_bytes;
};

static void print_left_out(uint64_t bytes)
{
	char size[HUMAN_SIZE];

	if (bytes > 0)
		say(stdout, "  %s of free space left out", human_size(size, bytes));
	say(stdout, "\n");
}

static void print_rows(const char *title, const struct row *rows, uint32_t n)
{
	char name[NAME_TEXT_SIZE], size[HUMAN_SIZE];
	int width = 4, digits = 5;

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		int length = (int)strlen(
			escape_text(name, sizeof(name), rows[i].name.bytes, rows[i].name.length));
		int places = snprintf(NULL, 0, "%llu", (unsigned long long)rows[i].size_bytes);

		if (length > width)
			width = length < COLUMN_MAX ? length : COLUMN_MAX;
		if (places > digits)
			digits = places;
	}
	say(stdout, "\n%-6s  %-*s  %*s  %8s\n", title, width, "NAME", digits, "BYTES", "SIZE");
	for (uint32_t i = 0; i < n; i++) {
		say(stdout, "%6u  %-*s  %*llu  %8s", i + 1, width,
		    escape_text(name, sizeof(name), rows[i].name.bytes, rows[i].name.length),
		    digits, (unsigned long long)rows[i].size_bytes,
		    human_size(size, rows[i].size_bytes));
		print_left_out(rows[i].left_out_bytes);
	}
}

void list_print(const struct opened_archive *opened, const struct list_end *end)
{
	const struct archive *archive = opened->archive;
	uint32_t most =
		archive->n_drives > archive->n_configs ? archive->n_drives : archive->n_configs;
	struct row *rows = memory_new(most, sizeof(*rows));
	struct drive_mark *marks = memory_new(archive->n_drives + 1, sizeof(*marks));

	print_head(opened, end);
	drive_marks_read(archive, marks);
	for (uint32_t i = 0; i < archive->n_drives; i++)
		rows[i] = (struct row){archive->drives[i].name, archive->drives[i].size_bytes,
				       marks[i].left_out_bytes};
	free(marks);
	print_rows("DRIVE", rows, archive->n_drives);
	for (uint32_t i = 0; i < archive->n_configs; i++)
		rows[i] =
			(struct row){archive->configs[i].name, archive->configs[i].data.length, 0};
	print_rows("CONFIG", rows, archive->n_configs);
	free(rows);
}

/* ---- several archives: a line for each ---- */

static int name_width(const struct strings *names)
{
	char name[NAME_TEXT_SIZE];
	int width = (int)strlen("ARCHIVE");

	for (unsigned i = 0; i < names->n; i++) {
		const uint8_t *bytes = (const uint8_t *)names->items[i];
		int length =
			(int)strlen(human_note(name, sizeof(name), bytes, strlen(names->items[i])));

		if (length > width)
			width = length < COLUMN_MAX ? length : COLUMN_MAX;
	}
	return width;
}

void list_table_title(const struct strings *names)
{
	say(stdout, "%-*s  %-23s  %6s  %8s  %8s  %8s\n", name_width(names), "ARCHIVE", "CREATED",
	    "DRIVES", "OF", "DATA", "STORED");
}

void list_table_row(const struct strings *names, const struct opened_archive *opened,
		    const struct list_end *end)
{
	const struct archive *archive = opened->archive;
	char name[NAME_TEXT_SIZE], when[HUMAN_SIZE], all[HUMAN_SIZE];
	char data[HUMAN_SIZE] = "-", stored[HUMAN_SIZE] = "-";

	human_note(name, sizeof(name), (const uint8_t *)opened->name, strlen(opened->name));
	if (end->found > 0) {
		human_size(data, end->totals.raw_size);
		human_size(stored, end->totals.archive_size);
	}
	say(stdout, "%-*s  %-23s  %6u  %8s  %8s  %8s%s%s\n", name_width(names), name,
	    human_local_time(when, archive->created_ns), archive->n_drives,
	    human_size(all, archive_drive_bytes(archive)), data, stored,
	    archive_is_incremental(archive) ? "  incremental" : "",
	    end->found < 0 ? "  NOT COMPLETE" : "");
}

static void put_text_or_null(struct json_t *result, const char *key, struct text text)
{
	if (text.length > 0)
		json_put_bytes(result, key, text);
	else
		json_put_null(result, key);
}

static struct json_t *add_one(struct json_t *array, struct text name, uint64_t size_bytes)
{
	struct json_t *one = json_add_object(array);

	json_put_bytes(one, "name", name);
	json_put_number(one, "size_bytes", size_bytes);
	return one;
}

static void put_contents(const struct archive *archive, struct json_t *result)
{
	struct json_t *drives = json_put_array(result, "drives");
	struct json_t *configs = json_put_array(result, "configs"), *one;
	struct drive_mark *marks = memory_new(archive->n_drives + 1, sizeof(*marks));

	drive_marks_read(archive, marks);
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		one = add_one(drives, archive->drives[i].name, archive->drives[i].size_bytes);
		increment_put_mark(&marks[i], one);
	}
	free(marks);
	for (uint32_t i = 0; i < archive->n_configs; i++)
		add_one(configs, archive->configs[i].name, archive->configs[i].data.length);
}

static void put_end(const struct list_end *end, struct json_t *result)
{
	if (end->found == 0)
		json_put_null(result, "complete");
	else
		json_put_bool(result, "complete", end->found > 0);
	if (end->found <= 0)
		return;
	json_put_number(result, "archive_bytes", end->totals.archive_size);
	json_put_number(result, "data_bytes", end->totals.raw_size);
	json_put_number(result, "data_clusters", end->totals.n_data);
	json_put_number(result, "zero_clusters", end->totals.n_zero);
}

void list_put(const struct opened_archive *opened, const struct list_end *end,
	      struct json_t *result)
{
	const struct archive *archive = opened->archive;
	bool incremental = archive_is_incremental(archive);
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE];

	json_put_text(result, "archive", opened->name);
	json_put_text(result, "format", archive_format_name(archive));
	json_put_text(result, "filter", input_filter(opened->input));
	json_put_text(result, "uuid", format_uuid(uuid, archive->uuid));
	json_put_text(result, "parent_uuid",
		      incremental ? format_uuid(uuid, archive->parent) : NULL);
	json_put_text(result, "created", human_time(when, archive->created_ns));
	json_put(result, "created_ns", json_make("I", (long long)archive->created_ns));
	json_put_text(result, "checksum", checksum_text(archive));
	put_end(end, result);
	put_text_or_null(result, "note", archive->note);
	put_text_or_null(result, "checkpoint", archive->checkpoint);
	put_text_or_null(result, "parent_checkpoint", archive->parent_checkpoint);
	put_contents(archive, result);
}
