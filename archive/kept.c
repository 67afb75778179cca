#include "archive/kept.h"

#include "archive/create_plan.h"
#include "archive/open.h"
#include "base/command.h"
#include "base/newfile.h"
#include "base/text.h"
#include "base/watcher.h"
#include "reader/input/input.h"
#include "reader/reader.h"
#include "store/memo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The lock, which belongs to the opening that is kept, stays. */
static char *second_name(int fd)
{
	return text_make("/proc/self/fd/%d", fd);
}

/* ---- whether what differs is damaged ---- */

struct scan {
	struct section extent;
	uint8_t stored[PAYLOAD_SIZE_MAX], raw[PAYLOAD_SIZE_MAX], cluster[CLUSTER_SIZE];
};

static int check_extent(const struct archive *archive, struct scan *scan, struct error *err)
{
	const uint8_t *blocks, *cluster;

	TRY(extent_open(archive, &scan->extent, scan->stored, scan->raw, &blocks, err));
	for (uint32_t i = 0; i < scan->extent.n_slots; i++) {
		if (scan->extent.slots[i].mask == 0)
			continue;
		TRY(extent_cluster(archive, &scan->extent, i, blocks, scan->cluster, &cluster,
				   err));
		blocks += (size_t)__builtin_popcount(scan->extent.slots[i].mask) * BLOCK_SIZE;
	}
	return 0;
}

/* Whether the first part of it that is not as its checksums say is where position is, or before:
 * power that was cut leaves a file with an end of zeros or of what else was there. */
static bool scan_damaged(const struct opened_archive *opened, struct scan *scan, uint64_t position)
{
	struct error err = {0};
	int code = 0;

	while (code == 0) {
		uint64_t begin = input_position(opened->input);
		int got = reader_next(opened->reader, &scan->extent, scan->stored, &err);

		if (begin > position || got == 0)
			return false;
		code = got < 0 ? got : check_extent(opened->archive, scan, &err);
	}
	return code != ERR_SYSTEM;
}

static bool is_damaged(int fd, uint64_t position)
{
	struct scan *scan = malloc(sizeof(*scan));
	struct opened_archive opened = {0};
	struct error err = {0};
	char *name = second_name(fd);
	bool is = false;

	if (scan != NULL && name != NULL && archive_open(&opened, name, 0, &err) == 0 &&
	    input_filter(opened.input) == NULL)
		is = scan_damaged(&opened, scan, position);
	archive_close(&opened);
	free(name);
	free(scan);
	return is;
}

/* ---- files ---- */

/* The file that the archive will be: one that is replaced may be the end of a link. Owned. */
static int find_path(char **out, const char *name, struct error *err)
{
	struct stat st;

	if (strcmp(name, "-") == 0 || command_of(name) != NULL ||
	    (stat(name, &st) == 0 && !S_ISREG(st.st_mode)))
		return fail(err, ERR_USAGE,
			    "%s: --resume is for an archive that is a file or an object, and with "
			    "--resume-check for exec:COMMAND",
			    name);
	if (stat(name, &st) != 0 && lstat(name, &st) == 0)
		return fail(err, ERR_USAGE, "%s: is a dangling symbolic link", name);
	*out = stat(name, &st) == 0 ? realpath(name, NULL) : strdup(name);
	return *out != NULL ? 0 : fail_system(err, errno, "%s", name);
}

static int open_file(struct kept *kept, const char *name, bool create, struct error *err)
{
	bool found;
	char *path;
	int code;

	TRY(find_path(&path, name, err));
	code = newfile_resume(&kept->to.file, &kept->to.fd, path, create, &found, err);
	free(path);
	return code;
}

/* A run that broke off at once may have left no head. */
static void read_head(struct kept *kept, const char *name, const struct watcher *watcher)
{
	struct opened_archive opened = {0};
	struct error err = {0};
	char *path = second_name(kept->to.fd);

	if (path != NULL && archive_open(&opened, path, 0, &err) == 0) {
		kept->found.any = true;
		memcpy(kept->found.uuid, opened.archive->uuid, UUID_SIZE);
		kept->found.created_ns = opened.archive->created_ns;
	} else {
		watcher_detail(watcher, "%s: what the run before has left has no head", name);
	}
	archive_close(&opened);
	free(path);
}

int kept_find(struct kept *out, const char *name, const struct create_options *options,
	      const struct watcher *watcher, struct error *err)
{
	struct stat st;

	*out = (struct kept){.to = {.fd = -1, .is_damaged = is_damaged}};
	if (options->resume_check != NULL) {
		out->to.check = options->resume_check;
		TRY(memo_find(&out->to.memo, command_of(name), &out->found, err));
		out->to.asks = out->found.any;
		return 0;
	}
	if (store_is_name(name))
		return store_writer_find(&out->to.store, name, options->retain_until, &out->found,
					 err);
	TRY(open_file(out, name, false, err));
	if (out->to.file == NULL)
		return 0;
	if (fstat(out->to.fd, &st) != 0)
		return fail_system(err, errno, "%s", name);
	out->to.n_bytes = (uint64_t)st.st_size;
	if (st.st_size > 0)
		read_head(out, name, watcher);
	if (!out->found.any)
		out->to.n_bytes = 0;
	return 0;
}

int kept_begin(struct kept *kept, const char *name, const uint8_t *uuid, struct error *err)
{
	struct store_found made = {.created_ns = kept->to.created_ns};

	if (kept->to.memo != NULL)
		return 0;
	if (kept->to.check != NULL) {
		memcpy(made.uuid, uuid, sizeof(made.uuid));
		return memo_make(&kept->to.memo, command_of(name), &made, err);
	}
	if (kept->to.file != NULL || kept->to.store != NULL)
		return 0;
	return open_file(kept, name, true, err);
}

void kept_close(struct kept *kept)
{
	if (kept->to.file != NULL) {
		newfile_free(kept->to.file);
		close(kept->to.fd);
	}
	store_writer_free(kept->to.store);
	memo_leave(kept->to.memo);
	kept->to.memo = NULL;
	kept->to.file = NULL;
	kept->to.store = NULL;
}
