#include "reader/input/filter.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct filter {
	struct archive *archive;
	int fd;
	uint8_t *buffer; /* borrowed */
	size_t buffered; /* bytes in it that were read before the filter was opened */
	uint64_t position;
	const char *name;
};

static const struct {
	const char *name;
	uint8_t length;
	uint8_t magic[FILTER_MAGIC_MAX];
	int (*support)(struct archive *);
} filters[] = {
	{"zstd", 4, {0x28, 0xb5, 0x2f, 0xfd}, archive_read_support_filter_zstd},
	{"gzip", 3, {0x1f, 0x8b, 0x08}, archive_read_support_filter_gzip},
	{"lzop",
	 9,
	 {0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n'},
	 archive_read_support_filter_lzop},
	{"xz", 6, {0xfd, '7', 'z', 'X', 'Z', 0}, archive_read_support_filter_xz},
	{"bzip2", 3, {'B', 'Z', 'h'}, archive_read_support_filter_bzip2},
};
#define N_FILTERS (sizeof filters / sizeof *filters)
#define READ_SIZE (1u << 20)

static size_t recognise(const uint8_t *bytes, size_t n)
{
	size_t i = 0;
	while (i < N_FILTERS &&
	       (n < filters[i].length || memcmp(bytes, filters[i].magic, filters[i].length) != 0))
		i++;
	return i;
}

bool filter_wanted(const uint8_t *bytes, size_t n)
{
	return recognise(bytes, n) < N_FILTERS;
}

/* libarchive asks for more of the compressed stream. */
static la_ssize_t give_bytes(struct archive *archive, void *context, const void **bytes)
{
	struct filter *filter = context;
	ssize_t n = (ssize_t)filter->buffered;
	*bytes = filter->buffer;
	filter->buffered = 0;
	while (n == 0) {
		n = read(filter->fd, filter->buffer, READ_SIZE);
		if (n >= 0)
			break;
		if (errno != EINTR) {
			archive_set_error(archive, errno, "cannot be read");
			return -1;
		}
		n = 0;
	}
	return n;
}

static int fail_archive(struct filter *filter, struct error *err)
{
	const char *text = archive_error_string(filter->archive);
	int code = ERR_DAMAGED;
	if (strcmp(filter->name, "lzop") == 0 && filter->position == 0)
		return fail(err, ERR_UNSUPPORTED, "cannot undo lzop here: is lzop installed? (%s)",
			    text != NULL ? text : "no reason given");
	if (text != NULL && (strstr(text, "runcated") != NULL || strstr(text, "remature") != NULL))
		code = ERR_INCOMPLETE;
	return fail_at(err, code, filter->position, "%sthe %s stream is bad: %s",
		       code == ERR_INCOMPLETE ? "incomplete: " : "", filter->name,
		       text != NULL ? text : "no reason given");
}

static int open_archive(struct filter *filter, size_t which, struct error *err)
{
	struct archive_entry *entry;
	filter->archive = archive_read_new();
	if (filter->archive == NULL)
		return fail(err, ERR_SYSTEM, "no memory");
	/* lzop may be run as a program of its own, about which libarchive warns. */
	if (filters[which].support(filter->archive) < ARCHIVE_WARN ||
	    archive_read_support_format_raw(filter->archive) != ARCHIVE_OK)
		return fail(err, ERR_UNSUPPORTED, "libarchive here cannot undo %s", filter->name);
	if (archive_read_open(filter->archive, filter, NULL, give_bytes, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(filter->archive, &entry) != ARCHIVE_OK)
		return fail_archive(filter, err);
	return 0;
}

int filter_open(struct filter **out, int fd, uint8_t *begin, size_t n, struct error *err)
{
	size_t which = recognise(begin, n);
	struct filter *filter = calloc(1, sizeof *filter);
	if (filter == NULL)
		return fail(err, ERR_SYSTEM, "no memory");
	*filter = (struct filter){
		.fd = fd, .buffer = begin, .buffered = n, .name = filters[which].name};
	int code = open_archive(filter, which, err);
	if (code == 0)
		*out = filter;
	else
		filter_close(filter);
	return code;
}

int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err)
{
	la_ssize_t result;
	do
		result = archive_read_data(filter->archive, buffer, n);
	while (result == ARCHIVE_RETRY);
	if (result < 0)
		return fail_archive(filter, err);
	*got = (size_t)result;
	filter->position += *got;
	return 0;
}

const char *filter_name(const struct filter *filter)
{
	return filter->name;
}

void filter_close(struct filter *filter)
{
	if (filter == NULL)
		return;
	archive_read_free(filter->archive);
	free(filter);
}
