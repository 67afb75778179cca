#include "machine/state.h"

#include "base/name.h"
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define STATE_FOLDER "/var/lib/vmabak"

static int choose(struct state *state, const char *folder, const char *machine, struct error *err)
{
	if (folder != NULL)
		state->folder = text_make("%s", folder);
	else if (machine != NULL && name_usable((const uint8_t *)machine, strlen(machine)))
		state->folder = text_make(STATE_FOLDER "/%s", machine);
	else
		return fail(err, ERR_USAGE,
			    "--track: the machine tells no name that could be that of a folder: "
			    "--state DIR says where its maps are to be");
	return state->folder == NULL ? fail_memory(err) : 0;
}

/* It, and the one that it lies in. */
static int make(const char *folder, struct error *err)
{
	const char *name = base_name(folder);
	char *above = text_make("%.*s", (int)(name - folder), folder);
	bool made;
	int code = 0;

	if (above == NULL)
		return fail_memory(err);
	if (*above != '\0' && access(above, F_OK) != 0)
		code = place_make_folder(above, &made, err);
	free(above);
	return code == 0 ? place_make_folder(folder, &made, err) : code;
}

static int lock(struct state *state, struct error *err)
{
	char *path = text_make("%s/lock", state->folder);

	if (path == NULL)
		return fail_memory(err);
	state->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (state->lock < 0)
		fail_system(err, errno, "%s", path);
	else if (flock(state->lock, LOCK_EX | LOCK_NB) < 0)
		fail(err, ERR_LOCKED, "%s: is in use by another run", state->folder);
	free(path);
	return err->code;
}

int state_open(struct state *out, const char *folder, const char *machine, struct error *err)
{
	*out = (struct state){.lock = -1};
	TRY(choose(out, folder, machine, err));
	TRY(make(out->folder, err));
	return lock(out, err);
}

int state_find(struct state *out, const char *folder, const char *machine, struct error *err)
{
	*out = (struct state){.lock = -1};
	TRY(choose(out, folder, machine, err));
	if (access(out->folder, F_OK) < 0 && errno == ENOENT)
		return 0;
	return lock(out, err) < 0 ? err->code : 1;
}

void state_close(struct state *state)
{
	if (state->lock >= 0)
		close(state->lock);
	free(state->folder);
	*state = (struct state){.lock = -1};
}

char *state_map(const struct state *state, const char *drive)
{
	return text_make("%s/%s.map", state->folder, drive);
}
