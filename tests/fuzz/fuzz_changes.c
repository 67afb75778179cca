/*
 * Lists of changes in every format: ranges lie within the drive, and a list that was cut is
 * refused, or says the same.
 *
 * The input begins with what is said of the list: the format, the size of the drive, the sizes of
 * blocks, an object, and how long the older index is that comes before it.
 */
#include "archive/changes_formats.h"
#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/list_bytes.h"

#include <string.h>

#define SAID	  25u
#define CUTS	  64u
#define OLDER_MAX 65536u

/* The first byte chooses; 0: by content. New ones come last, so that old inputs stay what they
 * were. */
static const char *const names[] = {
	NULL,	      "own",	    "nbdinfo",	"nbdinfo-text", "depth",       "overlay", "thin",
	"era",	      "rbd-json",   "rbd-diff", "zfs",		"dm-snapshot", "btrfs",	  "xen",
	"bitmap-lsb", "bitmap-msb", "vmware",	"csi",		"ddrescue",    "fidx",	  "bmap",
};

struct sum {
	uint64_t size_bytes; /* of the drive; what the list told, at the end */
	uint64_t n, hash;
	bool has_no_end; /* a list of this format may be cut where a line ends */
};

static uint8_t windows[2][CHANGELIST_WINDOW];

static int add(void *context, uint64_t offset, uint64_t length, struct error *err)
{
	struct sum *sum = context;

	(void)err;
	MUST(length > 0 && offset < sum->size_bytes && length <= sum->size_bytes - offset);
	sum->n++;
	sum->hash = (sum->hash ^ offset) * 1099511628211u;
	sum->hash = (sum->hash ^ length) * 1099511628211u;
	return 0;
}

/* Whether the list is a good one, and what it says. */
static bool read_list(const uint8_t *said, const struct list_bytes *older, const uint8_t *data,
		      size_t size, struct sum *out)
{
	struct list_bytes bytes = {data, size, 1 + said[13] * (size_t)257}, old = *older;
	struct changelist second = {.more = list_bytes_more,
				    .skip = list_bytes_skip,
				    .context = &old,
				    .window = windows[1],
				    .size_bytes = CHANGELIST_ANY_SIZE};
	struct changelist list = {
		.more = list_bytes_more,
		.skip = list_bytes_skip,
		.context = &bytes,
		.window = windows[0],
		.size_bytes = get_le(said + 1, 8) & INT64_MAX,
		.block_bytes = get_le(said + 9, 4),
		.object = get_le(said + 14, 7),
		.path = "d.raw",
		.older = older->left > 0 ? &second : NULL,
		.range = add,
		.range_context = out,
	};
	const struct changes_format *format = NULL;
	struct error err = {0};
	int code = 0;

	*out = (struct sum){.size_bytes = list.size_bytes};
	if (names[said[0] % (sizeof(names) / sizeof(names[0]))] != NULL)
		format = changes_format_find(names[said[0] % (sizeof(names) / sizeof(names[0]))]);
	else
		code = changes_format_recognise(&format, &list, &err);
	if (code == 0 &&
	    (((format->needs & CHANGES_NEED_BLOCK) != 0 && list.block_bytes == 0) ||
	     ((format->needs & CHANGES_NEED_SIZE) != 0 && list.size_bytes == CHANGELIST_ANY_SIZE)))
		return false;
	if (code == 0)
		code = format->read(&list, &err);
	MUST(code <= 0 && (code == 0 || (err.code == code && err.text[0] != '\0')));
	if (code == 0)
		MUST(memchr(list.since, '\0', sizeof(list.since)) != NULL &&
		     memchr(list.until, '\0', sizeof(list.until)) != NULL);
	out->size_bytes = list.size_bytes;
	out->has_no_end = format != NULL &&
			  (format->read == changelist_btrfs || format->read == changelist_ddrescue);
	return code == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list_bytes older = {.step = OLDER_MAX};
	struct sum whole, cut;

	if (size < SAID)
		return 0;
	const uint8_t *said = data;
	older.left = (size_t)get_le(said + 21, 4);
	if (older.left > size - SAID || older.left > OLDER_MAX)
		return 0;
	older.at = data + SAID;
	data += SAID + older.left;
	size -= SAID + older.left;
	if (!read_list(said, &older, data, size, &whole) || whole.has_no_end)
		return 0;
	/* Where the list alone tells the size, a shorter one may be that of a smaller drive. */
	for (size_t i = 0, step = size / CUTS + 1; i < size; i += step)
		if (read_list(said, &older, data, size - 1 - i, &cut))
			MUST(cut.size_bytes != whole.size_bytes ||
			     (cut.n == whole.n && cut.hash == whole.hash));
	return 0;
}
