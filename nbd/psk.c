#include "nbd/state.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decodes in place. The number of bytes; 0: not pairs of hexadecimal digits. */
static size_t decode(char *text)
{
	size_t n = strlen(text);

	if (n % 2 != 0)
		return 0;
	for (size_t i = 0; i < n; i += 2) {
		int high = parse_hex_digit(text[i]), low = parse_hex_digit(text[i + 1]);
		if (high < 0 || low < 0)
			return 0;
		text[i / 2] = (char)(high << 4 | low);
	}
	return n / 2;
}

/* Returns what is wrong with the line, or NULL. *out stays NULL for a line without a key. */
static const char *read_line(struct psk **out, char *line, int *sys)
{
	char *colon = strchr(line, ':');
	size_t name_size, key_size;

	line[strcspn(line, "\r\n")] = '\0';
	for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
		line[n - 1] = '\0';
	if (*line == '\0' || (*line == '#' && colon == NULL))
		return NULL;
	if (colon == NULL || colon == line)
		return "is not USER:HEXKEY";
	*colon = '\0';
	/* Like GnuTLS: a name after # is hexadecimal, otherwise the line is a comment. */
	name_size = *line == '#' ? decode(++line) : strlen(line);
	if (name_size == 0)
		return NULL;
	key_size = decode(colon + 1);
	if (key_size == 0)
		return colon[1] ? "has a key that is not pairs of hexadecimal digits"
				: "has an empty key";
	*out = malloc(sizeof **out + name_size + key_size);
	if (*out == NULL) {
		*sys = ENOMEM;
		return NULL;
	}
	**out = (struct psk){.name_size = name_size, .key_size = key_size};
	memcpy((*out)->bytes, line, name_size);
	memcpy((*out)->bytes + name_size, colon + 1, key_size);
	return NULL;
}

static int read_lines(struct psk **out, FILE *file, const char *path, struct error *err)
{
	char line[2048];
	struct psk **end = out;

	for (unsigned n = 1; errno = 0, fgets(line, sizeof(line), file); n++) {
		const char *wrong = NULL;
		int sys = 0;
		/* A NUL hides the end of its line. */
		if (strchr(line, '\n') == NULL && !feof(file))
			wrong = "is too long, or no text";
		else
			wrong = read_line(end, line, &sys);
		if (sys != 0)
			return fail_system(err, sys, "tls: %s", path);
		if (*end != NULL && psk_find(*out, (*end)->bytes, (*end)->name_size) != *end)
			wrong = "names a user a second time";
		if (wrong != NULL)
			return fail(err, ERR_USAGE, "tls: %s: line %u %s", path, n, wrong);
		if (*end != NULL)
			end = &(*end)->next;
	}
	if (ferror(file))
		return fail_system(err, errno, "tls: %s", path);
	return *out != NULL ? 0 : fail(err, ERR_USAGE, "tls: %s: no key in it", path);
}

int psk_read(struct psk **out, const char *path, struct error *err)
{
	struct psk *keys = NULL;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return fail_system(err, errno, "tls: %s", path);
	int code = read_lines(&keys, file, path, err);
	fclose(file);
	if (code != 0) {
		psk_free(keys);
		return code;
	}
	*out = keys;
	return 0;
}

const struct psk *psk_find(const struct psk *keys, const void *name, size_t size)
{
	while (keys != NULL && (keys->name_size != size || memcmp(keys->bytes, name, size) != 0))
		keys = keys->next;
	return keys;
}

void psk_free(struct psk *keys)
{
	while (keys != NULL) {
		struct psk *next = keys->next;
		free(keys);
		keys = next;
	}
}
