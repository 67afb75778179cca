#include "device/fetch.h"

#include "base/io.h"
#include "base/watcher.h"
#include "device/debugfs.h"
#include "device/grub.h"
#include "device/grub_folder.h"
#include "device/helper.h"
#include "device/tree.h"
#include "device/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 4096u
#define NO_FILE	  "not a regular file" /* as grub-fstest says it */

struct description {
	char *text; /* owned */
	size_t n, room;
};

static int take_text(void *context, const void *bytes, size_t n)
{
	struct description *sink = context;

	return helper_append(&sink->text, &sink->n, &sink->room, bytes, n);
}

/* "... - Partition start at 1024KiB - ..." or "1024.5KiB"; a drive or a volume has none. A label in
 * it may lie: then something else in the same drive is read. */
static uint64_t parse_start(const char *text)
{
	static const char before[] = "Partition start at ";
	const char *found = strstr(text, before);
	uint64_t n = 0;
	char *end;

	if (found != NULL)
		n = strtoull(found + sizeof(before) - 1, &end, 10) * 1024;
	return found != NULL && strncmp(end, ".5", 2) == 0 ? n + 512 : n;
}

/* Where a file system begins in the image that may be one of debugfs. 1: there is none. */
static int find_start(const struct fetch *fetch, uint64_t *start, struct error *err)
{
	struct description said = {0};
	const struct grub_run run = {
		.image = fetch->image,
		.words = (const char *const[GRUB_WORDS]){"ls", "--", "-l", fetch->device},
		.most_bytes = WORDS_MAX,
		.take = take_text,
		.context = &said};
	int code = take_text(&said, "", 0) != 0 ? fail_memory(err) : grub_run(&run, err);

	if (code == 0) {
		*start = parse_start(said.text);
		code = strncmp(fetch->device, "(lvm/", 5) == 0 ||
		       (strstr(said.text, "Filesystem type ext") == NULL &&
			strstr(said.text, "No known filesystem") == NULL);
	}
	free(said.text);
	return code;
}

static void put_counts(struct peek_result *result, const struct walk_counts *counts,
		       const struct entry_reader *reader)
{
	*result = (struct peek_result){.program = reader->program,
				       .n_files = counts->n_files,
				       .n_folders = counts->n_folders,
				       .n_links = counts->n_links,
				       .bytes = counts->bytes,
				       .n_failed = counts->n_failed,
				       .n_left = counts->n_left,
				       .n_owners_lost = counts->n_owners};
}

static int get_folder(struct peek_result *result, const struct fetch *fetch,
		      const struct entry_reader *reader, const struct file_entry *from,
		      struct error *err)
{
	const struct walk_options options = {.reader = reader,
					     .tree = fetch->tree,
					     .place = fetch->place,
					     .most_bytes = fetch->most_bytes,
					     .watcher = fetch->watcher};
	struct walk_counts counts;
	int code = walk_folder(&counts, &options, fetch->path, from, err);

	put_counts(result, &counts, reader);
	return code;
}

static int fail_long(const struct fetch *fetch, struct error *err)
{
	return fail(err, ERR_UNSUPPORTED, "is longer than %llu bytes; --max-size SIZE allows more",
		    (unsigned long long)fetch->most_bytes);
}

/* ---- debugfs ---- */

static int take_stream(void *context, const void *bytes, size_t n)
{
	return io_write(*(const int *)context, bytes, n);
}

static int get_known_file(struct peek_result *result, const struct fetch *fetch,
			  const struct entry_reader *reader, const struct file_entry *entry,
			  struct error *err)
{
	struct walk_counts counts = {0};
	int fd = fetch->fd, code;
	const struct entry_sink sink = {take_stream, &fd};

	if (entry->size_bytes > fetch->most_bytes)
		return fail_long(fetch, err);
	if (fetch->seekable)
		code = walk_file(&counts, reader, fetch->path, entry, fd, err);
	else
		code = reader->read(reader->context, fetch->path, entry, &sink, err);
	put_counts(result, &counts, reader);
	result->keeps_owners = fetch->seekable;
	return code;
}

