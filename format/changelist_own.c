/* Source: spec/changes.md, section 2. */
#include "format/changelist.h"

#include <string.h>

struct state {
	uint64_t n_ranges;
	bool sized, ended;
};

/* What follows a word and one blank; NULL: it is another word. */
static char *after(char *line, const char *word)
{
	size_t length = strlen(word);

	return strncmp(line, word, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

static int take_token(char out[CHANGELIST_TOKEN + 1], const char *text, uint64_t place,
		      struct error *err)
{
	DEMAND(out[0] == '\0', place, "a token is given twice");
	DEMAND(changelist_token(out, text), place,
	       "a token must be 1 to %u bytes of printable ASCII", CHANGELIST_TOKEN);
	return 0;
}

/* A line that begins with "#". Others than these are for people. */
static int take_header(struct changelist *list, struct state *state, char *line, struct error *err)
{
	uint64_t place = list->place, number;
	char *rest;

	if ((rest = after(line, "# since")) != NULL)
		return take_token(list->since, rest, place, err);
	if ((rest = after(line, "# until")) != NULL)
		return take_token(list->until, rest, place, err);
	if ((rest = after(line, "# size")) != NULL) {
		DEMAND(!state->sized, place, "the size is given twice");
		DEMAND(changelist_number(&rest, &number) && *rest == '\0', place,
		       "'# size' without a number");
		state->sized = true;
		return changelist_size(list, number, err);
	}
	if ((rest = after(line, "# end")) != NULL) {
		DEMAND(changelist_number(&rest, &number) && *rest == '\0', place,
		       "'# end' without a number");
		DEMAND(number == state->n_ranges, place,
		       "'# end %llu' after %llu ranges: it is not whole",
		       (unsigned long long)number, (unsigned long long)state->n_ranges);
		state->ended = true;
	}
	return 0;
}

static int take_range(struct changelist *list, struct state *state, char *line, struct error *err)
{
	uint64_t offset, length;

	DEMAND(changelist_number(&line, &offset) && changelist_number(&line, &length) &&
		       *line == '\0' && length > 0,
	       list->place, "a line that is not 'OFFSET LENGTH'");
	DEMAND(state->sized, list->place, "a range before '# size BYTES'");
	state->n_ranges++;
	return changelist_range(list, offset, length, err);
}

int changelist_own(struct changelist *list, struct error *err)
{
	struct state state = {0};
	char *line, *rest;
	uint64_t version;
	int code = changelist_line(list, &line, err);

	if (code < 0)
		return code;
	rest = code == 0 ? NULL : after(line, "# vmabak changes");
	DEMAND(rest != NULL && changelist_number(&rest, &version) && *rest == '\0', 0,
	       "does not begin with '# vmabak changes 1'");
	SUPPORTED(version == 1, 0, "version %llu of change lists", (unsigned long long)version);
	while (!state.ended && (code = changelist_line(list, &line, err)) > 0)
		TRY(*line == '#' ? take_header(list, &state, line, err)
				 : take_range(list, &state, line, err));
	if (code < 0)
		return code;
	DEMAND_ELSE(ERR_INCOMPLETE, state.ended, list->taken, "it has no '# end N'");
	DEMAND(state.sized, list->taken, "it has no '# size BYTES'");
	return changelist_end(list, err);
}
