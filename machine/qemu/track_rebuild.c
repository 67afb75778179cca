/*
 * Checkpoints of a tracked QEMU that are made by comparing.
 */
#include "machine/qemu/checkpoint_source.h"
#include "machine/qemu/push_look.h"
#include "machine/qemu/track_since.h"

static int is_known(struct checkpoint_source *source, const struct machine_since *since, uint32_t i,
		    bool *known, struct error *err)
{
	struct machine_changes found = {0};
	int code = 0;

	if (since->tokens[i] != NULL)
		code = track_changes_now(source->track, i, since, &found, err);
	*known = found.known;
	cluster_set_free(&found.set);
	return code;
}

static int begin(struct checkpoint_source *source, const struct machine_since *since, bool *known,
		 struct error *err)
{
	track_close(source->track);
	source->track = NULL;
	TRY(track_open(&source->track, &source->qemu, err));
	for (uint32_t i = 0; i < source->qemu.inventory.n_drives; i++)
		TRY(is_known(source, since, i, &known[i], err));
	return track_begin(source->track, err);
}

static const char *token(const struct checkpoint_source *source, uint32_t i)
{
	const char *token = track_token(source->track, i);

	return token == NULL || token[0] == '\0' ? NULL : token;
}

static int look(struct checkpoint_source *source, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	return push_look(&source->qemu, i, set, taker, err);
}

const struct checkpoint_rebuild checkpoint_qemu_rebuild = {
	.begin = begin,
	.token = token,
	.look = look,
};
