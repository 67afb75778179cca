/*
 * grub-fstest also knows the devices (host) and (proc), which are this host's files. So it gets no
 * name of a device but one that begins with loop0, its image, or lvm/, and is of letters that end
 * no name; and each path begins with '/', as what begins with '(' would name a device.
 *
 * Its listings succeed with nothing for a folder that does not exist or cannot be read, so then it
 * is asked for the same as a file, and says why.
 */
#include "device/peek.h"

#include "base/stop.h"
#include "base/unnamed.h"
#include "device/fetch.h"
#include "device/grub.h"
#include "device/grub_folder.h"
#include "device/helper.h"
#include "device/mount.h"
#include "device/mounted.h"
#include "device/tree.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MAX      (64u << 20) /* bytes of a listing */
#define DEVICES_MAX   256u
#define PARTITION_MAX 200u

struct peek {
	const struct peek_options *options;
	struct view *view;
	const char *folder;
	char image[PATH_MAX];
	const char *drive; /* as given, of drive_length bytes */
	size_t drive_length;
	uint64_t drive_bytes;
	char device[PARTITION_MAX + 20]; /* "(loop0)" */
	const char *path;		 /* NULL: none was given */
	bool has_partition;
	int fd;			    /* of a file that is got; -1: none is */
	struct tree *tree;	    /* takes a folder that is got; NULL: none is */
	struct peek_result *result; /* of what is got */
	const struct watcher *watcher;
	char *text; /* of a listing; owned */
	size_t length, room;
	struct error err; /* of the confined thread */
};

/* ---- what is asked for ---- */

static int fail_place(const struct peek *peek, int code, const char *why, struct error *err)
{
	return fail(err, code, "%.500s: %s", peek->options->place, why);
}

/* The longest drive's name that the place begins with. */
static int find_drive(struct peek *peek, const struct mount_file *files, struct error *err)
{
	const struct archive *archive = view_archive(peek->view);
	const char *place = peek->options->place;
	size_t length = strlen(place);

	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct text *name = &archive->drives[i].name;

		if (name->length <= peek->drive_length || name->length > length ||
		    memcmp(name->bytes, place, name->length) != 0 ||
		    (place[name->length] != '\0' && place[name->length] != ':'))
			continue;
		peek->drive_length = name->length;
		peek->drive_bytes = archive->drives[i].size_bytes;
		snprintf(peek->image, sizeof(peek->image), "%s/%s", peek->folder, files[i].name);
	}
	peek->drive = place;
	return peek->drive_length > 0
		       ? 0
		       : fail_place(peek, ERR_USAGE,
				    "no drive of this name; vmabak list shows them", err);
}

/* gpt1, msdos5, msdos1,bsd2; lvm/GROUP-VOLUME. Nothing in it can end the name of the device. */
static bool is_partition(const char *text, size_t n)
{
	bool is_volume = n > 4 && strncmp(text, "lvm/", 4) == 0;

	if (n == 0 || n > PARTITION_MAX || (!is_volume && !isalnum((unsigned char)text[0])))
		return false;
	for (size_t i = is_volume ? 4 : 0; i < n; i++) {
		if (!isalnum((unsigned char)text[i]) &&
		    strchr(is_volume ? "+_.-" : ",", text[i]) == NULL)
			return false;
	}
	return true;
}

static void name_device(struct peek *peek, const char *partition, size_t n)
{
	snprintf(peek->device, sizeof(peek->device), "(%s%.*s)",
		 n == 0				      ? "loop0"
		 : strncmp(partition, "lvm/", 4) == 0 ? ""
						      : "loop0,",
		 (int)n, partition);
}

static int parse_place(struct peek *peek, struct error *err)
{
	const char *rest = peek->drive + peek->drive_length;
	size_t n = 0;

	if (*rest == ':' && rest[1] != '/') {
		n = strcspn(++rest, ":");
		if (!is_partition(rest, n))
			return fail_place(peek, ERR_USAGE,
					  "no partition has such a name; vmabak ls ARCHIVE DRIVE "
					  "shows them",
					  err);
		peek->has_partition = true;
	}
	name_device(peek, rest, n);
	rest += n;
	if (*rest == '\0')
		return 0;
	if (rest[1] != '/')
		return fail_place(peek, ERR_USAGE, "a path begins with /", err);
	peek->path = rest + 1;
	return 0;
}

const char *peek_file_name(const char *place)
{
	const char *slash = strrchr(place, '/');

	if (slash == NULL || strstr(place, ":/") == NULL || slash[1] == '\0' ||
	    strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0)
		return NULL;
	return slash + 1;
}

/* ---- what comes ---- */

static int take_text(void *context, const void *bytes, size_t n)
{
	struct peek *peek = context;

	return helper_append(&peek->text, &peek->length, &peek->room, bytes, n);
}

/* One line, whatever is in it. */
static int take_line(void *context, const void *bytes, size_t n)
{
	struct peek *peek = context;
	size_t from = peek->length;
	int sys = take_text(context, bytes, n);

	for (; sys == 0 && from < peek->length; from++) {
		if (peek->text[from] == '\n' || peek->text[from] == '\t')
			peek->text[from] = ' ';
	}
	return sys;
}

