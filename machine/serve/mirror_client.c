/*
 * The client's end of a mirror: a request each. The server does all of it.
 */
#include "machine/mirror.h"

#include "machine/serve/call.h"

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
	int code;

	put_speed(request, wish);
	code = mirror_put_wish(request, wish, err);
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
