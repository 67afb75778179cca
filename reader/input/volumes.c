/*
 * Records in a buffer that always holds the beginning of a record when one begins, because only
 * there a mark can be. A tape that is damaged loses whole records, so this goes on there, too.
 */
#include "reader/input/parts.h"

#include "base/changer.h"
#include "base/parse.h"
#include "format/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A block of the tape behind what is left of a record's beginning. */
#define BUFFER_SIZE (TAPE_READ + VOLUME_MARK_SIZE)

struct volumes {
	struct descriptor *from;
	struct changer *changer; /* owned, or NULL */
	bool tolerant;
	bool ended;  /* no volume follows */
	bool is_new; /* the label of another tape is next, where a record may have ended */
	struct volume_mark label; /* of the volume at hand */
	enum volume_kind last;	  /* the last mark seen */
	uint64_t place;		  /* bytes of the archive handed out, and lost ones */
	uint32_t in_record;	  /* bytes of the record at hand that were passed */
	uint32_t repeated;	  /* of the next one, which ended the volume before, incomplete */
	uint8_t *buffer;	  /* owned */
	size_t begin, end;	  /* what is in it */
};

/* ---- the next tape ---- */

static int check_label(const struct volumes *volumes, const struct volume_mark *found,
		       struct error *err)
{
	const struct volume_mark *label = &volumes->label;
	uint32_t wanted = label->number + 1;
	char uuid[UUID_TEXT_SIZE];

	if (memcmp(found->set, label->set, UUID_SIZE) != 0)
		return fail(err, ERR_USAGE,
			    "volume %" PRIu32 " is wanted, and this is volume %" PRIu32
			    " of another set, of the archive %s",
			    wanted, found->number, format_uuid(uuid, found->uuid));
	if (volumes->tolerant ? found->number < wanted : found->number != wanted)
		return fail(err, ERR_USAGE,
			    "volume %" PRIu32 " is wanted, and this is volume %" PRIu32, wanted,
			    found->number);
	if (!volumes->tolerant && found->place != volumes->place - volumes->in_record)
		return fail(err, ERR_DAMAGED,
			    "volume %" PRIu32 " begins at byte %" PRIu64
			    ", and the one before ended at byte %" PRIu64,
			    found->number, found->place, volumes->place);
	return 0;
}

static void begin_volume(struct volumes *volumes, const struct volume_mark *label)
{
	volumes->repeated = volumes->in_record;
	if (label->place + volumes->repeated != volumes->place)
		volumes->repeated = 0;
	volumes->label = *label;
	volumes->last = VOLUME_LABEL;
	volumes->place = label->place;
	volumes->in_record = 0;
}

/* The label of the tape in the drive, whose first block is in the buffer then. */
static int read_label(struct volumes *volumes, struct volume_mark *found, struct error *err)
{
	struct descriptor *from = volumes->from;
	size_t got;

	TRY(tape_rewind(from->fd, from->name, err));
	volumes->begin = volumes->end = 0;
	from->ended = false;
	while (volumes->end < VOLUME_MARK_SIZE) {
		int code = descriptor_read_below(from, volumes->buffer + volumes->end,
						 BUFFER_SIZE - volumes->end, &got, err);
		if (code != 0 && !tape_is_at_end(from->fd))
			return code;
		volumes->end += got;
		if (got == 0)
			return fail(err, ERR_USAGE, "this tape is blank");
	}
	if (!volume_is_mark(volumes->buffer, volumes->end))
		return fail(err, ERR_USAGE, "this tape has no label");
	return volume_parse(volumes->buffer, found, err);
}

