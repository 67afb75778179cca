#include "archive/source.h"

#include "base/sandbox.h"

#include "reader/input/input.h"
#include "reader/reader.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_THREADS_MAX 64

static int open_input(struct source *out, const char *path, uint64_t rate, struct error *err)
{
	*out = (struct source){.name = path};
	if (*path == '\0')
		return fail(err, ERR_USAGE, "the name of an archive must not be empty");
	if (strcmp(path, "-") == 0 && isatty(STDIN_FILENO))
		return fail(err, ERR_USAGE,
			    "standard input is a terminal: no archive can come from there");
	if (input_open(&out->input, path, err) < 0)
		return err->code;
	if (rate != 0)
		input_limit(out->input, rate);
	return 0;
}

static int read_head(struct source *out, struct error *err)
{
	if (input_check(out->input, err) < 0 || reader_open(&out->reader, out->input, err) < 0)
		return err->code;
	out->archive = reader_archive(out->reader);
	return 0;
}

int source_open(struct source *out, const char *path, uint64_t rate, struct error *err)
{
	return open_input(out, path, rate, err) < 0 ? err->code : read_head(out, err);
}

int source_open_alone(struct source *out, const char *path, uint64_t rate, struct error *err)
{
	if (open_input(out, path, rate, err) < 0 || sandbox_enter_at_once(err) < 0)
		return err->code;
	return read_head(out, err);
}

void source_close(struct source *source)
{
	if (source->reader != NULL)
		reader_free(source->reader);
	if (source->input != NULL)
		input_close(source->input);
	*source = (struct source){.name = source->name};
}

bool source_is(const char *path, const struct stat *file)
{
	struct stat own;
	int result = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &own) : stat(path, &own);

	if (result < 0)
		return false;
	if (S_ISBLK(own.st_mode) && S_ISBLK(file->st_mode))
		return own.st_rdev == file->st_rdev;
	return (S_ISREG(own.st_mode) || S_ISBLK(own.st_mode)) && own.st_dev == file->st_dev &&
	       own.st_ino == file->st_ino;
}

uint64_t archive_drive_bytes(const struct archive *archive)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint64_t size = archive->drives[i].size_bytes;

		/* Only a display depends on it: hostile sizes must not wrap around. */
		sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
	}
	return sum;
}

bool archive_is_incremental(const struct archive *archive)
{
	static const uint8_t none[UUID_SIZE];

	return memcmp(archive->parent, none, UUID_SIZE) != 0;
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
