#include "store/secrets.h"

#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static struct secret {
	char *name, *url; /* owned, until the program ends */
	struct secret *next;
} * secrets;

const char *secrets_of(const char *name)
{
	const struct secret *one = secrets;

	while (one != NULL && strcmp(one->name, name) != 0)
		one = one->next;
	return one != NULL ? one->url : name;
}

bool store_has_secrets(const char *name)
{
	return secrets_of(name) != name;
}

/* The URL that a word is, or that an option with its value in the same word has. */
static char *url_in(char *word)
{
	char *value = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;

	word = value != NULL ? value + 1 : word;
	return store_is_web(word) ? word : NULL;
}

static int keep(const char *name, const char *url, struct error *err)
{
	struct secret *one;

	if (strcmp(secrets_of(name), name) != 0)
		return strcmp(secrets_of(name), url) == 0
			       ? 0
			       : fail(err, ERR_USAGE,
				      "%.300s: is there twice, with another user or query", name);
	one = malloc(sizeof(*one));
	if (one == NULL)
		return fail_memory(err);
	*one = (struct secret){strdup(name), strdup(url), secrets};
	if (one->name == NULL || one->url == NULL) {
		free(one->name);
		free(one->url);
		free(one);
		return fail_memory(err);
	}
	secrets = one;
	return 0;
}

int store_hide_secrets(char *word, struct error *err)
{
	char *name = url_in(word), *host, *at, *url;
	size_t length, n;
	int code;

	if (name == NULL)
		return 0;
	host = strstr(name, "://") + 3;
	length = strlen(name);
	at = memrchr(host, '@', strcspn(host, "/?#"));
	if (at == NULL && host[strcspn(host, "?#")] == '\0')
		return 0;
	url = strdup(name);
	if (url == NULL)
		return fail_memory(err);
	if (at != NULL)
		memmove(host, at + 1, strlen(at + 1) + 1);
	n = strcspn(name, "?#");
	memset(name + n, 0, length - n);
	code = keep(name, url, err);
	free(url);
	return code;
}
