#include "drive/qemuimg.h"

#include "base/child.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Without a sign of life; stated in vmabak-backup(1). */
#define LIMIT_MS  120000
#define CREATE_MS 1800000 /* a flush may have to write out a whole cache */
#define WATCH_MS  500
#define STEP_MS	  2

static const struct {
	const char *ending;
	const char *format;
} endings[] = {
	{".qcow2", "qcow2"}, {".qcow", "qcow"}, {".vmdk", "vmdk"}, {".vdi", "vdi"},
	{".vhdx", "vhdx"},   {".vhd", "vpc"},	{".vpc", "vpc"},   {".qed", "qed"},
};

const char *image_format_of(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t n = strlen(endings[i].ending);
		if (length > n && strcasecmp(path + length - n, endings[i].ending) == 0)
			return endings[i].format;
	}
	return "raw";
}

const char *image_format_given(const char *path, const char *given, const char *secret)
{
	const char *format = given != NULL ? given : image_format_of(path);

	if (given == NULL && secret != NULL && strcmp(format, "raw") == 0)
		return "luks";
	return format;
}

bool is_image_format(const char *format)
{
	size_t length = strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789");

	return length > 0 && format[length] == '\0';
}

/* QEMU's option syntax wants commas in a name doubled. */
static char *make_options(const char *begin, const char *path, const char *end)
{
	char *text = malloc(strlen(begin) + 2 * strlen(path) + strlen(end) + 1), *to;

	if (text == NULL)
		return NULL;
	to = stpcpy(text, begin);
	for (const char *from = path; *from != '\0'; from++) {
		if (*from == ',')
			*to++ = ',';
		*to++ = *from;
	}
	strcpy(to, end);
	return text;
}

char *qemu_image_options(const struct qemu_image *image)
{
	const char *end = image->secret == NULL		       ? ""
			  : strcmp(image->format, "luks") == 0 ? ",key-secret=vmabak"
							       : ",encrypt.key-secret=vmabak";
	char *begin = text_make(
		"driver=%s,force-share=%s,file.driver=%s%s,file.filename=", image->format,
		image->force_share ? "on" : "off", image->block_device ? "host_device" : "file",
		image->unlocked ? ",file.locking=off" : "");
	char *text = begin == NULL ? NULL : make_options(begin, image->path, end);

	free(begin);
	return text;
}

char *qemu_secret_object(const struct qemu_image *image)
{
	return make_options("secret,id=vmabak,file=", image->secret, "");
}

/* ---- one that hangs ---- */

struct watch {
	struct child child;
	int64_t limit_ms, quiet_ms; /* spent waiting without a sign of life */
	int64_t cpu_ns;		    /* its CPU time when last checked */
};

static bool hangs(const struct watch *watch)
{
	return watch->quiet_ms >= watch->limit_ms;
}

/* A check may take any time, and prints nothing meanwhile. But while it makes progress it uses CPU
 * time, if only to request the next block. Only waits count towards the limit, so a child that was
 * stopped together with this program is not given up. */
static void note_wait(struct watch *watch, int ms)
{
	int64_t cpu_ns = child_cpu_ns(&watch->child);

	watch->quiet_ms = cpu_ns != watch->cpu_ns ? 0 : watch->quiet_ms + ms;
	watch->cpu_ns = cpu_ns;
}

