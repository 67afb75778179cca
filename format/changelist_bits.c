/* A bit for each block. Source: spec/changes.md, section 4. */
#include "format/changelist.h"

#define XEN_BLOCK 65536u

struct bits {
	uint64_t block_bytes, n_blocks;
	uint64_t done;	/* blocks */
	uint64_t first; /* of a run that is not passed on yet */
	bool in_run, lowest_first;
};

static int end_run(struct changelist *list, struct bits *bits, struct error *err)
{
	bool was = bits->in_run;

	bits->in_run = false;
	return was ? changelist_blocks(list, bits->first, bits->done - bits->first,
				       bits->block_bytes, err)
		   : 0;
}

static int take_byte(struct changelist *list, struct bits *bits, uint8_t byte, struct error *err)
{
	DEMAND(bits->done < bits->n_blocks, list->taken,
	       "is longer than a bit for each of %llu blocks", (unsigned long long)bits->n_blocks);
	for (unsigned i = 0; i < 8; i++) {
		bool set = (byte >> (bits->lowest_first ? i : 7 - i) & 1) != 0;

		if (bits->done == bits->n_blocks) {
			DEMAND(!set, list->taken, "a bit past the end of the drive is set");
			continue;
		}
		if (set && !bits->in_run)
			bits->first = bits->done;
		if (!set)
			TRY(end_run(list, bits, err));
		bits->in_run = set;
		bits->done++;
	}
	return 0;
}

static struct bits begin(const struct changelist *list, uint64_t block_bytes, bool lowest_first)
{
	uint64_t size = list->size_bytes;

	return (struct bits){
		.block_bytes = block_bytes,
		.n_blocks = size / block_bytes + (size % block_bytes != 0),
		.lowest_first = lowest_first,
	};
}

static int end(struct changelist *list, struct bits *bits, struct error *err)
{
	DEMAND_ELSE(ERR_INCOMPLETE, bits->done == bits->n_blocks, list->taken,
		    "%llu blocks, but the drive has %llu", (unsigned long long)bits->done,
		    (unsigned long long)bits->n_blocks);
	return end_run(list, bits, err);
}

static int take_plain(struct changelist *list, bool lowest_first, struct error *err)
{
	struct bits bits = begin(list, list->block_bytes, lowest_first);
	const uint8_t *byte;
	size_t got;

	for (;;) {
		TRY(changelist_peek(list, 1, &byte, &got, err));
		if (got == 0)
			return end(list, &bits, err);
		TRY(take_byte(list, &bits, *byte, err));
		TRY(changelist_skip(list, 1, err));
	}
}

int changelist_bitmap_lsb(struct changelist *list, struct error *err)
{
	return take_plain(list, true, err);
}

int changelist_bitmap_msb(struct changelist *list, struct error *err)
{
	return take_plain(list, false, err);
}

/* ---- xe vdi-list-changed-blocks ---- */

/* 64: padding; -1: no digit. */
static int digit_of(uint8_t c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
	       : c == '='	      ? 64
				      : -1;
}

/* Four digits of base64: up to three bytes. */
static int take_group(struct changelist *list, struct bits *bits, const uint8_t *text,
		      struct error *err)
{
	unsigned value = 0, n = 3;

	for (unsigned i = 0; i < 4; i++) {
		int digit = digit_of(text[i]);

		DEMAND(digit >= 0 && (digit < 64 ? n == 3 : i >= 2), list->taken, "is not base64");
		n -= digit == 64;
		value = value << 6 | (unsigned)(digit & 63);
	}
	for (unsigned i = 0; i < n; i++)
		TRY(take_byte(list, bits, (uint8_t)(value >> (16 - 8 * i)), err));
	return 0;
}

int changelist_xen(struct changelist *list, struct error *err)
{
	struct bits bits = begin(list, XEN_BLOCK, false);
	const uint8_t *text;

	while (bits.done < bits.n_blocks) {
		TRY(changelist_take(list, 4, &text, err));
		TRY(take_group(list, &bits, text, err));
	}
	TRY(end(list, &bits, err));
	return changelist_end(list, err);
}
