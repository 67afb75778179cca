/*
 * The XML of bmaptool, as that writes it: an element a line, and comments. Ranges of blocks, whose
 * last one counts.
 * Source: spec/changes.md, section 5.
 */
#include "format/changelist.h"

#include <string.h>

#define BLOCK_MAX (UINT64_C(1) << 30)

struct bmap {
	bool in_comment, begun, in_map, mapped, ended;
	uint64_t size_bytes, block, n_blocks, n_mapped; /* as it says */
	uint64_t n_found, next;				/* blocks; the first that may come */
};

/* Cuts the comments out of the line, and the blanks around the rest. */
static char *strip(struct bmap *bmap, char *line)
{
	char *begin, *end;

	if (bmap->in_comment) {
		end = strstr(line, "-->");
		if (end == NULL)
			return line + strlen(line);
		bmap->in_comment = false;
		line = end + 3;
	}
	while ((begin = strstr(line, "<!--")) != NULL) {
		end = strstr(begin + 4, "-->");
		bmap->in_comment = end == NULL;
		if (end == NULL)
			*begin = '\0';
		else
			memmove(begin, end + 3, strlen(end + 3) + 1);
	}
	line += strspn(line, " \t\r");
	for (end = line + strlen(line); end > line && strchr(" \t\r", end[-1]) != NULL;)
		*--end = '\0';
	return line;
}

/* The text of <NAME ...> TEXT </NAME>, up to the end of the line. */
static bool is_element(char *line, const char *name, char **text)
{
	size_t length = strlen(name), n = strlen(line);
	char *open = strchr(line, '>');

	if (line[0] != '<' || strncmp(line + 1, name, length) != 0 || open == NULL ||
	    (line[1 + length] != '>' && line[1 + length] != ' ') || n < length + 3 ||
	    strncmp(line + n - length - 3, "</", 2) != 0 ||
	    strncmp(line + n - length - 1, name, length) != 0 || line[n - 1] != '>' ||
	    open >= line + n - length - 3)
		return false;
	line[n - length - 3] = '\0';
	*text = open + 1;
	*text += strspn(*text, " ");
	return true;
}

/* 1: it was one of these. */
static int take_number(struct bmap *bmap, struct changelist *list, char *line, struct error *err)
{
	const struct {
		const char *name;
		uint64_t *number;
	} known[] = {{"ImageSize", &bmap->size_bytes},
		     {"BlockSize", &bmap->block},
		     {"BlocksCount", &bmap->n_blocks},
		     {"MappedBlocksCount", &bmap->n_mapped}};
	char *text;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!is_element(line, known[i].name, &text))
			continue;
		DEMAND(*known[i].number == 0 && changelist_number(&text, known[i].number) &&
			       *text == '\0',
		       list->place, "%s is not one number", known[i].name);
		return 1;
	}
	return is_element(line, "ChecksumType", &text) ||
	       is_element(line, "BmapFileChecksum", &text) ||
	       is_element(line, "BmapFileSHA1", &text);
}

static int begin_map(struct bmap *bmap, struct changelist *list, struct error *err)
{
	DEMAND(!bmap->mapped && bmap->size_bytes > 0 && bmap->block > 0 &&
		       bmap->block <= BLOCK_MAX && bmap->size_bytes < CHANGELIST_ANY_SIZE &&
		       bmap->n_blocks == (bmap->size_bytes - 1) / bmap->block + 1,
	       list->place, "its sizes and counts are not those of one drive");
	bmap->in_map = bmap->mapped = true;
	return changelist_size(list, bmap->size_bytes, err);
}

static int take_range(struct bmap *bmap, struct changelist *list, char *text, struct error *err)
{
	uint64_t first, last;
	char *dash = strchr(text, '-');
	bool good;

	if (dash != NULL)
		*dash = '\0';
	good = changelist_number(&text, &first) && *text == '\0';
	last = first;
	if (dash != NULL) {
		dash++;
		good = good && changelist_number(&dash, &last) && *dash == '\0';
	}
	DEMAND(good && first >= bmap->next && last >= first && last < bmap->n_blocks, list->place,
	       "a range that is none of the drive's blocks, or in another order");
	bmap->next = last + 1;
	bmap->n_found += last - first + 1;
	return changelist_blocks(list, first, last - first + 1, bmap->block, err);
}

static int take_line(struct bmap *bmap, struct changelist *list, char *line, struct error *err)
{
	char *text;
	int code;

	DEMAND(!bmap->ended, list->place, "something after its end");
	if (!bmap->begun) {
		bmap->begun = strncmp(line, "<bmap version=\"1.", 17) == 0 ||
			      strncmp(line, "<bmap version=\"2.", 17) == 0;
		DEMAND(bmap->begun || strncmp(line, "<?xml ", 6) == 0, list->place,
		       "is no bmap of version 1 or 2");
		return 0;
	}
	if (bmap->in_map) {
		bmap->in_map = strcmp(line, "</BlockMap>") != 0;
		if (!bmap->in_map)
			return 0;
		DEMAND(is_element(line, "Range", &text), list->place, "a line that is no range");
		return take_range(bmap, list, text, err);
	}
	if (strcmp(line, "<BlockMap>") == 0)
		return begin_map(bmap, list, err);
	if (strcmp(line, "</bmap>") == 0) {
		bmap->ended = true;
		return 0;
	}
	code = take_number(bmap, list, line, err);
	DEMAND(code != 0, list->place, "a line that is not of a bmap");
	return code < 0 ? code : 0;
}

int changelist_bmap(struct changelist *list, struct error *err)
{
	struct bmap bmap = {.begun = false};
	char *line;
	int code;

	while ((code = changelist_line(list, &line, err)) == 1) {
		line = strip(&bmap, line);
		if (*line != '\0')
			TRY(take_line(&bmap, list, line, err));
	}
	if (code != 0)
		return code;
	DEMAND_ELSE(ERR_INCOMPLETE, bmap.ended && bmap.mapped, list->taken, "it ends here");
	DEMAND(bmap.n_found == bmap.n_mapped, list->taken,
	       "has %llu blocks in its ranges, but should have %llu",
	       (unsigned long long)bmap.n_found, (unsigned long long)bmap.n_mapped);
	return 0;
}
