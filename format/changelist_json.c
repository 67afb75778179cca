#include "base/json.h"
#include "format/changelist_parts.h"

#include <errno.h>

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* The next byte that is no white space, which stays; 0: there is none. */
static int look(struct changelist *list, uint8_t *out, struct error *err)
{
	const uint8_t *bytes;
	size_t got;

	for (;;) {
		TRY(changelist_peek(list, 1, &bytes, &got, err));
		*out = got == 0 ? 0 : *bytes;
		if (got == 0 || !is_space(*bytes))
			return 0;
		TRY(changelist_skip(list, 1, err));
	}
}

/* How many bytes the object at the front has: up to the brace that closes it. */
static int measure(struct changelist *list, size_t *out, struct error *err)
{
	bool in_text = false, escaped = false;
	const uint8_t *bytes;
	unsigned depth = 0;
	size_t got;

	for (size_t i = 0;; i++) {
		TRY(changelist_peek(list, i + 1, &bytes, &got, err));
		DEMAND_ELSE(ERR_INCOMPLETE, got > i, list->taken + got, "it ends here");
		uint8_t byte = bytes[i];
		if (in_text) {
			in_text = escaped || byte != '"';
			escaped = !escaped && byte == '\\';
		} else if (byte == '"') {
			in_text = true;
		} else if (byte == '{' || byte == '[') {
			depth++;
		} else if ((byte == '}' || byte == ']') && --depth == 0) {
			*out = i + 1;
			return 0;
		}
	}
}

static int parse(struct changelist *list, struct json_t **out, struct error *err)
{
	const uint8_t *bytes;
	size_t n = 0;

	TRY(measure(list, &n, err));
	TRY(changelist_take(list, n, &bytes, err));
	*out = json_parse((const char *)bytes, n);
	if (*out != NULL)
		return 1;
	return errno == ENOMEM ? fail_memory(err)
			       : fail_at(err, ERR_DAMAGED, list->place, "is not JSON");
}

int changelist_object(struct changelist *list, struct changelist_objects *objects,
		      struct json_t **out, struct error *err)
{
	bool comma = false;
	uint8_t byte;

	TRY(look(list, &byte, err));
	if (objects->n == 0 && byte == '[')
		objects->in_array = true;
	else
		comma = objects->in_array && byte == ',';
	if (byte == '[' || comma) {
		TRY(changelist_skip(list, 1, err));
		TRY(look(list, &byte, err));
	}
	if (objects->in_array && !comma && byte == ']') {
		TRY(changelist_skip(list, 1, err));
		return changelist_end(list, err);
	}
	if (!objects->in_array && objects->n > 0 && byte == 0)
		return 0;
	DEMAND_ELSE(ERR_INCOMPLETE, byte != 0, list->taken, "it ends here");
	DEMAND(byte == '{' && (objects->n == 0 || comma || !objects->in_array), list->taken,
	       "is not JSON of objects");
	objects->n++;
	return parse(list, out, err);
}
