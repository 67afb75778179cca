#include "archive/open.h"

#include "base/bytes.h"
#include "base/changer.h"
#include "base/command.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "base/watcher.h"
#include "store/store.h"

#include "reader/input/input.h"
#include "reader/reader.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_THREADS_MAX 64

static int open_input(struct opened_archive *out, const char *path, uint64_t rate,
		      struct error *err)
{
	*out = (struct opened_archive){.name = path};
	if (*path == '\0')
		return fail(err, ERR_USAGE, "the name of an archive must not be empty");
	if (strcmp(path, "-") == 0 && isatty(STDIN_FILENO))
		return fail(err, ERR_USAGE,
			    "standard input is a terminal: no archive can come from there");
	TRY(input_open(&out->input, path, err));
	if (rate != 0)
		input_limit(out->input, rate);
	return 0;
}

static int read_head(struct opened_archive *out, struct error *err)
{
	TRY(input_check(out->input, err));
	TRY(reader_open(&out->reader, out->input, err));
	out->archive = reader_archive(out->reader);
	return 0;
}

int archive_open(struct opened_archive *out, const char *path, uint64_t rate, struct error *err)
{
	TRY(open_input(out, path, rate, err));
	return read_head(out, err);
}

int archive_open_alone(struct opened_archive *out, const char *path, uint64_t rate,
		       struct error *err)
{
	TRY(open_input(out, path, rate, err));
	/* Connections that are made later read what the system says of hosts, and the next tape of
	 * an archive is opened when it is in the drive. */
	if (store_is_name(path) || changer_may_change(path))
		TRY(sandbox_enter_reading(NULL, err));
	else
		TRY(sandbox_enter_at_once(err));
	return read_head(out, err);
}

int archive_open_next(struct opened_archive *out, const struct strings *names, unsigned i,
		      uint64_t rate, struct error *err)
{
	struct sandbox sandbox;

	*out = (struct opened_archive){.name = names->items[i]};
	if (i + 1 == names->n)
		return archive_open_alone(out, names->items[i], rate, err);
	if (i == 0) {
		sandbox_begin(&sandbox);
		sandbox_allow_reading(&sandbox);
		TRY(sandbox_enter(&sandbox, err));
	}
	return archive_open(out, names->items[i], rate, err);
}

int archive_check_names(const struct strings *names, struct error *err)
{
	unsigned n = 0;

	for (unsigned i = 0; i < names->n; i++)
		n += strcmp(names->items[i], "-") == 0;
	return n > 1 ? fail(err, ERR_USAGE, "standard input can be read only once") : 0;
}

void archive_close(struct opened_archive *opened)
{
	if (opened->reader != NULL)
		reader_free(opened->reader);
	if (opened->input != NULL)
		input_close(opened->input);
	*opened = (struct opened_archive){.name = opened->name};
}

struct progress_view archive_view(const struct opened_archive *opened, struct reader_counts *counts)
{
	return (struct progress_view){
		.label = strcmp(opened->name, "-") == 0 ? "standard input" : opened->name,
		.done_bytes = &counts->place,
		.total_bytes = input_file_size(opened->input),
		.covered_bytes = &counts->covered_bytes,
		.drives_bytes = archive_drive_bytes(opened->archive),
		.drive = &counts->drive,
		.drive_name = archive_drive_name,
		.drives = opened->archive,
	};
}

void archive_drive_name(const void *archive, uint32_t drive, char *out, size_t out_size)
{
	const struct archive *of = archive;

	*out = '\0';
	if (drive < of->n_drives)
		escape_text(out, out_size, of->drives[drive].name.bytes,
			    of->drives[drive].name.length);
}

bool archive_is_stream(const char *path)
{
	struct stat status;

	return strcmp(path, "-") == 0 || command_of(path) != NULL ||
	       (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode) &&
		!S_ISDIR(status.st_mode));
}

bool archive_is_file(const char *path, const struct stat *file)
{
	struct stat own;
	int code = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &own) : stat(path, &own);

	if (code < 0)
		return false;
	if (S_ISBLK(own.st_mode) && S_ISBLK(file->st_mode))
		return own.st_rdev == file->st_rdev;
	return (S_ISREG(own.st_mode) || S_ISBLK(own.st_mode)) && own.st_dev == file->st_dev &&
	       own.st_ino == file->st_ino;
}

bool archive_is_object(const char *path, const char *object)
{
	return store_is_name(path) && strcmp(path, object) == 0;
}

uint64_t archive_drive_bytes(const struct archive *archive)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint64_t size = archive->drives[i].size_bytes;

		/* Hostile sizes must not wrap around; only a display depends on the sum. */
		sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
	}
	return sum;
}

bool archive_is_incremental(const struct archive *archive)
{
	return !all_zero(archive->parent, UUID_SIZE);
}

const char *archive_format_name(const struct archive *archive)
{
	return archive->format == FORMAT_VMAB ? "vmab" : "vma";
}

unsigned threads_wanted(uint64_t asked)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (asked != 0)
		return (unsigned)asked;
	if (n < 1)
		return 1;
	return n > DEFAULT_THREADS_MAX ? DEFAULT_THREADS_MAX : (unsigned)n;
}
