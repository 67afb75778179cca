/* xz, bzip2 and lzop, by libarchive. */
#include "reader/input/parts.h"

#include "base/library.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(X)                         \
	X(archive_errno)                     \
	X(archive_error_string)              \
	X(archive_read_data)                 \
	X(archive_read_free)                 \
	X(archive_read_new)                  \
	X(archive_read_next_header)          \
	X(archive_read_open)                 \
	X(archive_read_support_filter_bzip2) \
	X(archive_read_support_filter_lzop)  \
	X(archive_read_support_filter_xz)    \
	X(archive_read_support_format_raw)   \
	X(archive_set_error)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;

static struct library library = LIBRARY(FILE_archive, FUNCTIONS, lib);

struct foreign {
	struct archive *archive;
	struct compressed *in; /* borrowed */
	const char *name;      /* borrowed */
	struct error
		read_err; /* of reading the compressed stream: libarchive does not pass it on */
};

static int support(struct archive *archive, const char *name)
{
	if (strcmp(name, "xz") == 0)
		return lib.archive_read_support_filter_xz(archive);
	if (strcmp(name, "bzip2") == 0)
		return lib.archive_read_support_filter_bzip2(archive);
	return lib.archive_read_support_filter_lzop(archive);
}

/* libarchive asks for more of the compressed stream. */
static la_ssize_t give_bytes(struct archive *archive, void *context, const void **bytes)
{
	struct foreign *foreign = context;
	size_t got = 0;
	int code = compressed_read(foreign->in, &got, &foreign->read_err);

	*bytes = foreign->in->buffer;
	if (code == 0)
		return (la_ssize_t)got;
	lib.archive_set_error(archive, foreign->read_err.sys, "cannot be read");
	return -1;
}

/* If the decoder fails after it asked for bytes past the end, the stream is truncated. */
static int fail_archive(const struct foreign *foreign, uint64_t position, struct error *err)
{
	const char *text = lib.archive_error_string(foreign->archive);

	text = text != NULL ? text : "no reason given";
	if (foreign->read_err.code != 0) {
		*err = foreign->read_err;
		return err->code;
	}
	if (lib.archive_errno(foreign->archive) == ENOMEM)
		return fail(err, ERR_SYSTEM, "no memory to decompress %s", foreign->name);
	if (strstr(text, "exited with status 2") != NULL)
		return fail(err, ERR_UNSUPPORTED,
			    "%s: holds several lzop files, or other bytes after one: lzop -dc FILE "
			    "| vmabak COMMAND -",
			    foreign->in->from->name);
	/* One that says that it failed was there. */
	if (strcmp(foreign->name, "lzop") == 0 && position == 0 &&
	    strstr(text, "exited with status 1") == NULL)
		return fail(err, ERR_UNSUPPORTED, "cannot decompress lzop: is lzop installed? (%s)",
			    text);
	if (foreign->in->ended)
		return fail_at(err, ERR_INCOMPLETE, position,
			       "incomplete: the %s stream ends early", foreign->name);
	return fail_at(err, ERR_DAMAGED, position, "the %s stream is damaged: %s", foreign->name,
		       text);
}

static int open_archive(struct foreign *foreign, struct error *err)
{
	struct archive_entry *entry;

	TRY(library_load(&library, err));
	foreign->archive = lib.archive_read_new();
	if (foreign->archive == NULL)
		return fail_memory(err);
	/* libarchive may run the program lzop, and warns about that. */
	if (support(foreign->archive, foreign->name) < ARCHIVE_WARN ||
	    lib.archive_read_support_format_raw(foreign->archive) != ARCHIVE_OK)
		return fail(err, ERR_UNSUPPORTED, "this libarchive cannot decompress %s",
			    foreign->name);
	if (lib.archive_read_open(foreign->archive, foreign, NULL, give_bytes, NULL) !=
		    ARCHIVE_OK ||
	    lib.archive_read_next_header(foreign->archive, &entry) != ARCHIVE_OK)
		return fail_archive(foreign, 0, err);
	return 0;
}

static void foreign_close(void *state)
{
	struct foreign *foreign = state;

	if (foreign == NULL)
		return;
	if (foreign->archive != NULL)
		lib.archive_read_free(foreign->archive);
	free(foreign);
}

static int foreign_open(void **out, struct compressed *in, const char *name, struct error *err)
{
	struct foreign *foreign = calloc(1, sizeof(*foreign));

	if (foreign == NULL)
		return fail_memory(err);
	foreign->in = in;
	foreign->name = name;
	int code = open_archive(foreign, err);
	if (code == 0)
		*out = foreign;
	else
		foreign_close(foreign);
	return code;
}

static int foreign_read(void *state, uint64_t position, void *buffer, size_t n, size_t *got,
			struct error *err)
{
	struct foreign *foreign = state;
	la_ssize_t result;

	do
		result = lib.archive_read_data(foreign->archive, buffer, n);
	while (result == ARCHIVE_RETRY);
	if (result < 0)
		return fail_archive(foreign, position, err);
	*got = (size_t)result;
	return 0;
}

const struct decoder decoder_foreign = {foreign_open, foreign_read, foreign_close};