/* For a stream: its output ends when it hangs. */
static ssize_t read_watched(void *context, char *to, size_t n)
{
	struct watch *watch = context;
	struct pollfd one = {.fd = watch->child.out, .events = POLLIN};
	ssize_t got;

	while (poll(&one, 1, WATCH_MS) <= 0) {
		note_wait(watch, WATCH_MS);
		if (hangs(watch))
			return 0;
	}
	watch->quiet_ms = 0;
	do
		got = read(watch->child.out, to, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* False: not all of its output could be read. */
static bool read_lines(const struct qemu_img *run, struct watch *watch)
{
	FILE *output = fopencookie(watch, "r", (cookie_io_functions_t){.read = read_watched});
	char *text = NULL;
	size_t room = 0;

	if (output == NULL)
		return false;
	while (getline(&text, &room, output) > 0) {
		if (run->line != NULL)
			run->line(run->context, text);
	}
	bool all = feof(output) != 0;
	free(text);
	fclose(output);
	return all;
}

/* Reads all its output and waits for it. */
static int attend(struct qemu_img *run, struct watch *watch, struct error *err)
{
	char text[4096];

	if (!read_lines(run, watch))
		return fail_memory(err);
	while (!hangs(watch) && !child_wait(&watch->child, STEP_MS))
		note_wait(watch, STEP_MS);
	if (hangs(watch))
		return fail(err, ERR_SYSTEM, "%s: qemu-img %s: no sign of life for %d s", run->name,
			    run->arguments[1], (int)(watch->limit_ms / 1000));
	child_words(&watch->child, 0, text, sizeof(text));
	qemu_words(run->words, sizeof(run->words), text, "qemu-img: ");
	return watch->child.status >= 0 && watch->child.status < 128 ? watch->child.status : 1;
}

int qemu_img_run(struct qemu_img *run, struct error *err)
{
	struct watch watch = {.limit_ms = run->limit_ms != 0 ? run->limit_ms : LIMIT_MS};
	const struct child_options how = {
		.argv = run->arguments,
		.out = CHILD_PIPE,
		.err = CHILD_PIPE,
		.dies_with_us = !run->goes_on,
		.group = run->goes_on,
		.passed = &run->lock,
		.n_passed = run->goes_on && run->lock >= 0,
	};

	if (child_start(&watch.child, &how, err) != 0)
		return qemu_not_started(run->name, "qemu-img", err);
	int code = attend(run, &watch, err);
	child_close(&watch.child);
	return code;
}

int qemu_not_started(const char *name, const char *program, struct error *err)
{
	const char *path = getenv("PATH");

	if (err->sys == ENOENT)
		fail(err, ERR_SYSTEM,
		     "%s: cannot be run: it is not in PATH, which is '%s': install qemu-utils",
		     program, path != NULL ? path : "");
	error_prefix(err, "%s", name);
	return err->code;
}

/* Adds a line, joined to the text before it by "; ". */
static void add_line(char *out, size_t room, const char *text, const char *name)
{
	size_t used = strlen(out), n = strlen(name);
	char line[500];

	if (strncmp(text, name, n) == 0)
		text += n;
	/* It may quote the image, which must not control a terminal. */
	escape_text(line, sizeof(line), (const uint8_t *)text, strlen(text));
	if (*line == '\0' || strstr(out, line) != NULL)
		return;
	bool colon = used > 0 && out[used - 1] == ':';
	snprintf(out + used, room - used, "%s%s", used == 0 ? "" : colon ? " " : "; ", line);
}

void qemu_words(char *out, size_t room, char *text, const char *name)
{
	static const char opening[] = "Failed to blk_new_open '", could[] = "Could not open '";
	char *rest = NULL;

	out[0] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		size_t n = strncmp(line, name, strlen(name)) == 0 ? strlen(name) : 0;
		/* Without the option string that we passed, which means nothing to the user. */
		if (strncmp(line + n, opening, sizeof(opening) - 1) == 0 ||
		    strncmp(line + n, could, sizeof(could) - 1) == 0) {
			char *end = strstr(line, "': ");
			line = end != NULL ? end + 3 : line;
		}
		add_line(out, room, line, name);
	}
}

int qemu_check_format(const char *words, const char *name, const char *format, struct error *err)
{
	if (strstr(words, "Unknown driver '") == NULL &&
	    strstr(words, "Unknown file format '") == NULL &&
	    strstr(words, "does not support image creation") == NULL)
		return 0;
	return fail(err, ERR_USAGE, "%s: ,format=%s: QEMU has no such image format%s", name, format,
		    strstr(words, "creation") == NULL ? "" : " that it can create");
}

int qemu_explain_image(const struct qemu_image *image, struct error *err)
{
	if (qemu_check_format(err->text, image->name, image->format, err) < 0)
		return err->code;
	if (strstr(err->text, "key-secret' is required") != NULL)
		return fail(
			err, ERR_USAGE,
			"%s: is encrypted: add ,secret=FILE, with its passphrase or key in FILE",
			image->name);
	if (image->secret != NULL && strstr(err->text, "nvalid password") != NULL)
		return fail(err, ERR_USAGE,
			    "%s: %s does not open it; a newline at the end of that file counts",
			    image->name, image->secret);
	return err->code;
}

void qemu_add_limits(struct error *err, bool writable)
{
	if (strstr(err->text, strerror(EMFILE)) != NULL)
		fail_add_limit(err, EMFILE, false);
	if (strstr(err->text, strerror(ENOMEM)) != NULL)
		fail_add_limit(err, ENOMEM, false);
	if (strstr(err->text, strerror(EAGAIN)) != NULL)
		fail_add_limit(err, EAGAIN, true);
	/* The text that comes back hardly shows this one. */
	if (writable)
		fail_add_limit(err, EFBIG, false);
}

/* None names another file, or makes an image that others cannot read. */
static const struct {
	const char *format, *name;
} image_options[] = {
	{"qcow2", "cluster_size"},   {"qcow2", "compat"},      {"qcow2", "extended_l2"},
	{"qcow2", "lazy_refcounts"}, {"qcow2", "nocow"},       {"qcow2", "preallocation"},
	{"qcow2", "refcount_bits"},  {"vdi", "preallocation"}, {"vhdx", "block_size"},
	{"vhdx", "log_size"},	     {"vhdx", "subformat"},    {"vmdk", "adapter_type"},
	{"vmdk", "hwversion"},	     {"vpc", "force_size"},    {"vpc", "subformat"},
};

static bool has_option(const char *format, const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(image_options) / sizeof(image_options[0]); i++) {
		if (strlen(image_options[i].name) == length &&
		    memcmp(image_options[i].name, name, length) == 0 &&
		    (format == NULL || strcmp(image_options[i].format, format) == 0))
			return true;
	}
	return false;
}

