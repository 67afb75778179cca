/*
 * QEMU silently reads zeros past the end of an image's file, so reading an interrupted copy does
 *not reveal that it is incomplete. Therefore, before anything is read,
 *
 *	qemu-img info   names the files: the backing chain, the extents of a VMDK, data files
 *	qemu-img map    reports how far the data reaches into each, but not for compressed clusters
 *	qcow2_reach     does so for qcow2, including tables and compressed clusters
 *	qemu-img check  finds other errors, for the formats that support it
 *
 * and each file must be that long. All of this reads metadata only.
 */
#include "drive/qemu.h"

#if HAVE_LIBNBD

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR	  512u
#define FILES_MAX 65536u /* more than any image has */

/* A file with data of the image at this depth of the chain, 0 being the top: for the bytes from
 * begin to end of the drive. */
struct part {
	char *path; /* owned */
	uint64_t depth, begin, end;
	uint64_t reach; /* how far the data reaches into it */
};

struct examination {
	const struct qemu_image *image;
	json_t *chain; /* owned */
	struct part *parts;
	size_t n_parts;
	char *warning; /* borrowed */
	size_t room;
};

static void warn(struct examination *exam, const char *path, const char *what)
{
	size_t used = strlen(exam->warning);

	snprintf(exam->warning + used, exam->room - used, "%s%s %s", used > 0 ? "; " : "", path,
		 what);
}

/* ---- the files ---- */

static void append_text(void *context, const char *text)
{
	fputs(text, context);
}

/* Runs qemu-img with the image as its last argument. */
static int ask(struct qemu_img *run, const char *command, const struct qemu_image *image,
	       struct error *err)
{
	char *options = qemu_image_options(image);
	char *object = image->secret == NULL ? NULL : qemu_secret_object(image);
	const char *arguments[9] = {"qemu-img", command, "--output=json", "--image-opts"};
	unsigned n = 4;
	int code;

	if (strcmp(command, "info") == 0)
		arguments[n++] = "--backing-chain";
	if (object != NULL) {
		arguments[n++] = "--object";
		arguments[n++] = object;
	}
	arguments[n] = options;
	run->name = image->name;
	run->arguments = arguments;
	if (options == NULL || (object == NULL && image->secret != NULL))
		code = fail_memory(err);
	else
		code = qemu_img_run(run, err);
	free(options);
	free(object);
	return code;
}

static int read_chain(struct examination *exam, struct error *err)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	struct qemu_img run = {.line = append_text, .context = memory};

	if (memory == NULL)
		return fail_system(err, errno, "%s", exam->image->name);
	int code = ask(&run, "info", exam->image, err);
	fclose(memory);
	if (code == 0)
		exam->chain =
			json_loadb(text != NULL ? text : "", text != NULL ? length : 0, 0, NULL);
	free(text);
	if (code < 0)
		return code;
	if (!json_is_array(exam->chain))
		return fail(err, ERR_SYSTEM, "%s: qemu-img info: %s", exam->image->name, run.words);
	return 0;
}

static const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* The format-specific information of an image of the chain. */
static json_t *specific_of(const json_t *image)
{
	return json_object_get(json_object_get(image, "format-specific"), "data");
}

static const char *path_of(const struct examination *exam, size_t depth)
{
	return depth == 0 ? exam->image->path
			  : member_text(json_array_get(exam->chain, depth), "filename");
}

static int add_part(struct examination *exam, const char *path, const struct part *part,
		    struct error *err)
{
	struct part *parts = NULL;
	char *own = strdup(path);

	if (own != NULL && exam->n_parts < FILES_MAX)
		parts = realloc(exam->parts, (exam->n_parts + 1) * sizeof(*parts));
	if (parts == NULL) {
		free(own);
		return fail_memory(err);
	}
	exam->parts = parts;
	parts[exam->n_parts] = *part;
	parts[exam->n_parts++].path = own;
	return 0;
}

static int add_image(struct examination *exam, size_t depth, struct error *err)
{
	const json_t *specific = specific_of(json_array_get(exam->chain, depth));
	const json_t *extents = json_object_get(specific, "extents");
	const char *data_file = member_text(specific, "data-file");
	struct part part = {.depth = depth, .end = UINT64_MAX};

	if (*data_file != '\0')
		return add_part(exam, data_file, &part, err);
	if (json_array_size(extents) == 0)
		return add_part(exam, path_of(exam, depth), &part, err);
	for (size_t i = 0; i < json_array_size(extents); i++) {
		const json_t *extent = json_array_get(extents, i);
		json_int_t size = json_integer_value(json_object_get(extent, "virtual-size"));

		part.end = part.begin + (size > 0 ? (uint64_t)size : 0);
		TRY(add_part(exam, member_text(extent, "filename"), &part, err));
		part.begin = part.end;
	}
	return 0;
}

/* ---- how far they must reach ---- */

static bool find_number(const char *line, const char *key, uint64_t *out)
{
	const char *at = strstr(line, key);
	char *end;

	if (at == NULL)
		return false;
	at += strlen(key);
	errno = 0;
	*out = strtoull(at, &end, 10);
	return end != at && errno == 0;
}

/* { "start": 0, "length": 65536, "depth": 0, ..., "data": true, "offset": 327680}, a line for each
 * run of clusters, which can be very many. */
