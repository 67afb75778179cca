/* What is left of a server that was killed. */
#include "device/mount.h"

#include "base/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define UNMOUNT_MS 10000
#define OUR_TYPE   "fuse.vmabak"

/* A name in /proc/self/mountinfo has octal escapes. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		unsigned value;

		if (*text == '\\' && sscanf(text + 1, "%3o", &value) == 1) {
			*to++ = (char)value;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* Whether the last mount at this path is of this program. */
static bool is_ours(const char *path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, at[4096], *rest, type[64];
	size_t room = 0;
	bool ours = false;

	while (file != NULL && getline(&line, &room, file) > 0) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1)
			continue;
		unescape(at);
		rest = strstr(line, " - ");
		if (strcmp(at, path) == 0)
			ours = rest != NULL && sscanf(rest + 3, "%63s", type) == 1 &&
			       strcmp(type, OUR_TYPE) == 0;
	}
	free(line);
	if (file != NULL)
		fclose(file);
	return ours;
}

/* realpath(3) of what is dead fails: that of the folder it lies in, and its name. Owned. */
static char *path_of(const char *folder)
{
	char *copy = strdup(folder), *slash, *above, *out = NULL;
	size_t n = copy != NULL ? strlen(copy) : 0;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	slash = copy != NULL ? strrchr(copy, '/') : NULL;
	if (copy != NULL) {
		const char *name = slash != NULL ? slash + 1 : copy;

		if (slash != NULL)
			*slash = '\0';
		above = realpath(slash == NULL ? "." : *copy == '\0' ? "/" : copy, NULL);
		if (above != NULL)
			out = text_make("%s/%s", strcmp(above, "/") == 0 ? "" : above, name);
		free(above);
	}
	free(copy);
	return out;
}

static int take_away(const char *path, struct error *err)
{
	const char *const words[] = {"fusermount3", "-u", "-z", "--", path, NULL};
	const struct child_options how = {.argv = words, .err = CHILD_PIPE, .dies_with_us = true};
	struct child child = CHILD_NONE;
	char text[200] = "";
	int code = 0;

	if (geteuid() == 0 && umount2(path, MNT_DETACH) == 0)
		return 0;
	TRY(child_start(&child, &how, err));
	if (!child_wait(&child, UNMOUNT_MS) || child.status != 0) {
		child_words(&child, 0, text, sizeof(text));
		code = fail(err, ERR_SYSTEM,
			    "%.300s: fusermount3 cannot take the dead mount away: %s", path, text);
	}
	child_close(&child);
	return code;
}

static int look_at(const char *folder, const char *path, bool dead, struct error *err)
{
	if (!is_ours(path))
		return dead ? fail_system(err, ENOTCONN,
					  "%.300s: is a mount of another program, whose server has "
					  "gone",
					  folder)
			    : 0;
	if (!dead)
		return fail(err, ERR_LOCKED, "%.300s: an archive is mounted there; umount ends it",
			    folder);
	TRY(take_away(path, err));
	return 1;
}

int mount_remove_dead(const char *folder, struct error *err)
{
	struct statvfs found;
	/* stat(2) would be answered by what the kernel remembers. */
	bool answers = statvfs(folder, &found) == 0, dead = !answers && errno == ENOTCONN;
	char *path;
	int code;

	if (!answers && !dead)
		return 0;
	path = path_of(folder);
	if (path == NULL)
		return fail_memory(err);
	code = look_at(folder, path, dead, err);
	free(path);
	return code;
}