/* 1: this is not for debugfs. */
static int get_by_debugfs(struct peek_result *result, const struct fetch *fetch, uint64_t start,
			  struct error *err)
{
	struct debugfs *debugfs = NULL;
	struct entry_reader reader;
	struct error why = {0};
	struct file_entry entry;
	int code = debugfs_open(&debugfs, fetch->image, start, &why);

	if (code == 0)
		code = debugfs_find(debugfs, fetch->path, &entry, &why);
	if (code != 0 || entry.kind != (fetch->tree != NULL ? ENTRY_FOLDER : ENTRY_FILE)) {
		debugfs_close(debugfs);
		return 1;
	}
	debugfs_reader(debugfs, &reader);
	if (fetch->tree == NULL)
		code = get_known_file(result, fetch, &reader, &entry, err);
	else
		code = get_folder(result, fetch, &reader, &entry, err);
	result->keeps_owners |= fetch->tree != NULL;
	debugfs_close(debugfs);
	return code;
}

/* ---- grub-fstest ---- */

struct stream {
	const struct fetch *fetch;
	uint64_t at;
};

static int take_file(void *context, const void *bytes, size_t n)
{
	struct stream *stream = context;
	const struct fetch *fetch = stream->fetch;
	int sys = 0;

	if (!fetch->seekable)
		return io_write(fetch->fd, bytes, n);
	if (*(const uint8_t *)bytes != 0 || memcmp(bytes, (const uint8_t *)bytes + 1, n - 1) != 0)
		sys = io_pwrite(fetch->fd, bytes, n, stream->at, 0);
	stream->at += n;
	return sys;
}

static int run_cat(const struct fetch *fetch, uint64_t most, struct stream *stream,
		   int (*take)(void *, const void *, size_t), struct error *err)
{
	char *path = text_make("%s%s", fetch->device, fetch->path);
	const struct grub_run run = {.image = fetch->image,
				     .words = (const char *const[GRUB_WORDS]){"cat", path},
				     .most_bytes = most,
				     .take = take,
				     .context = stream};
	int code = path == NULL ? fail_memory(err) : grub_run(&run, err);

	free(path);
	return code;
}

static int get_file_by_grub(const struct fetch *fetch, struct error *err)
{
	struct stream stream = {.fetch = fetch};
	int code = run_cat(fetch, fetch->most_bytes, &stream, take_file, err);

	if (code > 0)
		return fail_long(fetch, err);
	if (code < 0 && strstr(err->text, NO_FILE) != NULL)
		return fail(err, ERR_USAGE,
			    "is no regular file; with --recursive a folder can be got");
	if (code == 0 && fetch->seekable && ftruncate(fetch->fd, (off_t)stream.at) != 0)
		code = fail_system(err, errno, "writing it");
	return code;
}

static int take_nothing(void *context, const void *bytes, size_t n)
{
	(void)context, (void)bytes, (void)n;
	return 0;
}

/* It lists what is no folder as if that was an empty one: as a file it says why. */
static int check_folder(const struct fetch *fetch, struct error *err)
{
	int code = run_cat(fetch, 0, NULL, take_nothing, err);

	if (code < 0 && strstr(err->text, NO_FILE) == NULL)
		return code;
	*err = (struct error){0};
	return code < 0 ? 0 : fail(err, ERR_USAGE, "is a file: without --recursive it can be got");
}

static int get_by_grub(struct peek_result *result, const struct fetch *fetch, struct error *err)
{
	struct grub_folder folder = {fetch->image, fetch->device};
	const struct file_entry from = {.kind = ENTRY_FOLDER};
	struct entry_reader reader;

	grub_folder_reader(&folder, &reader);
	*result = (struct peek_result){.program = reader.program};
	if (fetch->tree == NULL)
		return get_file_by_grub(fetch, err);
	TRY(check_folder(fetch, err));
	return get_folder(result, fetch, &reader, &from, err);
}

int fetch_run(struct peek_result *result, const struct fetch *fetch, struct error *err)
{
	uint64_t start;
	int code = find_start(fetch, &start, err);

	if (code < 0)
		return code;
	if (code == 0)
		code = get_by_debugfs(result, fetch, start, err);
	return code > 0 ? get_by_grub(result, fetch, err) : code;
}
