#include "writer/output/volumes.h"

#include "base/changer.h"
#include "base/parse.h"
#include "base/tape.h"
#include "format/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define MARK_TRIES 3u	   /* early warning is told at every other write */
#define FILES_MAX  100000u /* of a tape */

struct volumes {
	struct volumes_options options;
	uint8_t uuid[UUID_SIZE];
	struct volume_mark label; /* of the volume at hand */
	uint8_t *record;	  /* owned */
	struct changer *changer;  /* owned, or NULL */
	uint64_t n_bytes;	  /* given to the drive for this volume, marks too */
	size_t n_cut;		  /* bytes of a record that the end of the tape cut in two */
	uint64_t begin;		  /* position of the drive where the volume begins */
	bool has_begin;		  /* the drive says positions */
};

/* ---- marks ---- */

/* 0 or errno. Behind early warning there is room for one, but a write may tell of it once more. */
static int write_mark(struct volumes *volumes, int fd, enum volume_kind kind, uint64_t place)
{
	size_t size = volumes->options.record_size;
	struct volume_mark mark = volumes->label;
	ssize_t written = -1;

	mark.kind = kind;
	mark.place = place;
	memset(volumes->record, 0, size);
	volume_build(&mark, volumes->record);
	for (unsigned i = 0; i < MARK_TRIES && written < 0; i++) {
		do
			written = write(fd, volumes->record, size);
		while (written < 0 && errno == EINTR);
		if (written < 0 && errno != ENOSPC)
			break;
	}
	if (written < 0)
		return errno;
	volumes->n_bytes += (uint64_t)written;
	return (size_t)written == size ? 0 : ENOSPC;
}

static int fail_label(const struct volumes *volumes, int sys, struct error *err)
{
	const struct volumes_options *options = &volumes->options;

	if (sys == ENOSPC)
		return fail(err, ERR_FULL, "%s: the tape is full at byte 0", options->name);
	if (sys == EINVAL || sys == EBUSY || sys == EOVERFLOW)
		return fail_system(err, sys,
				   "%s: the tape drive rejects records of %" PRIu32
				   " bytes: use a smaller --record-size",
				   options->name, options->record_size);
	return fail_system(err, sys, "%s: writing the label", options->name);
}

static int write_label(struct volumes *volumes, int fd, uint64_t place, struct error *err)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	volumes->label.written_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	volumes->n_bytes = 0;
	volumes->n_cut = 0;
	volumes->has_begin = tape_position(fd, &volumes->begin);
	int sys = write_mark(volumes, fd, VOLUME_LABEL, place);
	return sys != 0 ? fail_label(volumes, sys, err) : 0;
}

/* The drive was given so many blocks: that it counts fewer is a loss it did not tell. */
static int check_position(const struct volumes *volumes, int fd, struct error *err)
{
	const struct volumes_options *options = &volumes->options;
	uint32_t block = options->block_size != 0 ? options->block_size : options->record_size;
	uint64_t given = volumes->n_bytes / block + 1, now;

	if (!volumes->has_begin || !tape_position(fd, &now) || now - volumes->begin == given)
		return 0;
	return fail(err, ERR_SYSTEM,
		    "%s: the drive was given %" PRIu64 " blocks and counts %" PRIu64
		    ": the archive is not safely on the tape",
		    options->name, given, now - volumes->begin);
}

/* An end that cannot be written is no loss: the next label says what it would have said. Within a
 * record it would be taken for data. */
static int end_volume(struct volumes *volumes, int fd, bool last, uint64_t place, struct error *err)
{
	enum volume_kind kind = last ? VOLUME_END_LAST : VOLUME_END_GOES_ON;
	int sys = volumes->n_cut == 0 ? write_mark(volumes, fd, kind, place) : 0;

	if (sys != 0 && (last || (sys != ENOSPC && sys != EIO)))
		return fail_system(err, sys, "%s: writing the end of volume %" PRIu32,
				   volumes->options.name, volumes->label.number);
	TRY(tape_write_filemark(fd, volumes->options.name, err));
	return check_position(volumes, fd, err);
}