static int try_tape(struct volumes *volumes, struct error *err)
{
	struct descriptor *from = volumes->from, next;
	struct volume_mark found;
	uint64_t taken = from->taken;
	int fd = open(from->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return tape_fail_open(from->name, errno, err);
	next = descriptor_of(fd, from->name);
	next.volumes = volumes;
	next.read_volumes = from->read_volumes;
	next.taken = taken;
	*from = next;
	TRY(read_label(volumes, &found, err));
	if (found.kind != VOLUME_LABEL)
		return fail(err, ERR_USAGE, "this tape has no label");
	return check_label(volumes, &found, err);
}

static void close_tape(struct volumes *volumes)
{
	if (volumes->from->fd >= 0)
		close(volumes->from->fd);
	volumes->from->fd = -1;
	volumes->begin = volumes->end = 0;
}

/* Returns when the right tape is in the drive, its label yet to be read. */
static int next_tape(struct volumes *volumes, struct error *err)
{
	struct error why = {0};
	char uuid[UUID_TEXT_SIZE];
	struct changer_order order = {.tape = volumes->from->name,
				      .archive = format_uuid(uuid, volumes->label.uuid),
				      .use = "read",
				      .why = why.text,
				      .volume = volumes->label.number + 1};

	fail(&why, ERR_USAGE, "volume %" PRIu32 " of the archive %s is wanted", order.volume, uuid);
	for (unsigned i = 0; i < changer_tries(volumes->changer); i++) {
		close_tape(volumes);
		TRY(changer_next(volumes->changer, &order, err));
		volumes->is_new = try_tape(volumes, &why) == 0;
		if (volumes->is_new)
			return 0;
	}
	close_tape(volumes);
	return fail(err, ERR_INCOMPLETE, "%s: %s", volumes->from->name, why.text);
}

/* ---- the records ---- */

/* Until there are so many bytes in a row, or the volume has ended. */
static int fill(struct volumes *volumes, size_t wanted, struct error *err)
{
	size_t left = volumes->end - volumes->begin, got = 1;

	if (left >= wanted)
		return 0;
	memmove(volumes->buffer, volumes->buffer + volumes->begin, left);
	volumes->begin = 0;
	volumes->end = left;
	while (got > 0 && volumes->end < wanted) {
		TRY(descriptor_read_below(volumes->from, volumes->buffer + volumes->end,
					  BUFFER_SIZE - volumes->end, &got, err));
		volumes->end += got;
	}
	return 0;
}

/* At the beginning of a record. *is_mark: what begins there is none of the archive's bytes. */
static int take_mark(struct volumes *volumes, bool *is_mark, struct error *err)
{
	const uint8_t *bytes = volumes->buffer + volumes->begin;
	struct volume_mark found;
	struct error ignored;

	*is_mark = false;
	if (volumes->end - volumes->begin < VOLUME_MARK_SIZE ||
	    !volume_is_mark(bytes, VOLUME_MARK_SIZE) || volume_parse(bytes, &found, &ignored) != 0)
		return 0;
	bool ours = memcmp(found.set, volumes->label.set, UUID_SIZE) == 0;
	bool other = ours && found.number != volumes->label.number;
	if (found.kind == VOLUME_LABEL && (other || volumes->last != VOLUME_LABEL))
		TRY(check_label(volumes, &found, err));
	else if (!ours || (!volumes->tolerant && found.place != volumes->place))
		return 0;
	*is_mark = true;
	if (found.kind == VOLUME_LABEL)
		begin_volume(volumes, &found);
	volumes->last = found.kind;
	return 0;
}

/* The rest of the record that a mark begins. */
static int pass_mark(struct volumes *volumes, struct error *err)
{
	size_t left = volumes->label.record_size;

	while (left > 0) {
		TRY(fill(volumes, 1, err));
		size_t part = least(left, volumes->end - volumes->begin);
		if (part == 0)
			break;
		volumes->begin += part;
		left -= part;
	}
	return 0;
}

/* The volume has ended: at its end, before it, or with the archive. */
static int end_volume(struct volumes *volumes, struct error *err)
{
	const struct descriptor *from = volumes->from;
	uint32_t number = volumes->label.number;
	struct error gone;

	volumes->ended = true;
	if (volumes->last == VOLUME_END_LAST)
		return 0;
	if (volumes->changer != NULL) {
		if (next_tape(volumes, volumes->tolerant ? &gone : err) == 0)
			volumes->ended = false;
		return volumes->ended && !volumes->tolerant ? err->code : 0;
	}
	if (volumes->tolerant)
		return 0; /* what is missing is told by whoever misses it */
	return fail(err, ERR_INCOMPLETE,
		    "%s: volume %" PRIu32 " ends at byte %" PRIu64 "%s and volume %" PRIu32
		    " follows%s: %s",
		    from->name, number, volumes->place,
		    volumes->last == VOLUME_END_GOES_ON
			    ? ""
			    : " without an end mark: it was broken off, or",
		    number + 1,
		    volumes->last == VOLUME_END_GOES_ON ? "" : " where there was no room for one",
		    from->is_tape ? "use --next-volume COMMAND" : "it has to follow here, too");
}

/* Up to bytes of the archive, or until the end of all volumes. */
static int go_to_data(struct volumes *volumes, struct error *err)
{
	bool is_mark = true;

	while (is_mark && !volumes->ended) {
		is_mark = false;
		bool begins = volumes->in_record == 0 || volumes->is_new;
		TRY(fill(volumes, begins ? VOLUME_MARK_SIZE : 1, err));
		if (volumes->end == volumes->begin) {
			TRY(end_volume(volumes, err));
			is_mark = true;
		} else if (begins) {
			volumes->is_new = false;
			TRY(take_mark(volumes, &is_mark, err));
			if (is_mark)
				TRY(pass_mark(volumes, err));
		}
	}
	return 0;
}

/* What the volume before had of this record already. */
static bool pass_repeated(struct volumes *volumes)
{
	size_t n = least(volumes->repeated, volumes->end - volumes->begin);

	volumes->begin += n;
	volumes->place += n;
	volumes->in_record += (uint32_t)n;
	volumes->repeated -= (uint32_t)n;
	return n > 0;
}

static int read_archive(struct volumes *volumes, void *buffer, size_t n, size_t *got,
			struct error *err)
{
	*got = 0;
	do {
		TRY(go_to_data(volumes, err));
		if (volumes->ended)
			return 0;
	} while (pass_repeated(volumes));
	n = least(n, volumes->end - volumes->begin);
	n = least(n, volumes->label.record_size - volumes->in_record);
	memcpy(buffer, volumes->buffer + volumes->begin, n);
	volumes->begin += n;
	volumes->place += n;
	volumes->in_record = (uint32_t)((volumes->in_record + n) % volumes->label.record_size);
	*got = n;
	return 0;
}

/* ---- opening ---- */

/* The first label: of volume 1, but in salvage. A tape that is wrong may be changed for it. */
static int take_first(struct volumes *volumes, struct error *err)
{
	struct volume_mark found;
	char uuid[UUID_TEXT_SIZE];

	TRY(fill(volumes, VOLUME_MARK_SIZE, err));
	if (volumes->end - volumes->begin < VOLUME_MARK_SIZE)
		return fail(err, ERR_INCOMPLETE, "%s: the label of the tape is cut short",
			    volumes->from->name);
	if (volume_parse(volumes->buffer + volumes->begin, &found, err) != 0) {
		error_prefix(err, "%s", volumes->from->name);
		return err->code;
	}
	begin_volume(volumes, &found);
	if (found.kind == VOLUME_LABEL && (found.number == 1 || volumes->tolerant))
		return 0;
	volumes->label.number = 0;
	volumes->place = 0;
	if (volumes->changer != NULL && !volumes->tolerant)
		return next_tape(volumes, err);
	return fail(err, ERR_USAGE,
		    "%s: this is %s %" PRIu32 " of the archive %s: volume 1 is wanted first",
		    volumes->from->name,
		    found.kind == VOLUME_LABEL ? "volume" : "the end of volume", found.number,
		    format_uuid(uuid, found.uuid));
}

int volumes_open(struct volumes **out, struct descriptor *from, const uint8_t *first,
		 size_t n_first, bool tolerant, struct error *err)
{
	struct volumes *volumes = *out = calloc(1, sizeof(*volumes));

	if (volumes == NULL)
		return fail_memory(err);
	volumes->from = from;
	volumes->tolerant = tolerant;
	volumes->buffer = malloc(BUFFER_SIZE);
	if (volumes->buffer == NULL)
		return fail_memory(err);
	memcpy(volumes->buffer, first, n_first);
	volumes->end = n_first;
	from->volumes = volumes;
	from->read_volumes = read_archive;
	if (from->is_tape && from->fd != STDIN_FILENO)
		TRY(changer_start(&volumes->changer, from->name, err));
	return take_first(volumes, err);
}

void volumes_close(struct volumes *volumes)
{
	if (volumes == NULL)
		return;
	changer_free(volumes->changer);
	free(volumes->buffer);
	free(volumes);
}
