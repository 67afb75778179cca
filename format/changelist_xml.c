#include "format/changelist_parts.h"

#include <string.h>

#define TAG_MAX 4096u

/* How many bytes the tag at the front has. */
static int measure(struct changelist *list, size_t *out, struct error *err)
{
	const uint8_t *bytes;
	uint8_t quote = 0;
	size_t got;

	for (size_t i = 0; i < TAG_MAX; i++) {
		TRY(changelist_peek(list, i + 1, &bytes, &got, err));
		DEMAND_ELSE(ERR_INCOMPLETE, got > i, list->taken + got, "it ends here");
		if (quote != 0)
			quote = bytes[i] == quote ? 0 : quote;
		else if (bytes[i] == '"' || bytes[i] == '\'')
			quote = bytes[i];
		*out = i + 1;
		if (quote == 0 && bytes[i] == '>')
			return 0;
	}
	return fail_at(err, ERR_DAMAGED, list->taken, "a tag of more than %u bytes", TAG_MAX);
}

static void skip_space(char **at)
{
	*at += strspn(*at, " \t\r\n");
}

/* Takes a name off the front; NULL: there is none. Whoever calls ends it with a NUL, as what
 * follows it is looked at first. */
static char *take_name(char **at, char **end)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char *name = *at;

	*at += strspn(name, allowed);
	*end = *at;
	return *end == name ? NULL : name;
}

/* NAME="VALUE", with white space around the sign, as some versions write. */
static bool take_attribute(char **at, struct changelist_tag *out)
{
	char *end, *value_end, quote;
	char *name = take_name(at, &end);

	skip_space(at);
	if (name == NULL || **at != '=' || out->n == CHANGELIST_ATTRIBUTES)
		return false;
	*end = '\0';
	(*at)++;
	skip_space(at);
	quote = **at;
	if (quote != '"' && quote != '\'')
		return false;
	value_end = strchr(*at + 1, quote);
	if (value_end == NULL)
		return false;
	*value_end = '\0';
	out->attributes[out->n].name = name;
	out->attributes[out->n++].value = *at + 1;
	*at = value_end + 1;
	/* What would have to be replaced is in none of these lists. */
	return strpbrk(out->attributes[out->n - 1].value, "&<") == NULL;
}

/* The text between < and >. */
static bool parse(char *text, struct changelist_tag *out)
{
	char *at = text, *end;
	size_t length = strlen(text);

	*out = (struct changelist_tag){.opens = *text != '/'};
	out->closes = !out->opens;
	if (out->closes)
		at++;
	else if (length > 0 && text[length - 1] == '/') {
		out->closes = true;
		text[length - 1] = '\0';
	}
	out->name = take_name(&at, &end);
	if (out->name == NULL)
		return false;
	while (*at != '\0') {
		char *before = at;

		skip_space(&at);
		if (*at == '\0')
			break;
		if (at == before || !out->opens || !take_attribute(&at, out))
			return false;
	}
	*end = '\0';
	return true;
}

int changelist_tag(struct changelist *list, struct changelist_tag *out, struct error *err)
{
	const uint8_t *bytes;
	char *text;
	size_t n = 0;

	for (;;) {
		TRY(changelist_take(list, 1, &bytes, err));
		if (*bytes == '<')
			break;
		DEMAND(strchr(" \t\r\n", *bytes) != NULL && *bytes != '\0', list->place,
		       "text between the tags");
	}
	TRY(measure(list, &n, err));
	TRY(changelist_take(list, n, &bytes, err));
	text = (char *)list->window + (bytes - list->window);
	text[n - 1] = '\0';
	DEMAND(strlen(text) == n - 1 && parse(text, out), list->place,
	       "not XML as such lists have it");
	return 0;
}

const char *changelist_attribute(const struct changelist_tag *tag, const char *name)
{
	for (unsigned i = 0; i < tag->n; i++)
		if (strcmp(tag->attributes[i].name, name) == 0)
			return tag->attributes[i].value;
	return NULL;
}

int changelist_attribute_number(struct changelist *list, const struct changelist_tag *tag,
				const char *name, uint64_t *out, struct error *err)
{
	/* The text lies in the window, which is ours. */
	char *value = (char *)(uintptr_t)changelist_attribute(tag, name);

	DEMAND(value != NULL && changelist_number(&value, out) && *value == '\0', list->place,
	       "<%.40s> without a number %s", tag->name, name);
	return 0;
}