/* ---- the next tape ---- */

/* The archives of a tape that is to be overwritten: whether one of them is of this set. Negative:
 * that cannot be told. */
static int holds_set(const struct volumes *volumes, int fd, uint8_t first[VOLUME_MARK_SIZE],
		     struct error *err)
{
	struct volume_mark found;
	struct error ignored;

	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (volume_parse(first, &found, &ignored) == 0 &&
		    memcmp(found.set, volumes->label.set, UUID_SIZE) == 0)
			return 1;
		int code = tape_next_file(fd, volumes->options.name, err);
		if (code == ERR_INCOMPLETE)
			return 0;
		TRY(code);
		if (tape_look(fd, first, VOLUME_MARK_SIZE) == TAPE_BLANK)
			return 0;
	}
	return fail(err, ERR_SYSTEM, "%s: more than %u archives on one tape", volumes->options.name,
		    FILES_MAX);
}

/* What it has may be this very archive's. */
static int overwrite(const struct volumes *volumes, int fd, uint8_t first[VOLUME_MARK_SIZE],
		     struct error *err)
{
	int holds = holds_set(volumes, fd, first, err);

	if (holds < 0) {
		error_append(err, ": it may have another volume of this very archive");
		return holds;
	}
	if (holds > 0)
		return fail(err, ERR_USAGE, "this tape has another volume of this very archive");
	return tape_rewind(fd, volumes->options.name, err);
}

/* What lies on it decides whether it may be written. */
static int judge_tape(const struct volumes *volumes, int fd, struct error *err)
{
	const char *name = volumes->options.name;
	uint8_t first[VOLUME_MARK_SIZE];
	char uuid[UUID_TEXT_SIZE];
	struct volume_mark found;
	struct error ignored;

	TRY(tape_rewind(fd, name, err));
	enum tape_content content = tape_look(fd, first, sizeof(first));
	if (content == TAPE_FILEMARK)
		content = tape_look(fd, first, sizeof(first));
	if (content == TAPE_BLANK)
		return tape_rewind(fd, name, err);
	if (volumes->options.force)
		return overwrite(volumes, fd, first, err);
	bool known = volume_parse(first, &found, &ignored) == 0;
	if (known && memcmp(found.set, volumes->label.set, UUID_SIZE) == 0)
		return fail(err, ERR_USAGE, "this tape has another volume of this very archive");
	if (known)
		return fail(err, ERR_USAGE,
			    "this tape has volume %" PRIu32
			    " of the archive %s; --force overwrites it",
			    found.number, format_uuid(uuid, found.uuid));
	return fail(err, ERR_USAGE, "this tape is not blank; --force overwrites it");
}

static int open_tape(const struct volumes *volumes, int *fd, struct error *err)
{
	const char *name = volumes->options.name;
	struct tape tape;

	*fd = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (*fd < 0)
		return tape_fail_open(name, errno, err);
	tape = tape_of(*fd);
	if (!tape.is_tape)
		return fail(err, ERR_SYSTEM, "%s: is not a tape any more", name);
	if (tape.block_size != volumes->options.block_size)
		return fail(err, ERR_SYSTEM,
			    "%s: the drive is set to blocks of %" PRIu32
			    " bytes now, not of %" PRIu32,
			    name, tape.block_size, volumes->options.block_size);
	return judge_tape(volumes, *fd, err);
}

