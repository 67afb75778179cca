/*
 * Format and compression follow from the name, --format and --compress, which must agree.
 */
#include "archive/create_plan.h"

#include "base/command.h"
#include "store/store.h"
#include "base/name.h"
#include "base/parse.h"
#include "base/place.h"

#include <string.h>
#include <unistd.h>

#define ZSTD_LEVEL_DEFAULT 1 /* faster than most outputs */
#define GZIP_LEVEL_DEFAULT 6 /* gzip's own */

/* What the ending of a name says. */
struct ending {
	const char *text;
	enum archive_format format;
	enum compress_method around; /* COMPRESS_DEFAULT: inside the archive */
};

static const struct ending endings[] = {
	{".vmab", FORMAT_VMAB, COMPRESS_DEFAULT},
	{".vma", FORMAT_VMA1, COMPRESS_NONE},
	{".vma.zst", FORMAT_VMA1, COMPRESS_ZSTD},
	{".vma.gz", FORMAT_VMA1, COMPRESS_GZIP},
};

static const struct ending *find_ending(const char *name)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (has_ending(base_name(name), endings[i].text))
			return &endings[i];
	}
	return NULL;
}

bool create_plan_names_archive(const char *name)
{
	return find_ending(name) != NULL;
}

static const char *method_name(enum compress_method method)
{
	return method == COMPRESS_ZSTD ? "zstd" : method == COMPRESS_GZIP ? "gzip" : "none";
}

static int level_of(struct compress compress)
{
	if (compress.level != 0 || compress.method == COMPRESS_NONE)
		return compress.level;
	return compress.method == COMPRESS_GZIP ? GZIP_LEVEL_DEFAULT : ZSTD_LEVEL_DEFAULT;
}

/* From the ending and --format. */
static int plan_format(struct create_plan *out, const char *name, const struct ending *ending,
		       const struct create_options *options, struct error *err)
{
	enum archive_format asked =
		options->format == FORMAT_CHOICE_VMA ? FORMAT_VMA1 : FORMAT_VMAB;

	if (options->format != FORMAT_BY_NAME && ending != NULL && ending->format != asked)
		return fail(err, ERR_USAGE, "%s: the name ends in %s, --format says otherwise",
			    name, ending->text);
	out->format = ending != NULL ? ending->format : asked;
	if (options->no_vma_checksums && out->format != FORMAT_VMA1)
		return fail(err, ERR_USAGE,
			    "%s: --no-vma-checksums is for VMA, and this archive is VMAB", name);
	if (options->extent_size != 0 && out->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE,
			    "%s: --extent-size is for VMAB: extents of VMA have their own", name);
	if (out->format == FORMAT_VMAB)
		out->cluster_checksum = CLUSTER_XXH3_128;
	else
		out->cluster_checksum =
			options->no_vma_checksums ? CLUSTER_UNPROTECTED : CLUSTER_XXH3_64;
	return 0;
}

/* From --compress, within what the ending allows. */
static int plan_compression(struct create_plan *out, const char *name, const struct ending *ending,
			    const struct create_options *options, struct error *err)
{
	struct compress compress = {COMPRESS_DEFAULT, 0};

	if (options->compress != NULL && !parse_compress(options->compress, &compress))
		return fail(err, ERR_USAGE,
			    "--compress '%s': must be zstd, zstd:1 to zstd:19, gzip, gzip:1 to "
			    "gzip:9, or none",
			    options->compress);
	if (out->format == FORMAT_VMAB && compress.method == COMPRESS_GZIP)
		return fail(err, ERR_USAGE, "%s: VMAB supports zstd and none, not gzip", name);
	if (out->format == FORMAT_VMA1 && ending != NULL && compress.method != COMPRESS_DEFAULT &&
	    compress.method != ending->around)
		return fail(err, ERR_USAGE,
			    "%s: the name ends in %s, --compress %s needs another ending", name,
			    ending->text, method_name(compress.method));
	if (compress.method == COMPRESS_DEFAULT && out->format == FORMAT_VMAB)
		compress.method = COMPRESS_ZSTD;
	else if (compress.method == COMPRESS_DEFAULT)
		compress.method = ending != NULL ? ending->around : COMPRESS_NONE;
	out->level = level_of(compress);
	if (out->format == FORMAT_VMA1 && compress.method != COMPRESS_NONE)
		out->wrap = compress.method == COMPRESS_GZIP ? WRAP_GZIP : WRAP_ZSTD;
	if (out->wrap != WRAP_NONE && options->record_size != 0)
		return fail(err, ERR_USAGE,
			    "%s: --record-size cannot pad a %s stream; use VMAB, or VMA without "
			    "compression",
			    name, method_name(compress.method));
	return 0;
}

