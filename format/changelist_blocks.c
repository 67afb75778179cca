/* What device mapper's tools print, in XML. Source: spec/changes.md, section 4. */
#include "format/changelist_parts.h"

#include <string.h>

#define SECTOR 512u

/* Of the elements of thin_delta, those that tell of changes: with left_only the block was
 * discarded, and is zeros now. */
static bool changed(const char *name, bool *is)
{
	*is = strcmp(name, "same") != 0;
	return !*is || strcmp(name, "different") == 0 || strcmp(name, "left_only") == 0 ||
	       strcmp(name, "right_only") == 0;
}

static int expect_close(struct changelist *list, const char *name, struct error *err)
{
	struct changelist_tag tag;

	TRY(changelist_tag(list, &tag, err));
	DEMAND(!tag.opens && strcmp(tag.name, name) == 0, list->place, "no </%s>", name);
	return 0;
}

static int take_blocks(struct changelist *list, const struct changelist_tag *tag, uint64_t block,
		       bool is_change, struct error *err)
{
	uint64_t begin, length;

	TRY(changelist_attribute_number(list, tag, "begin", &begin, err));
	TRY(changelist_attribute_number(list, tag, "length", &length, err));
	return is_change ? changelist_blocks(list, begin, length, block, err) : 0;
}

/* With --verbose the blocks are in elements within. */
static int take_ranges(struct changelist *list, const char *name, uint64_t block, bool is_change,
		       struct error *err)
{
	struct changelist_tag tag;
	char within[16];

	strcpy(within, name); /* one of those above */
	for (;;) {
		TRY(changelist_tag(list, &tag, err));
		if (!tag.opens)
			break;
		DEMAND(tag.closes && strcmp(tag.name, "range") == 0, list->place,
		       "<%.40s> where a <range/> should be", tag.name);
		TRY(take_blocks(list, &tag, block, is_change, err));
	}
	DEMAND(strcmp(tag.name, within) == 0, list->place, "no </%s>", within);
	return 0;
}

static int take_diff(struct changelist *list, uint64_t block, struct error *err)
{
	struct changelist_tag tag;
	bool is_change;

	for (;;) {
		TRY(changelist_tag(list, &tag, err));
		if (!tag.opens)
			break;
		SUPPORTED(changed(tag.name, &is_change), list->place, "element <%.40s>", tag.name);
		if (tag.closes)
			TRY(take_blocks(list, &tag, block, is_change, err));
		else
			TRY(take_ranges(list, tag.name, block, is_change, err));
	}
	DEMAND(strcmp(tag.name, "diff") == 0, list->place, "no </diff>");
	return 0;
}

int changelist_thin(struct changelist *list, struct error *err)
{
	struct changelist_tag tag;
	uint64_t sectors;

	TRY(changelist_tag(list, &tag, err));
	DEMAND(tag.opens && !tag.closes && strcmp(tag.name, "superblock") == 0, list->place,
	       "does not begin with <superblock>");
	TRY(changelist_attribute_number(list, &tag, "data_block_size", &sectors, err));
	DEMAND(sectors > 0 && sectors <= UINT32_MAX, list->place, "blocks of %llu sectors",
	       (unsigned long long)sectors);
	TRY(changelist_tag(list, &tag, err));
	DEMAND(tag.opens && strcmp(tag.name, "diff") == 0, list->place, "no <diff>");
	if (!tag.closes)
		TRY(take_diff(list, sectors * SECTOR, err));
	TRY(expect_close(list, "superblock", err));
	return changelist_end(list, err);
}

static int take_era(struct changelist *list, const struct changelist_tag *tag, struct error *err)
{
	uint64_t begin, end;

	if (strcmp(tag->name, "block") == 0) {
		TRY(changelist_attribute_number(list, tag, "block", &begin, err));
		return changelist_blocks(list, begin, 1, list->block_bytes, err);
	}
	SUPPORTED(strcmp(tag->name, "range") == 0, list->place, "element <%.40s>", tag->name);
	TRY(changelist_attribute_number(list, tag, "begin", &begin, err));
	TRY(changelist_attribute_number(list, tag, "end", &end, err));
	DEMAND(begin < end, list->place, "a range that ends before it begins");
	return changelist_blocks(list, begin, end - begin, list->block_bytes, err);
}

int changelist_era(struct changelist *list, struct error *err)
{
	struct changelist_tag tag;
	uint64_t n = 0;

	TRY(changelist_tag(list, &tag, err));
	DEMAND(tag.opens && strcmp(tag.name, "blocks") == 0, list->place,
	       "does not begin with <blocks>");
	while (!tag.closes) {
		TRY(changelist_tag(list, &tag, err));
		if (!tag.opens)
			break;
		DEMAND(tag.closes, list->place, "<%.40s> is not closed", tag.name);
		TRY(take_era(list, &tag, err));
		tag.closes = false;
		n++;
	}
	DEMAND(strcmp(tag.name, "blocks") == 0, list->place, "no </blocks>");
	DEMAND(n > 0, list->place,
	       "names no block: era_invalidate of thin-provisioning-tools 1.1.0 prints that "
	       "whatever "
	       "was written");
	return changelist_end(list, err);
}
