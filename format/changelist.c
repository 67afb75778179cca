#include "format/changelist.h"

#include <string.h>

#define SECTOR 512u
#define STEP   65536u /* bytes that are asked for at once: of a device, whole blocks */

/* ---- the bytes ---- */

/* Room for a step behind what is in the window. */
static void make_room(struct changelist *list)
{
	size_t left = list->end - list->at;

	if (left > 0 && list->at < STEP && list->end + STEP <= CHANGELIST_WINDOW)
		return;
	memmove(list->window, list->window + list->at, left);
	list->at = 0;
	list->end = left;
}

int changelist_peek(struct changelist *list, size_t n, const uint8_t **bytes, size_t *got,
		    struct error *err)
{
	size_t more;

	DEMAND(n <= CHANGELIST_WINDOW - STEP, list->taken, "a line or record of more than %u bytes",
	       CHANGELIST_WINDOW - STEP);
	while (list->end - list->at < n && !list->ended) {
		make_room(list);
		TRY(list->more(list->context, list->window + list->end, STEP, &more, err));
		list->end += more;
		list->ended = more == 0;
	}
	*bytes = list->window + list->at;
	*got = list->end - list->at < n ? list->end - list->at : n;
	return 0;
}

static void advance(struct changelist *list, size_t n)
{
	list->at += n;
	list->taken += n;
}

int changelist_take(struct changelist *list, size_t n, const uint8_t **bytes, struct error *err)
{
	size_t got;

	TRY(changelist_peek(list, n, bytes, &got, err));
	DEMAND_ELSE(ERR_INCOMPLETE, got == n, list->taken + got, "it ends here");
	list->place = list->taken;
	advance(list, n);
	return 0;
}

int changelist_skip(struct changelist *list, uint64_t n, struct error *err)
{
	size_t here = list->end - list->at;

	if (n <= here) {
		advance(list, (size_t)n);
		return 0;
	}
	advance(list, here);
	TRY(list->skip(list->context, n - here, err));
	list->taken += n - here;
	return 0;
}

int changelist_line(struct changelist *list, char **line, struct error *err)
{
	const uint8_t *bytes;
	size_t got = 0, seen = 0;
	uint8_t *found = NULL;

	while (found == NULL) {
		size_t more = seen + 1;

		TRY(changelist_peek(list, more, &bytes, &got, err));
		if (got < more)
			break;
		got = list->end - list->at; /* all that is in the window anyway */
		found = memchr(list->window + list->at + seen, '\n', got - seen);
		seen = got;
	}
	if (found == NULL && got == 0)
		return 0;
	DEMAND_ELSE(ERR_INCOMPLETE, found != NULL, list->taken + got,
		    "its last line does not end in a line feed");
	*line = (char *)list->window + list->at;
	*found = '\0';
	DEMAND(strlen(*line) == (size_t)((char *)found - *line), list->taken,
	       "a byte 0 in a line of text");
	list->place = list->taken;
	advance(list, strlen(*line) + 1);
	return 1;
}

int changelist_nothing_more(struct changelist *list, struct error *err)
{
	const uint8_t *byte;
	size_t got;

	TRY(changelist_peek(list, 1, &byte, &got, err));
	DEMAND(got == 0, list->taken, "something follows the end of the list");
	return 0;
}

int changelist_end(struct changelist *list, struct error *err)
{
	const uint8_t *byte;
	size_t got;

	for (;;) {
		TRY(changelist_peek(list, 1, &byte, &got, err));
		if (got == 0)
			return 0;
		DEMAND(*byte == ' ' || *byte == '\n' || *byte == '\r' || *byte == '\t', list->taken,
		       "something follows the end of the list");
		advance(list, 1);
	}
}

static void skip_blanks(char **text)
{
	*text += strspn(*text, " \t");
}

static unsigned digit_of(char c, unsigned base)
{
	unsigned value = c >= '0' && c <= '9'	? (unsigned)(c - '0')
			 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
			 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
						: base;
	return value < base ? value : base;
}

bool changelist_number(char **text, uint64_t *out)
{
	unsigned base = 10, digit;
	uint64_t value = 0;
	char *at;

	skip_blanks(text);
	at = *text;
	if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
		base = 16;
		at += 2;
	}
	if (digit_of(*at, base) == base)
		return false;
	for (; (digit = digit_of(*at, base)) < base; at++) {
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*text = at;
	skip_blanks(text);
	*out = value;
	return true;
}

bool changelist_token(char out[CHANGELIST_TOKEN + 1], const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > CHANGELIST_TOKEN || text[0] == ' ' || text[length - 1] == ' ')
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	memcpy(out, text, length + 1);
	return true;
}

/* ---- the ranges ---- */

int changelist_range(struct changelist *list, uint64_t offset, uint64_t length, struct error *err)
{
	uint64_t size = list->size_bytes, left;

	if (length == 0)
		return 0;
	DEMAND(offset < size, list->place,
	       "names byte %llu, but the drive has %llu bytes: it is of another drive or size",
	       (unsigned long long)offset, (unsigned long long)size);
	left = size - offset;
	if (length > left) {
		DEMAND(length - left < list->grain, list->place,
		       "names %llu bytes at %llu, but the drive has %llu bytes: it is of another "
		       "drive or size",
		       (unsigned long long)length, (unsigned long long)offset,
		       (unsigned long long)size);
		length = left;
	}
	return list->range(list->range_context, offset, length, err);
}

int changelist_blocks(struct changelist *list, uint64_t first, uint64_t n, uint64_t block,
		      struct error *err)
{
	list->grain = block;
	DEMAND(first <= UINT64_MAX / block && n <= UINT64_MAX / block, list->place,
	       "a block number that no drive has");
	return changelist_range(list, first * block, n * block, err);
}

int changelist_size(struct changelist *list, uint64_t size_bytes, struct error *err)
{
	if (list->size_bytes == CHANGELIST_ANY_SIZE && size_bytes < CHANGELIST_ANY_SIZE)
		list->size_bytes = size_bytes;
	/* Tools that count in sectors round up. */
	DEMAND(size_bytes == list->size_bytes ||
		       (size_bytes > list->size_bytes && size_bytes % SECTOR == 0 &&
			size_bytes - list->size_bytes < SECTOR),
	       list->place, "is of a drive of %llu bytes, but this one has %llu",
	       (unsigned long long)size_bytes, (unsigned long long)list->size_bytes);
	return 0;
}