static void note_run(void *context, const char *line)
{
	struct examination *exam = context;
	uint64_t start, length, depth, offset;

	if (strstr(line, "\"data\": true") == NULL || !find_number(line, "\"start\": ", &start) ||
	    !find_number(line, "\"length\": ", &length) ||
	    !find_number(line, "\"depth\": ", &depth) ||
	    !find_number(line, "\"offset\": ", &offset) || length > UINT64_MAX - offset)
		return;
	for (size_t i = 0; i < exam->n_parts; i++) {
		struct part *part = &exam->parts[i];

		if (part->depth == depth && start >= part->begin && start < part->end &&
		    part->reach < offset + length)
			part->reach = offset + length;
	}
}

static int read_map(struct examination *exam, struct error *err)
{
	struct qemu_img run = {.line = note_run, .context = exam};
	int code = ask(&run, "map", exam->image, err);

	/* What QEMU cannot find its way to fails when it is read; the tables of a qcow2 tell more.
	 */
	if (code > 0 && strcmp(exam->image->format, "qcow2") == 0)
		return 0;
	if (code > 0)
		return fail(err, ERR_SYSTEM, "%s: qemu-img map: %s; was it copied completely?",
			    exam->image->name, run.words);
	return code;
}

static int check_length(struct examination *exam, const char *path, int fd, uint64_t reach,
			struct error *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	bool own = strcmp(path, exam->image->name) == 0;

	if (size < 0 || (uint64_t)size >= reach)
		return 0;
	if (exam->image->damaged_too) {
		warn(exam, path, "is cut short");
		return 0;
	}
	return fail(err, ERR_SYSTEM,
		    "%s%s%s: its end is missing: it has %" PRIu64
		    " bytes, and its data reaches to byte %" PRIu64 "; was it copied completely?",
		    own ? "" : exam->image->name, own ? "" : ": ", path, (uint64_t)size, reach);
}

/* Anything that is not a local file, such as a backing file behind a URL, is skipped. */
static int check_file(struct examination *exam, const char *path, uint64_t reach,
		      const char *format, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint64_t own_reach = reach;
	int code = 0;
	off_t size;

	if (fd < 0)
		return 0;
	if (strcmp(format, "qcow2") == 0)
		code = qcow2_reach(fd, path, exam->image->internal != NULL, &own_reach, err);
	/* map has no offsets for it, and QEMU reads zeros for the missing part of a sector. */
	if (strcmp(format, "vhdx") == 0 && (size = lseek(fd, 0, SEEK_END)) > 0)
		own_reach = ((uint64_t)size + SECTOR - 1) / SECTOR * SECTOR;
	if (code == 0)
		code = check_length(exam, path, fd, own_reach, err);
	close(fd);
	return code;
}

static int check_ends(struct examination *exam, struct error *err)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < exam->n_parts; i++)
		code = check_file(exam, exam->parts[i].path, exam->parts[i].reach, "raw", err);
	for (size_t i = 0; code == 0 && i < json_array_size(exam->chain); i++)
		code = check_file(exam, path_of(exam, i), 0,
				  member_text(json_array_get(exam->chain, i), "format"), err);
	return code;
}

/* ---- what else is wrong ---- */

static bool is_set(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* Errors of a qcow2 that is long enough are in its reference counts and do not affect what a guest
 * reads; in other formats they affect the metadata that leads to the data. Leaked clusters are not
 * errors. */
static int run_check(struct examination *exam, size_t depth, struct error *err)
{
	const json_t *image = json_array_get(exam->chain, depth);
	const char *path = path_of(exam, depth), *format = member_text(image, "format");
	struct qemu_image how = {
		.name = exam->image->name,
		.path = path,
		.format = format,
		.secret = depth == 0 ? exam->image->secret : NULL,
	};
	struct qemu_img run = {0};
	struct stat st;

	if (!is_image_format(format) || strcmp(format, "raw") == 0 || stat(path, &st) != 0)
		return 0;
	how.block_device = S_ISBLK(st.st_mode);
	int code = ask(&run, "check", &how, err);
	if (code != 1 && code != 2)
		return code < 0 ? code : 0;
	if (strcmp(format, "qcow2") != 0 && !exam->image->damaged_too)
		return fail(err, ERR_SYSTEM, "%s: qemu-img check finds errors%s%s: %s",
			    exam->image->name, depth > 0 ? " in " : "", depth > 0 ? path : "",
			    run.words);
	warn(exam, path, "has errors according to qemu-img check");
	return 0;
}

static int check_state(struct examination *exam, struct error *err)
{
	for (size_t i = 0; i < json_array_size(exam->chain); i++) {
		const json_t *image = json_array_get(exam->chain, i);

		if (is_set(specific_of(image), "corrupt"))
			warn(exam, path_of(exam, i), "is marked as corrupt");
		else if (is_set(image, "dirty-flag"))
			warn(exam, path_of(exam, i), "was not closed cleanly");
		TRY(run_check(exam, i, err));
	}
	return 0;
}

int qemu_image_examine(const struct qemu_image *image, char *warning, size_t room,
		       struct error *err)
{
	struct examination exam = {.image = image, .warning = warning, .room = room};
	int code = read_chain(&exam, err);

	*warning = '\0';
	for (size_t i = 0; code == 0 && i < json_array_size(exam.chain); i++)
		code = add_image(&exam, i, err);
	if (code == 0)
		code = read_map(&exam, err);
	if (code == 0)
		code = check_ends(&exam, err);
	/* While another program writes to it the counts are never right. */
	if (code == 0 && !image->force_share)
		code = check_state(&exam, err);
	for (size_t i = 0; i < exam.n_parts; i++)
		free(exam.parts[i].path);
	free(exam.parts);
	json_decref(exam.chain);
	return code;
}

#endif