static int take_nothing(void *context, const void *bytes, size_t n)
{
	(void)context, (void)bytes, (void)n;
	return 0;
}

/* ---- the confined thread ---- */

static int run_grub(struct peek *peek, const char *const words[GRUB_WORDS], uint64_t most,
		    int (*take)(void *, const void *, size_t), struct error *err)
{
	const struct grub_run run = {
		.image = peek->image,
		.words = words,
		.most_bytes = most,
		.take = take,
		.context = peek,
	};

	return grub_run(&run, err);
}

#define WORDS(...) ((const char *const[GRUB_WORDS]){__VA_ARGS__})

static bool gets(const struct peek *peek)
{
	return peek->fd >= 0 || peek->tree != NULL;
}

/* Owned. A path of a folder may end with '/'. */
static char *clean_path(const struct peek *peek)
{
	char *path = strdup(peek->path);
	size_t n = path != NULL ? strlen(path) : 0;

	while (peek->tree != NULL && n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	return path;
}

static int get(struct peek *peek, struct error *err)
{
	char *path = clean_path(peek);
	char *place = text_make("%.*s", (int)(peek->path - 1 - peek->drive), peek->drive);
	struct stat found;
	struct fetch fetch = {
		.image = peek->image,
		.device = peek->device,
		.path = path,
		.place = place,
		.most_bytes = peek->options->most_bytes,
		.tree = peek->tree,
		.fd = peek->fd,
		.seekable = peek->fd >= 0 && !peek->options->streams &&
			    fstat(peek->fd, &found) == 0 && S_ISREG(found.st_mode),
		.watcher = peek->watcher,
	};
	int code;

	if (fetch.most_bytes == 0)
		fetch.most_bytes = peek->drive_bytes;
	code = path == NULL || place == NULL ? fail_memory(err)
					     : fetch_run(peek->result, &fetch, err);
	free(path);
	free(place);
	return code;
}

static int list(struct peek *peek, const char *const words[GRUB_WORDS],
		int (*take)(void *, const void *, size_t), struct error *err)
{
	int code = run_grub(peek, words, LIST_MAX, take, err);

	return code > 0 ? fail(err, ERR_UNSUPPORTED, "a listing of more than %u bytes", LIST_MAX)
			: code;
}

/* A folder of FAT may be empty; all others have themselves in it. */
static int explain_nothing(struct peek *peek, const char *path, struct error *err)
{
	int code = run_grub(peek, WORDS("cat", path), 0, take_nothing, err);
	bool is_folder = code < 0 && strstr(err->text, "not a regular file") != NULL;

	if (code < 0 && !is_folder)
		return code;
	*err = (struct error){0};
	return is_folder ? 0 : fail(err, ERR_USAGE, "is a file, no folder: vmabak get gets it");
}

static int list_folder(struct peek *peek, const char *path, struct error *err)
{
	size_t blank;

	TRY(list(peek, WORDS("ls", "--", "-la", path), take_text, err));
	blank = peek->length == 0 ? 0 : strspn(peek->text, "\n");
	if (blank == peek->length) {
		peek->length = 0;
		return explain_nothing(peek, path, err);
	}
	while (peek->length > 1 && peek->text[peek->length - 2] == '\n')
		peek->length--;
	return 0;
}

/* A line of what it says of a device: PLACE, and after a ": " of its own how it is. */
static int describe(struct peek *peek, const char *device, struct error *err)
{
	size_t start = peek->length, said;
	const char *part = strchr(device, ',');
	char name[PARTITION_MAX + 300];
	char *after;
	int n = snprintf(name, sizeof(name), "%.*s%s%s  ", (int)peek->drive_length, peek->drive,
			 strcmp(device, "loop0") == 0 ? "" : ":",
			 strcmp(device, "loop0") == 0 ? ""
			 : part != NULL		      ? part + 1
						      : device);

	if (take_line(peek, name, (size_t)n) != 0)
		return fail_memory(err);
	said = peek->length;
	snprintf(name, sizeof(name), "(%s)", device);
	TRY(list(peek, WORDS("ls", "--", "-l", name), take_line, err));
	after = strstr(peek->text + said, ": ");
	if (after != NULL) {
		memmove(peek->text + said, after + 2, strlen(after + 2) + 1);
		peek->length -= (size_t)(after + 2 - (peek->text + said));
	}
	while (peek->length > start && peek->text[peek->length - 1] == ' ')
		peek->length--;
	return take_text(peek, "\n", 1) == 0 ? 0 : fail_memory(err);
}

static bool is_shown(const char *device)
{
	size_t n = strlen(device);

	return strcmp(device, "loop0") == 0 ||
	       (strncmp(device, "loop0,", 6) == 0 && is_partition(device + 6, n - 6)) ||
	       (strncmp(device, "lvm/", 4) == 0 && is_partition(device, n));
}

/* Those of "(proc) (loop0) (loop0,gpt1) (host)" that are of the drive. */
static int list_devices(struct peek *peek, struct error *err)
{
	char *names, *rest = NULL;
	int code = list(peek, WORDS("ls"), take_text, err);
	unsigned n = 0;

	names = peek->text;
	peek->text = NULL;
	peek->length = peek->room = 0;
	for (char *one = names != NULL ? strtok_r(names, "() \n", &rest) : NULL;
	     code == 0 && one != NULL; one = strtok_r(NULL, "() \n", &rest)) {
		if (!is_shown(one))
			continue;
		code = ++n > DEVICES_MAX
			       ? fail(err, ERR_UNSUPPORTED, "more than %u partitions", DEVICES_MAX)
			       : describe(peek, one, err);
	}
	free(names);
	return code;
}

static int look(struct peek *peek, struct error *err)
{
	char *path;
	int code;

	TRY(helper_confine(peek->folder, peek->tree != NULL ? tree_folder(peek->tree) : NULL, err));
	if (gets(peek))
		return get(peek, err);
	path = text_make("%s%s", peek->device, peek->path != NULL ? peek->path : "/");
	if (path == NULL)
		return fail_memory(err);
	if (peek->path == NULL && !peek->has_partition)
		code = list_devices(peek, err);
	else
		code = list_folder(peek, path, err);
	free(path);
	return code;
}

static void *work(void *context)
{
	struct peek *peek = context;

	look(peek, &peek->err);
	return NULL;
}

/* ---- the thread that mounts ---- */

static int use(void *context, struct view *view, const struct mount_file *files, struct error *err)
{
	struct peek *peek = context;
	pthread_t thread;
	uint64_t n;
	int sys;

	peek->view = view;
	TRY(find_drive(peek, files, err));
	TRY(parse_place(peek, err));
	if (gets(peek) && peek->path == NULL)
		return fail_place(peek, ERR_USAGE, "names no file", err);
	sys = pthread_create(&thread, NULL, work, peek);
	if (sys != 0)
		return fail_start(err, sys, "cannot start a thread");
	pthread_join(thread, NULL);
	/* Of a listing it does not tell what it could not read. */
	n = view_counts(view).n_damaged;
	if (n != 0 && (peek->err.code != 0 || peek->fd < 0))
		return fail(err, ERR_DAMAGED, "%.500s: cannot be read whole: %llu extent%s damaged",
			    peek->options->place, (unsigned long long)n, n == 1 ? " is" : "s are");
	if (peek->err.code == 0)
		return 0;
	*err = peek->err;
	error_prefix(err, "%.500s", peek->options->place);
	return err->code;
}

static int run(struct peek *peek, const struct watcher *watcher, struct error *err)
{
	char folder[PATH_MAX];
	struct mounted_options options = {
		.view = peek->options->view,
		.folder = folder,
		.use = use,
		.context = peek,
	};
	int code;

	snprintf(folder, sizeof(folder), "%s/vmabak-XXXXXX", unnamed_folder());
	if (mkdtemp(folder) == NULL)
		return fail_system(err, errno, "%.500s", folder);
	peek->folder = folder;
	stop_guard_folder(folder);
	code = mounted_run(&options, watcher, NULL, err);
	stop_guard_folder(NULL);
	rmdir(folder);
	return code;
}

int peek_list(struct peek_listing *out, const struct peek_options *options,
	      const struct watcher *watcher, struct error *err)
{
	struct peek peek = {.options = options, .fd = -1};
	int code = run(&peek, watcher, err);

	*out = (struct peek_listing){
		.text = peek.text,
		.length = peek.length,
		.of_drive = peek.path == NULL && !peek.has_partition,
	};
	return code;
}

bool peek_parse_line(const char *line, size_t n, struct peek_line *out)
{
	struct file_entry entry;

	if (!grub_folder_line(line, n, &entry) || strcmp(entry.name, ".") == 0 ||
	    strcmp(entry.name, "..") == 0)
		return false;
	*out = (struct peek_line){
		.is_folder = entry.kind == ENTRY_FOLDER,
		.has_time = entry.has_time,
		.size_bytes = entry.size_bytes,
		.time_s = entry.time_s,
	};
	memcpy(out->name, entry.name, sizeof(out->name));
	return true;
}

int peek_get(int fd, struct peek_result *result, const struct peek_options *options,
	     const struct watcher *watcher, struct error *err)
{
	struct peek peek = {.options = options, .fd = fd, .result = result, .watcher = watcher};

	*result = (struct peek_result){0};
	return run(&peek, watcher, err);
}

int peek_get_folder(const char *path, bool sync, struct peek_result *result,
		    const struct peek_options *options, const struct watcher *watcher,
		    struct error *err)
{
	struct peek peek = {.options = options, .fd = -1, .result = result, .watcher = watcher};
	struct error why;
	int code;

	*result = (struct peek_result){0};
	TRY(tree_make(&peek.tree, path, err));
	code = run(&peek, watcher, err);
	if (code == 0 || (code == ERR_DAMAGED && result->n_folders > 0)) {
		int published = tree_publish(peek.tree, sync, &why);

		if (published != 0) {
			*err = why;
			code = published;
		}
	}
	tree_free(peek.tree);
	return code;
}
