/*
 * The files below an image. Who writes to one of them changes what the image shows, and neither its
 * bitmaps nor its tables tell of that.
 */
#include "archive/qcow2_backing.h"

#include "base/name.h"
#include "base/parse.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 200u

/* Whether this one is named as in a text. */
static bool is_text(const struct text *text, const char *name)
{
	return text->length == strlen(name) && memcmp(text->bytes, name, text->length) == 0;
}

/* sum becomes that of what it was, of the file's name and of its state. */
static int add_state(uint8_t sum[CHECKSUM_SIZE], const char *path, struct error *err)
{
	uint8_t name[CHECKSUM_SIZE], both[2 * CHECKSUM_SIZE + 4 * sizeof(uint64_t)];
	struct stat found;

	if (stat(path, &found) != 0)
		return fail_system(err, errno, "%s", path);
	if (!S_ISREG(found.st_mode))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is below the image, and does not tell when it was written", path);
	uint64_t parts[] = {(uint64_t)found.st_size, found.st_ino, (uint64_t)found.st_mtim.tv_sec,
			    (uint64_t)found.st_mtim.tv_nsec};
	checksum_bytes(path, strlen(path), name);
	memcpy(both, sum, CHECKSUM_SIZE);
	memcpy(both + CHECKSUM_SIZE, name, CHECKSUM_SIZE);
	memcpy(both + 2 * CHECKSUM_SIZE, parts, sizeof(parts));
	checksum_bytes(both, sizeof(both), sum);
	return 0;
}

/* The path of the file below; relative names are relative to the image's folder. Owned. */
static int find_below(const struct qcow2_file *file, char **out, struct error *err)
{
	const struct text *name = &file->head.backing;
	const char *colon = memchr(name->bytes, ':', name->length);
	const char *slash = memchr(name->bytes, '/', name->length);
	size_t folder = (size_t)(base_name(file->path) - file->path);

	if (memchr(name->bytes, '\0', name->length) != NULL ||
	    (colon != NULL && (slash == NULL || colon < slash)))
		return fail(err, ERR_UNSUPPORTED, "%s: what is below it is not named as a file",
			    file->path);
	if (slash == (const char *)name->bytes)
		folder = 0;
	*out = text_make("%.*s%.*s", (int)folder, file->path, (int)name->length, name->bytes);
	return *out != NULL ? 0 : fail_memory(err);
}

/* Takes what is below the image into the sum. *next: its path, if there can be more below it;
 * owned. */
static int take_below(const struct qcow2_file *file, uint8_t sum[CHECKSUM_SIZE], char **next,
		      struct error *err)
{
	const struct text *format = &file->head.backing_format;
	char *path;

	*next = NULL;
	if (!is_text(format, "raw") && !is_text(format, "qcow2"))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: what is below it is not said to be raw or qcow2", file->path);
	TRY(find_below(file, &path, err));
	int code = add_state(sum, path, err);
	if (code != 0 || is_text(format, "raw"))
		free(path);
	else
		*next = path;
	return code;
}

static int take_all(const struct qcow2_file *file, uint8_t sum[CHECKSUM_SIZE], struct error *err)
{
	struct qcow2_file below = {.fd = -1};
	char *path, *next;
	int code = take_below(file, sum, &path, err);

	for (unsigned depth = 0; code == 0 && path != NULL; depth++) {
		next = NULL;
		code = depth < DEPTH_MAX ? qcow2_file_open(&below, path, err)
					 : fail(err, ERR_UNSUPPORTED, "%s: too many files below it",
						file->path);
		if (code == 0 && below.head.backing.length > 0)
			code = take_below(&below, sum, &next, err);
		qcow2_file_close(&below);
		free(path);
		path = next;
	}
	return code;
}

int backing_token(const struct qcow2_file *file, char **out, struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE] = {0};
	char text[UUID_TEXT_SIZE] = "";

	if (file->head.backing.length > 0) {
		TRY(take_all(file, sum, err));
		format_uuid(text, sum);
	}
	*out = strdup(text);
	return *out != NULL ? 0 : fail_memory(err);
}
