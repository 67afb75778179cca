#include "archive/layers.h"

#include "archive/match.h"

#include <stdlib.h>
#include <string.h>

int layers_open(struct layers *out, const struct archive *newest, struct error *err)
{
	size_t n = (size_t)newest->n_drives + 1;

	*out = (struct layers){.newest = newest};
	out->held = calloc(n, sizeof(*out->held));
	out->n_left = malloc(n * sizeof(*out->n_left));
	out->drive_of = malloc(DRIVES_MAX * sizeof(*out->drive_of));
	if (out->held == NULL || out->n_left == NULL || out->drive_of == NULL)
		return fail_memory(err);
	memset(out->n_left, 0xff, n * sizeof(*out->n_left));
	return 0;
}

int layers_begin(struct layers *layers, const struct archive *link, struct error *err)
{
	uint32_t n = layers->newest->n_drives;
	uint64_t *n_held;

	TRY(match_drives(link, layers->newest, layers->drive_of, err));
	n_held = calloc((size_t)n + 1, sizeof(*n_held));
	if (n_held == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < link->n_drives; i++)
		n_held[layers->drive_of[i]] = clusters_of(link->drives[i].size_bytes);
	for (uint32_t i = 0; i < n; i++)
		if (layers->n_left[i] > n_held[i])
			layers->n_left[i] = n_held[i];
	free(n_held);
	return 0;
}

uint64_t layers_wanted(const struct layers *layers, const struct slot *slot, uint32_t *drive)
{
	uint64_t n_left, n = slot->n_clusters;

	*drive = layers->drive_of[slot->drive];
	n_left = *drive == layers->newest->n_drives ? 0 : layers->n_left[*drive];
	if (slot->cluster >= n_left)
		return 0;
	return n < n_left - slot->cluster ? n : n_left - slot->cluster;
}

int layers_check_drive(const struct layers *layers, uint32_t drive, const char *name, bool part,
		       struct error *err)
{
	const struct archive_drive *of = &layers->newest->drives[drive];
	uint64_t n = clusters_of(of->size_bytes), from = part ? layers->n_left[drive] : 0, run;
	char shown[80];
	bool in;

	if (from >= n)
		return 0;
	run = cluster_set_run(&layers->held[drive], from, n - from, &in);
	if (in && run == n - from)
		return 0;
	return fail(err, ERR_INCOMPLETE, "%s: drive %s: cluster %llu is in no archive of the chain",
		    name, escape_text(shown, sizeof(shown), of->name.bytes, of->name.length),
		    (unsigned long long)(in ? from + run : from));
}

int layers_check(const struct layers *layers, const char *name, bool part, struct error *err)
{
	for (uint32_t i = 0; i < layers->newest->n_drives; i++)
		TRY(layers_check_drive(layers, i, name, part, err));
	return 0;
}

void layers_close(struct layers *layers)
{
	for (uint32_t i = 0; layers->held != NULL && i < layers->newest->n_drives; i++)
		cluster_set_free(&layers->held[i]);
	free(layers->held);
	free(layers->n_left);
	free(layers->drive_of);
	*layers = (struct layers){0};
}