int create_plan_format(struct create_plan *out, bool by_name, const struct create_options *options,
		       struct error *err)
{
	const char *name = options->name;
	const struct ending *ending = by_name ? find_ending(name) : NULL;

	*out = (struct create_plan){0};
	if (by_name && ending == NULL && options->format == FORMAT_BY_NAME)
		return fail(err, ERR_USAGE,
			    "%s: the name does not show the format: end it in .vmab, .vma, "
			    ".vma.zst or .vma.gz, or give --format",
			    name);
	TRY(plan_format(out, name, ending, options, err));
	return plan_compression(out, name, ending, options, err);
}

/* *by_name: the archive is, or will be, a regular file. The name of a tape or a pipe tells nothing
 * about the format. */
static int check_name(const char *name, bool force, bool *by_name, struct error *err)
{
	struct stat found;

	*by_name = true;
	if (strcmp(name, "-") == 0) {
		*by_name = false;
		if (isatty(STDOUT_FILENO))
			return fail(err, ERR_USAGE,
				    "standard output is a terminal: give -o ARCHIVE, or send it to "
				    "a file or pipe");
		return 0;
	}
	if (store_is_name(name))
		return 0;
	if (command_of(name) != NULL) {
		*by_name = false;
		return *command_of(name) != '\0' ? 0
						 : fail(err, ERR_USAGE,
							"exec: needs a command, as in "
							"'exec:rclone rcat store:web.vmab'");
	}
	if (stat(name, &found) < 0)
		return place_check(name, err);
	*by_name = S_ISREG(found.st_mode);
	if (S_ISDIR(found.st_mode))
		return fail(err, ERR_USAGE, "%s: is a folder, not an archive", name);
	if (S_ISREG(found.st_mode) && !force)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", name);
	if (S_ISBLK(found.st_mode))
		return fail(err, ERR_USAGE,
			    "%s: is a block device: an archive goes to a file, a pipe or a tape",
			    name);
	return 0;
}

static int check_store(const struct create_options *options, struct error *err)
{
	const struct store_options how = {.retain_until = options->retain_until};

	if (store_is_name(options->name))
		return store_check(options->name, &how, err);
	return options->s3_parts != 0 || options->retain_until != NULL
		       ? fail(err, ERR_USAGE,
			      "--s3-parts and --retain-until are for s3://BUCKET/KEY")
		       : 0;
}

int create_plan_make(struct create_plan *out, const struct create_options *options,
		     struct error *err)
{
	bool by_name;

	if (*options->name == '\0')
		return fail(err, ERR_USAGE, "-o: the name of an archive must not be empty");
	if (options->record_size % SECTOR_SIZE != 0)
		return fail(err, ERR_USAGE, "--record-size %llu: must be a multiple of %u",
			    (unsigned long long)options->record_size, SECTOR_SIZE);
	TRY(check_store(options, err));
	TRY(check_name(options->name, options->force, &by_name, err));
	return create_plan_format(out, by_name, options, err);
}

bool create_plan_overwrites(const char *name, const struct stat *file)
{
	struct stat own;
	int code = strcmp(name, "-") == 0 ? fstat(STDOUT_FILENO, &own) : stat(name, &own);

	return code == 0 && S_ISREG(own.st_mode) && own.st_dev == file->st_dev &&
	       own.st_ino == file->st_ino;
}
