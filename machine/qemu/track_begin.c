/*
 * Recording that begins without a backup: generations end, as with one, but nothing has to be done
 * at the instant, since what is written before belongs to both.
 */
#include "machine/qemu/track.h"
#include "machine/qemu/track_parts.h"

static bool lacks(const struct track *track)
{
	for (unsigned i = 0; i < track->n; i++) {
		if (track->drives[i].map != NULL && !track->drives[i].recording)
			return true;
	}
	return false;
}

static void note(struct tracked *one)
{
	if (one->map == NULL)
		return;
	one->recording = !one->untracked;
	if (one->untracked)
		one->token[0] = '\0';
	else
		generation_token(one->token, generation_id(one->map), generation_current(one->map));
}

int track_begin(struct track *track, struct error *err)
{
	const struct machine_since nobody = {0};

	if (!lacks(track))
		return 0;
	TRY(track_prepare(track, &nobody, NULL, err));
	TRY(track_ended(track, err));
	for (unsigned i = 0; i < track->n; i++)
		note(&track->drives[i]);
	return 0;
}
