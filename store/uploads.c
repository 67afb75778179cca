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
#define WORD_MAX 80u

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
 * have both, or of a run that died. */
static bool write_note(struct upload_note *note, const char *url, const char *id)
{
	char boot[WORD_MAX], machine[WORD_MAX];

	note->fd = mkostemp(note->path, O_CLOEXEC);
	if (note->fd < 0)
		return false;
	tell_host(boot, machine);
	return flock(note->fd, LOCK_EX | LOCK_NB) == 0 &&
	       dprintf(note->fd, "%s\n%s\n%s %s\n", url, id, boot, machine) > 0 &&
	       fdatasync(note->fd) == 0;
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

/* Three lines; of older versions two. */
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
