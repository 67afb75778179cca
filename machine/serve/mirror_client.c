/*
 * The client's end of a mirror: a request each. The server does all of it.
 */
#include "machine/mirror.h"

#include "drive/argument.h"
#include "drive/target.h"
#include "machine/serve/call.h"

#include <errno.h>
#include <stdlib.h>

static int put_path(struct json_t *to, const char *key, const char *path, struct error *err)
{
	char *full = mirror_full_path(path);

	if (full == NULL)
		return fail_system(err, errno, "%s", path);
	json_put_text(to, key, full);
	free(full);
	return 0;
}

static int put_target(struct json_t *lines, const char *text, struct error *err)
{
	struct drive_argument argument;
	struct json_t *line;
	int code = 0;

	TRY(drive_argument_parse(text, &argument, err));
	if (argument.name == NULL)
		code = fail(err, ERR_USAGE, "-d '%s': must be NAME=TARGET", text);
	else if (argument.suffix.secret != NULL || argument.suffix.size_bytes != 0)
		code = fail(err, ERR_USAGE, "-d '%s': only ,format= may follow", text);
	else
		code = drive_suffix_check_plain(&argument.suffix, text, err);
	line = code == 0 ? json_add_object(lines) : NULL;
	json_put_text(line, "name", argument.name);
	json_put_text(line, "format", argument.suffix.format);
	if (code == 0 && target_is_uri(argument.path))
		json_put_text(line, "target", argument.path);
	else if (code == 0)
		code = put_path(line, "target", argument.path, err);
	drive_argument_free(&argument);
	return code;
}

static void put_speed(struct json_t *request, const struct mirror_wish *wish)
{
	if (wish->has_rate)
		json_put_number(request, "rate", wish->rate);
	if (wish->has_on_slow)
		json_put_bool(request, "hold", wish->hold);
}

static int start(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	struct json_t *request =
		json_make("{s:s, s:b}", "execute", "mirror-start", "force", wish->force);
	struct json_t *lines = json_put_array(request, "drives");
	int code = 0;

	put_speed(request, wish);
	if (wish->state != NULL)
		code = put_path(request, "state", wish->state, err);
	for (unsigned i = 0; i < wish->targets.n && code == 0; i++)
		code = put_target(lines, wish->targets.items[i], err);
	if (code == 0)
		return call_once(wish->place, request, out, err);
	json_free(request);
	return code;
}

static int ask(const struct mirror_wish *wish, const char *what, struct json_t **out,
	       struct error *err)
{
	return call_once(wish->place, json_make("{s:s}", "execute", what), out, err);
}

static int status(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	return ask(wish, "mirror-status", out, err);
}

static int set(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	struct json_t *request = json_make("{s:s}", "execute", "mirror-set");

	put_speed(request, wish);
	return call_once(wish->place, request, out, err);
}

static int pivot(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	return ask(wish, "mirror-pivot", out, err);
}

static int end(const struct mirror_wish *wish, struct json_t **out, struct error *err)
{
	return ask(wish, "mirror-abort", out, err);
}

const struct mirror_kind mirror_serve = {
	.start = start,
	.status = status,
	.set = set,
	.pivot = pivot,
	.abort = end,
};
