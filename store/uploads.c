#include "store/uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTE_MAX 8192u

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

/* The lock is there before the file has content: a file that is empty and not locked is about to
 * have both, or of a run that died. */
static bool write_note(struct upload_note *note, const char *url, const char *id)
{
	note->fd = mkostemp(note->path, O_CLOEXEC);
	if (note->fd < 0)
		return false;
	return flock(note->fd, LOCK_EX | LOCK_NB) == 0 &&
	       dprintf(note->fd, "%s\n%s\n", url, id) > 0 && fdatasync(note->fd) == 0;
}

struct upload_note *upload_note(const char *url, const char *id)
{
	struct upload_note *note = calloc(1, sizeof(*note));
	char *place = folder();

	if (note != NULL && place != NULL && make_folder(place)) {
		note->fd = -1;
		note->path = text_make("%s/XXXXXX", place);
		if (note->path != NULL && write_note(note, url, id)) {
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

/* ---- those of dead runs ---- */

struct search {
	const char *url_begins;
	int (*remove)(void *context, const char *url, const char *id);
	void *context;
};

/* Two lines. */
static bool parse(char *text, const char **url, const char **id)
{
	char *first = strchr(text, '\n'), *second = first != NULL ? strchr(first + 1, '\n') : NULL;

	if (second == NULL)
		return false;
	*first = *second = '\0';
	*url = text;
	*id = first + 1;
	return true;
}

static void look_at(int place, const char *name, const struct search *search)
{
	char text[NOTE_MAX + 1];
	const char *url, *id;
	int fd = openat(place, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && (n = read(fd, text, NOTE_MAX)) > 0) {
		text[n] = '\0';
		if (parse(text, &url, &id) &&
		    strncmp(url, search->url_begins, strlen(search->url_begins)) == 0 &&
		    search->remove(search->context, url, id) == 0)
			unlinkat(place, name, 0);
	}
	close(fd);
}

void upload_each_dead(const char *url_begins,
		      int (*remove)(void *context, const char *url, const char *id), void *context)
{
	const struct search search = {url_begins, remove, context};
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
