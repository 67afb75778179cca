#include "store/uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_MAX 8192u
#define WORD_MAX 80u
#define KEPT	 "resume " /* begins a fourth line: its run, or the next, goes on with it */

struct upload_note {
	char *path;
	int fd; /* locked */
};

/* Owned; NULL: there is no such place. */
static char *folder(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state != NULL && *state == '/')
		return text_make("%s/vmabak/uploads", state);
	return home != NULL && *home == '/' ? text_make("%s/.local/state/vmabak/uploads", home)
					    : NULL;
}

/* With those above it. */
static bool make_folder(char *path)
{
	for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		int code = mkdir(path, 0700);
		*at = '/';
		if (code != 0 && errno != EEXIST)
			return false;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* What a file says in its first line; "-": nothing. */
static void first_word(const char *path, char out[WORD_MAX])
{
	FILE *file = fopen(path, "re");

	snprintf(out, WORD_MAX, "-");
	if (file == NULL)
		return;
	if (fgets(out, WORD_MAX, file) == NULL || strcspn(out, " \n") == 0)
		snprintf(out, WORD_MAX, "-");
	out[strcspn(out, " \n")] = '\0';
	fclose(file);
}

/* This host: since it was started, and as it was installed. */
static void tell_host(char boot[WORD_MAX], char machine[WORD_MAX])
{
	first_word("/proc/sys/kernel/random/boot_id", boot);
	first_word("/etc/machine-id", machine);
}

/* Locks of a network file system may be those of one host alone: another one's file looks as if its
 * run had died. */
static bool is_of_this_host(const char *line)
{
	char boot[WORD_MAX], machine[WORD_MAX], its_boot[WORD_MAX], its_machine[WORD_MAX];

	tell_host(boot, machine);
	if (sscanf(line, "%79s %79s", its_boot, its_machine) != 2)
		return true;
	return (strcmp(boot, its_boot) == 0 && strcmp(boot, "-") != 0) ||
	       (strcmp(machine, its_machine) == 0 && strcmp(machine, "-") != 0);
}

/* The lock is there before the file has content: a file that is empty and not locked is about to
 * have both, or of a run that died. Who opens it before has the lock for a moment, to find that
 * out.
 */
static bool write_note(struct upload_note *note, const char *url, const char *id,
		       const struct upload_kept *kept)
{
	char boot[WORD_MAX], machine[WORD_MAX], uuid[33] = "";

	for (unsigned i = 0; kept != NULL && i < sizeof(kept->uuid); i++)
		snprintf(uuid + 2 * (size_t)i, 3, "%02x", kept->uuid[i]);

	note->fd = mkostemp(note->path, O_CLOEXEC);
	if (note->fd < 0)
		return false;
	tell_host(boot, machine);
	return flock(note->fd, LOCK_EX) == 0 &&
	       dprintf(note->fd, "%s\n%s\n%s %s\n", url, id, boot, machine) > 0 &&
	       (kept == NULL ||
		dprintf(note->fd, KEPT "%s %s %s %" PRId64 "\n", kept->mark,
			kept->day[0] != '\0' ? kept->day : "-", uuid, kept->created_ns) > 0) &&
	       fdatasync(note->fd) == 0;
}

struct upload_note *upload_note(const char *url, const char *id, const struct upload_kept *kept)
{
	struct upload_note *note = calloc(1, sizeof(*note));
	char *place = folder();

	if (note != NULL && place != NULL && make_folder(place)) {
		note->fd = -1;
		note->path = text_make("%s/XXXXXX", place);
		if (note->path != NULL && write_note(note, url, id, kept)) {
			free(place);
			return note;
		}
		if (note->fd >= 0)
			unlink(note->path);
		upload_leave(note);
		note = NULL;
	}
	free(place);
	free(note);
	return NULL;
}

void upload_leave(struct upload_note *note)
{
	if (note == NULL)
		return;
	if (note->fd >= 0)
		close(note->fd);
	free(note->path);
	free(note);
}

void upload_forget(struct upload_note *note)
{
	if (note != NULL)
		unlink(note->path);
	upload_leave(note);
}

/* ---- those that are to be taken up ---- */

/* Three lines; of older versions two; four if it is to be taken up. */
static bool parse(char *text, const char **url, const char **id, const char **host)
{
	char *first = strchr(text, '\n'), *second = first != NULL ? strchr(first + 1, '\n') : NULL;

	if (second == NULL)
		return false;
	*first = *second = '\0';
	*url = text;
	*id = first + 1;
	*host = second + 1;
	return true;
}

/* What the fourth line says. */
static bool parse_kept(const char *host, const char *id, struct upload_kept *out)
{
	const char *line = strstr(host, "\n" KEPT);
	char uuid[33];

	*out = (struct upload_kept){0};
	if (line == NULL || strlen(id) >= sizeof(out->id) ||
	    sscanf(line + strlen("\n" KEPT), "%32s %11s %32s %" SCNd64, out->mark, out->day, uuid,
		   &out->created_ns) != 4 ||
	    strspn(uuid, "0123456789abcdef") != 32)
		return false;
	for (unsigned i = 0; i < sizeof(out->uuid); i++)
		sscanf(uuid + 2 * (size_t)i, "%2hhx", &out->uuid[i]);
	if (strcmp(out->day, "-") == 0)
		out->day[0] = '\0';
	strcpy(out->id, id);
	return true;
}

/* 1: it is one of this url, and *fd has its lock. */
static int take_kept(int place, const char *name, const char *own, struct upload_kept *kept,
		     int *fd)
{
	char text[NOTE_MAX + 1];
	const char *url, *id, *host;
	ssize_t n;
	int code = 0;

	*fd = openat(place, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = *fd >= 0 ? read(*fd, text, NOTE_MAX) : -1;
	text[n > 0 ? n : 0] = '\0';
	if (parse(text, &url, &id, &host) && strcmp(url, own) == 0 && is_of_this_host(host) &&
	    parse_kept(host, id, kept))
		code = flock(*fd, LOCK_EX | LOCK_NB) == 0 ? 1 : ERR_LOCKED;
	if (code != 1 && *fd >= 0)
		close(*fd);
	return code;
}

int upload_find_kept(struct upload_note **out, const char *url, struct upload_kept *kept,
		     struct error *err)
{
	struct upload_note *note = calloc(1, sizeof(*note));
	char *place = folder();
	DIR *entries = place != NULL ? opendir(place) : NULL;
	struct dirent *entry;
	int code = 0;

	while (note != NULL && code == 0 && entries != NULL && (entry = readdir(entries)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		code = take_kept(dirfd(entries), entry->d_name, url, kept, &note->fd);
		if (code == 1)
			note->path = text_make("%s/%s", place, entry->d_name);
	}
	if (entries != NULL)
		closedir(entries);
	free(place);
	if (note == NULL || (code == 1 && note->path == NULL)) {
		upload_leave(note);
		return fail_memory(err);
	}
	if (code == 1)
		*out = note;
	else
		free(note);
	return code != ERR_LOCKED ? code
				  : fail(err, ERR_LOCKED, "another run is writing this object");
}

/* ---- those of dead runs ---- */

struct search {
	const char *url_begins, *own;
	int (*remove)(void *context, const char *url, const char *id);
	void *context;
};

static void look_at(int place, const char *name, const struct search *search)
{
	char text[NOTE_MAX + 1];
	const char *url, *id, *host;
	int fd = openat(place, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && (n = read(fd, text, NOTE_MAX)) > 0) {
		text[n] = '\0';
		if (parse(text, &url, &id, &host) && is_of_this_host(host) &&
		    strncmp(url, search->url_begins, strlen(search->url_begins)) == 0 &&
		    (strstr(host, "\n" KEPT) == NULL || strcmp(url, search->own) == 0) &&
		    search->remove(search->context, url, id) == 0)
			unlinkat(place, name, 0);
	}
	close(fd);
}

void upload_each_dead(const char *url_begins, const char *own,
		      int (*remove)(void *context, const char *url, const char *id), void *context)
{
	const struct search search = {url_begins, own, remove, context};
	char *place = folder();
	DIR *entries = place != NULL ? opendir(place) : NULL;
	struct dirent *entry;

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		if (entry->d_name[0] != '.')
			look_at(dirfd(entries), entry->d_name, &search);
	}
	if (entries != NULL)
		closedir(entries);
	free(place);
}