bool image_option_is_known(const char *name, size_t length)
{
	return has_option(NULL, name, length);
}

static int check_options(const struct qemu_new_image *image, struct error *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	for (unsigned i = 0; i < image->n_options; i++) {
		const char *option = image->options[i], *value = strchr(option, '=') + 1;

		if (!has_option(image->format, option, (size_t)(value - option - 1)))
			return fail(err, ERR_USAGE, "%s: ,%s is not for a %s image", image->name,
				    option, image->format);
		if (*value == '\0' || value[strspn(value, allowed)] != '\0')
			return fail(err, ERR_USAGE, "%s: ,%s: not a value", image->name, option);
	}
	return 0;
}

static int run_create(const struct qemu_new_image *image, const char *path, struct error *err)
{
	const char *arguments[8 + 2 * QEMU_OPTIONS_MAX] = {"qemu-img", "create", "-q", "-f",
							   image->format};
	struct qemu_img run = {
		.name = image->name,
		.arguments = arguments,
		.limit_ms = CREATE_MS,
	};
	unsigned n = 5;
	char size[32];

	for (unsigned i = 0; i < image->n_options; i++) {
		arguments[n++] = "-o";
		arguments[n++] = image->options[i];
	}
	snprintf(size, sizeof(size), "%" PRIu64, image->size_bytes);
	arguments[n++] = path;
	arguments[n] = size;
	int status = qemu_img_run(&run, err);
	if (status <= 0)
		return status;
	TRY(qemu_check_format(run.words, image->name, image->format, err));
	fail(err, ERR_SYSTEM, "%s: qemu-img: %s", image->name,
	     run.words[0] != '\0' ? run.words : "failed");
	qemu_add_limits(err, true);
	return err->code;
}

int qemu_img_create(const struct qemu_new_image *image, struct error *err)
{
	/* So that QEMU does not take any part of the name for a protocol. With this prefix it
	 * refuses devices, whose names the caller makes harmless. */
	char *path = text_make("%s%s", image->block_device ? "" : "file:", image->path);
	int code;

	if (path == NULL)
		return fail_memory(err);
	code = check_options(image, err);
	if (code == 0)
		code = run_create(image, path, err);
	free(path);
	return code;
}
