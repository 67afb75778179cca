/*
 * Answers of services that tell of changes in pages. Source: spec/changes.md, section 4.
 */
#include "base/json.h"
#include "base/parse.h"
#include "format/changelist_parts.h"

/* A number, which some write as a text. */
static bool number_of(const struct json_t *object, const char *key, uint64_t *out)
{
	const char *text = json_member_text(object, key);

	return text != NULL ? parse_number(text, out) : json_member_number(object, key, out);
}

static const struct json_t *member_of(const struct json_t *object, const char *key,
				      const char *other)
{
	const struct json_t *member = json_member(object, key);

	return member != NULL ? member : json_member(object, other);
}

/* The one of two spellings of a key that is there. 0 where neither is, which some leave out. */
static bool number_or_none(const struct json_t *object, const char *key, const char *other,
			   uint64_t *out)
{
	*out = 0;
	return json_member(object, key) != NULL	    ? number_of(object, key, out)
	       : json_member(object, other) != NULL ? number_of(object, other, out)
						    : true;
}

struct pages {
	bool need_array;
	uint64_t end; /* of what the pages so far cover */
};

/* ---- VMware's QueryChangedDiskAreas ---- */

static int take_disk_change(struct changelist *list, const struct json_t *page, struct pages *pages,
			    struct error *err)
{
	const struct json_t *areas = member_of(page, "changedArea", "ChangedArea");
	uint64_t start, length;

	DEMAND(number_or_none(page, "startOffset", "StartOffset", &start) &&
		       number_or_none(page, "length", "Length", &length) && length > 0,
	       list->place, "a page without startOffset and length");
	DEMAND(start == pages->end && length <= INT64_MAX - start, list->place,
	       "a page from %llu on where one from %llu on should be: pages are missing",
	       (unsigned long long)start, (unsigned long long)pages->end);
	DEMAND(json_is_list(areas), list->place, "a page whose changedArea is no array");
	for (size_t i = 0; i < json_length(areas); i++) {
		const struct json_t *area = json_item(areas, i);
		uint64_t offset, n;

		DEMAND(number_or_none(area, "start", "Start", &offset) &&
			       number_or_none(area, "length", "Length", &n) && n > 0,
		       list->place, "a changed area without start and length");
		DEMAND(offset >= start && offset - start < length && n <= length - (offset - start),
		       list->place, "a changed area that is not in its page");
		TRY(changelist_range(list, offset, n, err));
	}
	pages->end = start + length;
	return 0;
}

/* ---- Kubernetes' GetMetadataDelta ---- */

static int take_block_metadata(struct changelist *list, const struct json_t *page,
			       struct pages *pages, struct error *err)
{
	const struct json_t *blocks = member_of(page, "block_metadata", "blockMetadata");
	uint64_t capacity;

	(void)pages;
	DEMAND(number_or_none(page, "volume_capacity_bytes", "volumeCapacityBytes", &capacity) &&
		       capacity > 0,
	       list->place, "a page without volume_capacity_bytes");
	TRY(changelist_size(list, capacity, err));
	/* None at all is written for an empty one. */
	DEMAND(json_is_nothing(blocks) || json_is_list(blocks), list->place,
	       "a page whose block_metadata is no array");
	for (size_t i = 0; i < json_length(blocks); i++) {
		const struct json_t *block = json_item(blocks, i);
		uint64_t offset, n;

		DEMAND(number_or_none(block, "byte_offset", "byteOffset", &offset) &&
			       number_or_none(block, "size_bytes", "sizeBytes", &n) && n > 0,
		       list->place, "a block without byte_offset and size_bytes");
		/* Blocks of one length may reach past the end. */
		list->grain = n;
		TRY(changelist_range(list, offset, n, err));
	}
	return 0;
}

static int take_pages(struct changelist *list, struct pages *pages,
		      int (*take)(struct changelist *list, const struct json_t *page,
				  struct pages *pages, struct error *err),
		      struct error *err)
{
	struct changelist_objects objects = {0};
	struct json_t *page;
	int code;

	while ((code = changelist_object(list, &objects, &page, err)) == 1) {
		code = take(list, page, pages, err);
		json_free(page);
		if (code != 0)
			return code;
	}
	if (code != 0)
		return code;
	DEMAND(objects.in_array || !pages->need_array, list->taken,
	       "is not one array: a page could be missing at its end");
	return 0;
}

int changelist_vmware(struct changelist *list, struct error *err)
{
	struct pages pages = {.need_array = false};

	TRY(take_pages(list, &pages, take_disk_change, err));
	DEMAND(pages.end > 0, list->taken, "has no pages");
	return changelist_size(list, pages.end, err);
}

int changelist_csi(struct changelist *list, struct error *err)
{
	struct pages pages = {.need_array = true};

	return take_pages(list, &pages, take_block_metadata, err);
}
