#include "machine/qemu/mirror_parts.h"

#include "base/json.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* %XX, in place. False: it is none, or a NUL. */
static bool unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = parse_hex_digit(from[1]);
		low = high < 0 ? -1 : parse_hex_digit(from[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

static struct json_t *make_node(struct json_t *server, const char *export)
{
	return json_make("{s:s, s:s, s:o}", "driver", "nbd", "export", export, "server", server);
}

/* What follows nbd+unix://, in a copy. */
static struct json_t *parse_unix(char *rest)
{
	static const char key[] = "socket=";
	char *query = strchr(rest, '?'), *end;

	if (*rest != '/' || query == NULL || strncmp(query + 1, key, sizeof(key) - 1) != 0)
		return NULL;
	*query = '\0';
	query += sizeof(key);
	end = strchr(query, '&');
	if (end != NULL || !unescape(rest) || !unescape(query))
		return NULL;
	return make_node(json_make("{s:s, s:s}", "type", "unix", "path", query), rest + 1);
}

/* What follows nbd://, in a copy: HOST[:PORT][/EXPORT], HOST perhaps in brackets. */
static struct json_t *parse_inet(char *rest)
{
	char *slash = strchr(rest, '/'), *end = NULL, *port = NULL;
	const char *export = slash == NULL ? "" : slash + 1;

	if (strchr(rest, '?') != NULL || strchr(rest, '@') != NULL)
		return NULL;
	if (slash != NULL)
		*slash = '\0';
	if (*rest == '[') {
		end = strchr(++rest, ']');
		if (end == NULL)
			return NULL;
		*end++ = '\0';
		port = *end == ':' ? end : NULL;
	} else {
		port = strrchr(rest, ':');
	}
	if (port != NULL)
		*port++ = '\0';
	if (*rest == '\0' || (slash != NULL && !unescape(slash + 1)))
		return NULL;
	return make_node(json_make("{s:s, s:s, s:s}", "type", "inet", "host", rest, "port",
				   port != NULL && *port != '\0' ? port : "10809"),
			 export);
}

struct json_t *mirror_uri_node(const char *uri, struct error *err)
{
	const char *rest = strstr(uri, "://");
	struct json_t *node = NULL;
	char *copy;

	if (rest == NULL ||
	    (strncasecmp(uri, "nbd:", 4) != 0 && strncasecmp(uri, "nbd+unix:", 9) != 0)) {
		fail(err, ERR_USAGE,
		     "%.200s: QEMU mirrors to nbd:// and nbd+unix:// only; for TLS lead it through "
		     "a "
		     "tunnel",
		     uri);
		return NULL;
	}
	copy = strdup(rest + 3);
	if (copy == NULL) {
		fail_memory(err);
		return NULL;
	}
	node = uri[3] == ':' ? parse_inet(copy) : parse_unix(copy);
	free(copy);
	if (node == NULL)
		fail(err, ERR_USAGE,
		     "%.200s: must be nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH",
		     uri);
	return node;
}
