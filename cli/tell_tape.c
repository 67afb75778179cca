#include "cli/tell_tape.h"

#include "archive/open.h"
#include "base/human.h"
#include "base/json.h"
#include "base/parse.h"
#include "base/tape.h"
#include "cli/say.h"
#include "cli/tell_list.h"
#include "format/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILES_MAX 100000u /* of a tape */

struct listing {
	const char *path;
	struct report *report;
	struct json_t *archives; /* NULL: text */
	unsigned number;	 /* from 1 */
	int code;		 /* the exit code */
};

bool list_is_tape(const char *path)
{
	return tape_is_name(path);
}

static int open_tape(const struct listing *listing, int *fd, struct error *err)
{
	*fd = open(listing->path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? tape_fail_open(listing->path, errno, err) : 0;
}

static struct json_t *begin_object(const struct listing *listing)
{
	struct json_t *one = json_add_object(listing->archives);

	json_put_number(one, "number", listing->number);
	return one;
}

static void tell_archive(const struct listing *listing, const struct opened_archive *opened,
			 uint32_t volume)
{
	const struct archive *archive = opened->archive;
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE], all[HUMAN_SIZE];
	const struct list_end end = {0};
	struct json_t *one;

	if (listing->archives == NULL) {
		say(stdout, "%6u  %6u  %-23s  %6u  %8s  %s%s\n", listing->number, volume,
		    human_local_time(when, archive->created_ns), archive->n_drives,
		    human_size(all, archive_drive_bytes(archive)), format_uuid(uuid, archive->uuid),
		    archive_is_incremental(archive) ? "  incremental" : "");
		return;
	}
	one = begin_object(listing);
	list_put(opened, &end, one);
	json_put_number(one, "volume", volume);
}

/* A volume that another tape begins. */
static void tell_volume(const struct listing *listing, const struct volume_mark *label)
{
	char uuid[UUID_TEXT_SIZE], when[HUMAN_SIZE];
	struct json_t *one;

	if (listing->archives == NULL) {
		say(stdout, "%6u  %6u  %-23s  %6s  %8s  %s\n", listing->number, label->number,
		    human_local_time(when, label->written_ns), "-", "-",
		    format_uuid(uuid, label->uuid));
		return;
	}
	one = begin_object(listing);
	json_put_text(one, "uuid", format_uuid(uuid, label->uuid));
	json_put_number(one, "volume", label->number);
}

static void tell_strange(struct listing *listing, struct error *why)
{
	error_prefix(why, "archive %u", listing->number);
	if (listing->archives != NULL)
		json_put(begin_object(listing), "error", report_error_object(listing->report, why));
	listing->code =
		exit_code_worse(listing->code, report_error_line(listing->report, NULL, why));
}

/* The drive is closed meanwhile, and the tape at the beginning of the archive. */
static void list_archive(struct listing *listing, uint32_t volume)
{
	struct opened_archive opened;
	struct error why = {0};

	if (archive_open(&opened, listing->path, 0, &why) == 0)
		tell_archive(listing, &opened, volume);
	else
		tell_strange(listing, &why);
	archive_close(&opened);
}

/* Where the tape is. *more: something was there. */
static int list_here(struct listing *listing, int *fd, bool *more, struct error *err)
{
	uint8_t first[VOLUME_MARK_SIZE];
	struct volume_mark label;
	struct error ignored;
	enum tape_content content = tape_look(*fd, first, sizeof(first));

	*more = content != TAPE_BLANK;
	if (content == TAPE_UNKNOWN)
		return fail(err, ERR_SYSTEM, "%s: archive %u cannot be read", listing->path,
			    listing->number);
	if (content != TAPE_DATA)
		return 0;
	bool known = volume_parse(first, &label, &ignored) == 0 && label.kind == VOLUME_LABEL;
	if (known && label.number > 1) {
		tell_volume(listing, &label);
	} else {
		TRY(tape_to_begin_of_file(*fd, listing->path, err));
		close(*fd);
		list_archive(listing, 1);
		TRY(open_tape(listing, fd, err));
	}
	return tape_next_file(*fd, listing->path, err);
}

static int list_all(struct listing *listing, int *fd, struct error *err)
{
	bool more = true;
	int code = 0;

	TRY(open_tape(listing, fd, err));
	TRY(tape_rewind(*fd, listing->path, err));
	for (listing->number = 1; more && code == 0 && listing->number <= FILES_MAX;
	     listing->number++)
		code = list_here(listing, fd, &more, err);
	/* The last one has no filemark. */
	if (code == ERR_INCOMPLETE)
		*err = (struct error){0};
	return code == 0 || code == ERR_INCOMPLETE ? tape_rewind(*fd, listing->path, err) : code;
}

int list_tape(const char *path, struct report *report, struct json_t *object, struct error *err)
{
	struct listing listing = {.path = path, .report = report, .code = EXIT_DONE};
	int fd = -1;

	if (report->json) {
		json_put_text(object, "tape", path);
		listing.archives = json_put_array(object, "archives");
	} else {
		say(stdout, "%6s  %6s  %-23s  %6s  %8s  %s\n", "NUMBER", "VOLUME", "CREATED",
		    "DRIVES", "OF", "UUID");
	}
	if (list_all(&listing, &fd, err) != 0)
		listing.code = exit_code_worse(listing.code, report_error_line(report, NULL, err));
	if (fd >= 0)
		close(fd);
	report_flush(report);
	return listing.code;
}