static void close_tape(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int order_tape(struct volumes *volumes, const char *why, struct error *err)
{
	char uuid[UUID_TEXT_SIZE];
	struct changer_order order = {.tape = volumes->options.name,
				      .archive = format_uuid(uuid, volumes->uuid),
				      .use = "write",
				      .why = why,
				      .volume = volumes->label.number};

	return changer_next(volumes->changer, &order, err);
}

/* For the volume of the label at hand: until a tape is right. */
static int next_tape(struct volumes *volumes, int *fd, uint64_t place, struct error *err)
{
	struct error why = {0};
	unsigned tries = changer_tries(volumes->changer);

	fail(&why, ERR_FULL, "the tape is full; a blank one is wanted for volume %" PRIu32,
	     volumes->label.number);
	for (unsigned i = 0; i < tries; i++) {
		TRY(order_tape(volumes, why.text, err));
		if (open_tape(volumes, fd, &why) == 0)
			return write_label(volumes, *fd, place, err);
		close_tape(fd);
	}
	return fail(err, ERR_SYSTEM, "%s: no tape for volume %" PRIu32 ": %s",
		    volumes->options.name, volumes->label.number, why.text);
}

static int fail_full(const struct volumes *volumes, uint64_t place, struct error *err)
{
	return fail(err, ERR_FULL, "%s: the tape is full at byte %" PRIu64 "%s",
		    volumes->options.name, place,
		    volumes->options.is_stdout
			    ? "; to go on to another, name it with --output"
			    : "; with --next-volume COMMAND the archive goes on to another");
}

int volumes_change(struct volumes *volumes, int *fd, uint64_t place, size_t n_cut,
		   struct error *err)
{
	if (volumes->changer == NULL || volumes->label.number >= VOLUME_NUMBER_MAX)
		return fail_full(volumes, place, err);
	volumes->n_cut = n_cut;
	volumes->n_bytes += n_cut;
	TRY(end_volume(volumes, *fd, false, place, err));
	int failed = close(*fd);
	*fd = -1;
	if (failed != 0)
		return fail_system(err, errno, "%s: closing volume %" PRIu32, volumes->options.name,
				   volumes->label.number);
	volumes->label.number++;
	return next_tape(volumes, fd, place, err);
}

/* ---- first and last ---- */

static int set_up(struct volumes *volumes, struct error *err)
{
	const struct volumes_options *options = &volumes->options;

	memcpy(volumes->uuid, options->uuid, UUID_SIZE);
	volumes->label = (struct volume_mark){.number = 1, .record_size = options->record_size};
	memcpy(volumes->label.uuid, options->uuid, UUID_SIZE);
	if (getrandom(volumes->label.set, UUID_SIZE, 0) != UUID_SIZE)
		return fail_system(err, errno, "random numbers");
	volumes->label.set[0] |= 1;
	volumes->record = malloc(options->record_size);
	if (volumes->record == NULL)
		return fail_memory(err);
	return options->is_stdout ? 0 : changer_start(&volumes->changer, options->name, err);
}

int volumes_begin(struct volumes **out, const struct volumes_options *options, int *fd,
		  struct error *err)
{
	struct volumes *volumes = *out = calloc(1, sizeof(*volumes));

	if (volumes == NULL)
		return fail_memory(err);
	volumes->options = *options;
	TRY(set_up(volumes, err));
	if (!options->force)
		TRY(tape_to_end(*fd, options->name, err));
	int code = write_label(volumes, *fd, 0, err);
	if (code != ERR_FULL || volumes->changer == NULL)
		return code;
	close_tape(fd);
	return next_tape(volumes, fd, 0, err);
}

void volumes_count(struct volumes *volumes)
{
	volumes->n_bytes += volumes->options.record_size;
}

int volumes_finish(struct volumes *volumes, int *fd, uint64_t place, struct error *err)
{
	int code = end_volume(volumes, *fd, true, place, err);

	if (code != ERR_FULL || volumes->changer == NULL)
		return code;
	TRY(volumes_change(volumes, fd, place, 0, err));
	return end_volume(volumes, *fd, true, place, err);
}

void volumes_free(struct volumes *volumes)
{
	if (volumes == NULL)
		return;
	changer_free(volumes->changer);
	free(volumes->record);
	free(volumes);
}
