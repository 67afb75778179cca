#include "archive/parent.h"

#include "archive/open.h"

#include <stdlib.h>
#include <string.h>

static int get(void *context, void *state, uint32_t drive, uint64_t cluster, const uint8_t **sum,
	       struct error *err)
{
	const struct parent *parent = context;
	const struct archive *archive = sums_archive(parent->found.sums);
	uint32_t i = parent->drive_of[drive];
	const uint8_t *page;

	*sum = NULL;
	if (i == archive->n_drives || cluster >= clusters_of(archive->drives[i].size_bytes))
		return 0;
	TRY(sums_page(parent->found.sums, state, i, cluster / SUMS_PER_PAGE, &page, err));
	*sum = page + cluster % SUMS_PER_PAGE * CHECKSUM_SIZE;
	return 0;
}

int parent_open(struct parent *out, const char *name, struct archive *archive,
		const struct watcher *watcher, struct error *err)
{
	const struct archive *of;

	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--parent: VMA has no increments, VMAB does");
	out->scratch = text_make("%s/vmabak-parent.sums", sums_scratch_folder());
	out->drive_of = calloc(archive->n_drives + 1, sizeof(*out->drive_of));
	if (out->scratch == NULL || out->drive_of == NULL)
		return fail_memory(err);
	TRY(sums_find(&out->found, name, out->scratch, watcher, err));
	of = sums_archive(out->found.sums);
	if (memcmp(of->uuid, archive->uuid, UUID_SIZE) == 0)
		return fail(err, ERR_USAGE, "--parent %s: has the uuid of the new archive", name);
	memcpy(archive->parent, of->uuid, UUID_SIZE);
	archive->parent_checkpoint = of->checkpoint;
	for (uint32_t i = 0; i < archive->n_drives; i++)
		out->drive_of[i] = archive_find_drive(of, &archive->drives[i].name);
	out->sums = (struct parent_sums){out, sizeof(struct sums_cursor), get};
	return 0;
}

void parent_close(struct parent *parent)
{
	found_sums_close(&parent->found);
	free(parent->scratch);
	free(parent->drive_of);
}
