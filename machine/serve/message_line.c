#include "machine/serve/message_line.h"

#include "base/json.h"
#include "base/parse.h"
#include "cow/generation.h"

#include <stdio.h>
#include <string.h>

void message_put_line(struct json_t *object, const struct checkpoint *line)
{
	char uuid[UUID_TEXT_SIZE], token[GENERATION_TOKEN_SIZE];

	json_put_text(object, "name", line->name);
	json_put_text(object, "uuid", format_uuid(uuid, line->uuid));
	json_put_number(object, "instant_ns", line->instant_ns);
	json_put_number(object, "raw_bytes", line->raw_bytes);
	json_put_number(object, "written_bytes", line->written_bytes);
	json_put_text(object, "origin",
		      generation_token(token, line->origin_id, line->origin_generation));
}

bool message_get_line(const struct json_t *object, struct checkpoint *out)
{
	const char *name = json_member_text(object, "name");
	const char *uuid = json_member_text(object, "uuid");
	const char *origin = json_member_text(object, "origin");

	*out = (struct checkpoint){0};
	if (name == NULL || strlen(name) >= sizeof(out->name) || uuid == NULL || origin == NULL ||
	    !generation_parse_token(origin, &out->origin_id, &out->origin_generation) ||
	    !json_member_number(object, "instant_ns", &out->instant_ns) ||
	    !json_member_number(object, "raw_bytes", &out->raw_bytes) ||
	    !json_member_number(object, "written_bytes", &out->written_bytes))
		return false;
	snprintf(out->name, sizeof(out->name), "%s", name);
	parse_uuid(uuid, out->uuid); /* all zero stays so */
	return true;
}
