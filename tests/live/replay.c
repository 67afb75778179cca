#include "tests/live/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

struct progress {
	uint64_t operation; /* done by the replay, header and all */
	bool half;	    /* and the data of the next */
};

struct replay {
	struct chain_set set;
	uint8_t *content[CHAIN_DRIVES_MAX]; /* borrowed */
	uint8_t *maybe[CHAIN_DRIVES_MAX];   /* a bit a byte: trimmed and not written since */
	struct progress at[CHAIN_CHAINS_MAX][CHAIN_DRIVES_MAX];
};

struct replay *replay_new(const struct chain_set *set, uint8_t *const *contents)
{
	struct replay *replay = calloc(1, sizeof *replay);

	if (replay == NULL)
		return NULL;
	replay->set = *set;
	bool ok = true;
	for (uint32_t i = 0; i < set->n_drives; i++) {
		replay->content[i] = contents[i];
		replay->maybe[i] = calloc(1, set->size_bytes[i] / 8 + 1);
		ok = ok && replay->maybe[i] != NULL;
	}
	if (ok)
		return replay;
	replay_free(replay);
	return NULL;
}

void replay_free(struct replay *replay)
{
	if (replay == NULL)
		return;
	for (uint32_t i = 0; i < replay->set.n_drives; i++)
		free(replay->maybe[i]);
	free(replay);
}

static void set_maybe(uint8_t *bits, uint64_t from, uint64_t to, bool on)
{
	for (; from < to && from % 8 != 0; from++)
		bits[from / 8] = (uint8_t)((bits[from / 8] & ~(1u << from % 8)) |
					   ((unsigned)on << from % 8));
	if (from >= to)
		return;
	memset(bits + from / 8, on ? 0xff : 0, (to - from) / 8);
	for (from += (to - from) / 8 * 8; from < to; from++)
		bits[from / 8] = (uint8_t)((bits[from / 8] & ~(1u << from % 8)) |
					   ((unsigned)on << from % 8));
}

static void apply(struct replay *replay, const struct step *step)
{
	uint8_t *at = replay->content[step->drive] + step->offset;

	if (step->kind == STEP_WRITE)
		chain_fill(&replay->set, step, at);
	else if (step->kind == STEP_ZERO)
		memset(at, 0, step->n);
	set_maybe(replay->maybe[step->drive], step->offset, step->offset + step->n,
		  step->kind == STEP_TRIM);
}

/* The first byte from..to where the image is not what the replay has, or to. */
static uint64_t compare(const struct replay *replay, uint32_t drive, const uint8_t *image,
			uint64_t from, uint64_t to)
{
	const uint8_t *content = replay->content[drive], *maybe = replay->maybe[drive];

	while (from < to) {
		uint64_t end = from / PAGE * PAGE + PAGE < to ? from / PAGE * PAGE + PAGE : to;
		if (memcmp(image + from, content + from, end - from) == 0)
			from = end;
		for (; from < end; from++) {
			bool trimmed = maybe[from / 8] >> from % 8 & 1;
			if (image[from] != content[from] && !(trimmed && image[from] == 0))
				return from;
		}
	}
	return to;
}

/* How far the chain had come on the drive, by the header in the image. */
static bool read_header(const struct replay *replay, const struct step *where, const uint8_t *image,
			uint64_t *operation)
{
	struct chain_set set;
	struct step header;
	uint32_t chain, drive;
	uint8_t bytes[CHAIN_ALIGN_MAX];

	if (!chain_parse(image + where->offset, &set, &chain, &drive, operation))
		return false;
	chain_header(&replay->set, where->chain, where->drive, *operation, &header);
	chain_fill(&replay->set, &header, bytes);
	return memcmp(bytes, image + header.offset, header.n) == 0;
}

static void advance(struct replay *replay, uint32_t chain, uint32_t drive, uint64_t to)
{
	struct progress *at = &replay->at[chain][drive];
	struct step step;

	for (uint64_t n = at->operation + 1; n <= to; n++) {
		chain_data(&replay->set, chain, drive, n, &step);
		apply(replay, &step);
	}
	if (to > at->operation)
		at->half = false;
	at->operation = to;
	chain_header(&replay->set, chain, drive, to, &step);
	apply(replay, &step);
}

/* Follows to what the image of a drive has of a chain. A step that leaves no trace is taken as not
 * done; that is never wrong, for such a step would be the last of all. */
static bool check_part(struct replay *replay, const struct step *header, const uint8_t *image,
		       char *text, size_t text_size)
{
	struct progress *at = &replay->at[header->chain][header->drive];
	uint64_t operation, from, to, differs;
	struct step step;

	if (!read_header(replay, header, image, &operation) || operation < at->operation) {
		snprintf(text, text_size, "chain %u, drive %u: no header, or an older one",
			 header->chain, header->drive);
		return false;
	}
	advance(replay, header->chain, header->drive, operation);
	chain_part(&replay->set, header->chain, header->drive, &from, &to);
	if (compare(replay, header->drive, image, from, to) == to)
		return true;
	at->half = true;
	chain_data(&replay->set, header->chain, header->drive, operation + 1, &step);
	apply(replay, &step);
	differs = compare(replay, header->drive, image, from, to);
	if (differs == to)
		return true;
	snprintf(text, text_size,
		 "chain %u, drive %u: byte %" PRIu64 " is neither that of operation %" PRIu64
		 " nor of the one after it",
		 header->chain, header->drive, differs, operation);
	return false;
}

/* Whether the drives show the steps up to one and none after it. */
static bool check_instant(const struct replay *replay, uint32_t chain, char *text, size_t text_size)
{
	uint64_t steps[CHAIN_DRIVES_MAX], sum = 0;
	int at = snprintf(text, text_size, "chain %u: not of one instant: steps", chain);
	bool ok = true;

	for (uint32_t i = 0; i < replay->set.n_drives; i++) {
		steps[i] = 2 * replay->at[chain][i].operation + replay->at[chain][i].half;
		sum += steps[i];
		if (at >= 0 && (size_t)at < text_size)
			at += snprintf(text + at, text_size - (size_t)at, " %" PRIu64, steps[i]);
	}
	for (uint32_t i = 0; i < replay->set.n_drives; i++)
		ok = ok && chain_steps_of(&replay->set, i, sum) == steps[i];
	return ok;
}

bool replay_check(struct replay *replay, const uint8_t *const *images, uint64_t *n_operations,
		  char *text, size_t text_size)
{
	const struct chain_set *set = &replay->set;
	uint64_t n = 0;

	for (uint32_t chain = 0; chain < set->n_chains; chain++) {
		for (uint32_t i = 0; i < set->n_drives; i++) {
			struct step header;
			chain_header(set, chain, i, 0, &header);
			if (!check_part(replay, &header, images[i], text, text_size))
				return false;
		}
		if (!check_instant(replay, chain, text, text_size))
			return false;
		n += replay->at[chain][0].operation;
	}
	for (uint32_t i = 0; i < set->n_drives; i++) {
		uint64_t end = set->size_bytes[i];
		if (compare(replay, i, images[i], end & ~((uint64_t)set->align - 1), end) != end) {
			snprintf(text, text_size, "drive %u: the end differs", i);
			return false;
		}
	}
	*n_operations = n;
	return true;
}
